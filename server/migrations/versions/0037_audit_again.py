"""When is a visit taken to have been made? One answer for the queue, months and reports.

They asked for the earliest time of the arrival, which of a visit whose check-in never came, or whose phone's clock
says nothing, is the year 2000: in no month, in no report, and nobody's fraud.
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0033"

VISITED_AT = "CASE arrived_method WHEN 'received' THEN arrived_latest ELSE arrived_earliest END"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column(
        "visits",
        sa.Column("visited_at", moment, sa.Computed(VISITED_AT, persisted=True), nullable=False),
    )
    op.create_index(op.f("ix_visits_visited_at"), "visits", ["visited_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_visits_visited_at"), table_name="visits")
    op.drop_column("visits", "visited_at")
