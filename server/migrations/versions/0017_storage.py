"""Evidence that is kept: what the scrubber saw, how far a move between stores has come."""

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
