"""Day plans and their stops."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    pass
