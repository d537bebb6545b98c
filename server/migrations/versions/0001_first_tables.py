"""The first tables, and the job queue's."""

from alembic import op

from server.database import db
from server.jobs import apply_schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    db.metadata.create_all(op.get_bind())
    apply_schema(op.get_bind())
