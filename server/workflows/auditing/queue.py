"""Which visits wait for an audit, the worst first?

A page is one step in an index of `audit_queue`, or of `audit_queue_checks` where a check is asked for,
however many visits wait. Who saw which page is written down, in the transaction that read it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import transaction
from server.errors import Fault, Invalid
from server.models.access import AccessEntry
from server.models.auditing import QueuedCheck, QueuedVisit

THE_QUEUE: Final = UUID(int=0)
"""What the access log calls the queue: there is one."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which waiting visits; None: whatever it is. `first` and `last` are local days of the visit."""

    branch: str | None = None
    staff_id: UUID | None = None
    client_id: UUID | None = None
    check: str | None = None
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page, and where the next one begins."""

    rows: Sequence[QueuedVisit]
    next: str | None


def waiting(chosen: Chosen, *, after: str | None, limit: int, actor: Actor, now: datetime) -> Page:
    """Return one page of the queue, worst first, equal ones newest first; the look is logged."""
    cursor = None if after is None else _read_cursor(after)
    query = page_query(chosen, cursor=cursor, limit=limit)
    with transaction() as session:
        rows = session.scalars(query).all()
        wanted = {name: str(value) for name, value in asdict(chosen).items() if value is not None}
        session.add(
            AccessEntry(
                at=now,
                staff_id=actor.staff_id,
                action="audit.queue",
                entity_kind="audit_queue",
                entity_id=THE_QUEUE,
                request={"wanted": wanted, "visits": [str(row.visit_id) for row in rows]},
            )
        )
    return Page(rows, None if len(rows) < limit else f"{rows[-1].score}~{rows[-1].visit_id}")


def page_query(chosen: Chosen, *, cursor: tuple[int, UUID] | None, limit: int) -> sa.Select[QueuedVisit]:
    """Return the statement of one page. "Waiting" stands in it as a word, as in the partial indexes."""
    order: tuple[Any, Any] = (QueuedVisit.score, QueuedVisit.visit_id)
    query = sa.select(QueuedVisit).where(sa.text("audit_queue.state = 'waiting'"), *_filters(chosen))
    if chosen.check is not None:
        order = (QueuedCheck.score, QueuedCheck.visit_id)
        query = query.join(QueuedCheck, QueuedCheck.visit_id == QueuedVisit.visit_id)
        query = query.where(QueuedCheck.check == chosen.check)
    if cursor is not None:
        query = query.where(sa.tuple_(*order) < cursor)
    return query.order_by(*(column.desc() for column in order)).limit(limit)


def _filters(chosen: Chosen) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    equal: dict[Any, Any] = {
        QueuedVisit.branch: chosen.branch,
        QueuedVisit.staff_id: chosen.staff_id,
        QueuedVisit.client_id: chosen.client_id,
    }
    found += [column == wanted for column, wanted in equal.items() if wanted is not None]
    if chosen.first is not None:
        found.append(QueuedVisit.visited_on >= chosen.first)
    if chosen.last is not None:
        found.append(QueuedVisit.visited_on <= chosen.last)
    return found


def _read_cursor(text: str) -> tuple[int, UUID]:
    try:
        points, visit_id = text.split("~")
        cursor = int(points), UUID(visit_id)
        if abs(cursor[0]) >= 1 << 62:
            raise ValueError("no score is that large")
    except ValueError:
        fault = Fault("/after", "Is not the `next` of a page.")
        raise Invalid("cursor-unknown", "Begin again without `after`.", faults=[fault]) from None
    return cursor
