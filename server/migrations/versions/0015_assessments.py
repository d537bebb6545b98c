"""What a month costs whom: wages, and reports as they were handed in."""

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
