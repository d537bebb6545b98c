"""Rule packs that an administrator entered, beside those that ship."""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    pass
