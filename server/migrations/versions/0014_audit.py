"""What auditors decide, ask and close: queue plans, comments, second looks, replies, breaches."""

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
