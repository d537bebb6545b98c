"""Notices of the calendar: proposed by one person, approved by another."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    pass
