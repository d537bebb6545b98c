"""Complaints, incidents and notices to clients."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    pass
