"""What inspected media sound and look like: hashes and fingerprints to be searched, transcripts."""

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
