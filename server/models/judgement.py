"""Why was a visit judged again, what did that change, and how far has a month been judged again?"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of
from sync.protocol import uuid7

CAUSES = ("arrived", "evidence", "overdue", "neighbour", "later_evidence", "payment", "month")


class ReconciliationRun(Model):
    """One judgement of a visit that changed something. Append-only, held by a trigger.

    `because`: what set it going. `since`: what had come since the judgement before. `changes` name findings
    by key and say how heavy they were and are, not what was observed. `marks`: claims that stand otherwise.
    """

    __tablename__ = "reconciliation_runs"
    __table_args__ = (one_of("because", *CAUSES),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    visit_id: Mapped[UUID] = mapped_column(sa.ForeignKey("visits.id", ondelete="CASCADE"), index=True)
    ran_at: Mapped[datetime]
    because: Mapped[str]
    since: Mapped[dict[str, Any]]
    pack: Mapped[str]
    changes: Mapped[list[Any]]
    marks: Mapped[dict[str, Any]]


class MonthAgain(Model):
    """One month whose visits are being judged again and kept: how far, so that whoever was killed goes on.

    `after` is the last visit that was judged; visits are taken in the order of their ids.
    """

    __tablename__ = "months_again"
    __table_args__ = (
        sa.Index(
            "uq_months_again_one_at_a_time",
            "month",
            unique=True,
            postgresql_where=sa.text("finished_at IS NULL"),
        ),
        sa.CheckConstraint("extract(day FROM month) = 1", name="is_a_month"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    month: Mapped[date]
    started_at: Mapped[datetime]
    after: Mapped[UUID | None]
    visits: Mapped[int] = mapped_column(default=0, server_default="0")
    changed: Mapped[int] = mapped_column(default=0, server_default="0")
    finished_at: Mapped[datetime | None]
