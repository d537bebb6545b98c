"""What changed between runs, months judged again, lexicons of clients."""

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
