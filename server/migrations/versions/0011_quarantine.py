"""What the office does with items nobody could apply; rescue bundles."""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    pass
