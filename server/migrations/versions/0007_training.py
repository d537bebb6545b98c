"""Courses, training sessions and who attended."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    pass
