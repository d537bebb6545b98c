"""What the work lists need beside the clocks."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    pass
