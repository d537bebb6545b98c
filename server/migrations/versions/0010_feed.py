"""What the change feed needs: digests of scopes, collected tombstones."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    pass
