"""Whose data have been kept for long enough?

The time is `recording_retention_days` of the client's pack. It begins when the last case of a debtor is
closed, or with their last visit where that was later. A pack that says nothing erases nothing. Of whom
something comes afterwards, that is due at once: by the rule by which they were erased.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.database import db
from server.models.cases import Case, Debtor
from server.models.retention import Erasure
from server.models.visits import Visit
from server.rules.pack import RulePack
from server.workflows.retention.holds import held_by
from server.workflows.standing_packs import active_pack, packs_of_clients

PARAMETER: Final = "recording_retention_days"
ASKED_A_NIGHT: Final = 50_000
"""A millisecond each. Who was erased has been silent for years: the rest may wait for another night."""


@dataclass(frozen=True, slots=True)
class Due:
    """A debtor whose time is over at `due_at`, by which parameter, and what holds their data all the same."""

    debtor_id: UUID
    reference: str
    ended_at: datetime
    kept_days: int
    source: dict[str, str]
    held_by: list[str]

    @property
    def due_at(self) -> datetime:
        """Since when there is no reason to keep them."""
        return self.ended_at + timedelta(days=self.kept_days)


def due(
    session: Session,
    *,
    now: datetime,
    within: timedelta = timedelta(0),
    after: UUID | None = None,
    limit: int,
    locked: UUID | None = None,
) -> list[Due]:
    """Return debtors whose time is over soon by today's packs, in the order of ids, whatever holds them.

    `locked`: only this one, whose row the caller has locked.
    """
    standard, own, by = active_pack(now), packs_of_clients(now), now + within
    ended = _ended()
    is_over = _is_over(ended.selected_columns.ended_at, standard, own, by=by)
    query = ended.where(is_over).order_by(Debtor.id).limit(limit)
    if after is not None:
        query = query.where(Debtor.id > after)
    if locked is not None:
        query = query.where(Debtor.id == locked)
    rows = session.execute(query).all()
    holding = held_by(session, [row.id for row in rows])
    return [_due(row, own.get(row.client_id, standard), holding.get(row.id, [])) for row in rows]


def list_due(*, within_days: int, after: UUID | None, limit: int, now: datetime) -> Sequence[Due]:
    """The same for whoever wants to see what will be erased, and what holds the rest."""
    return due(db.session(), now=now, within=timedelta(days=within_days), after=after, limit=limit)


def nights_of_a_round(session: Session) -> int:
    """Return in how many nights every erased debtor is asked about once: one, unless they are too many."""
    many = session.scalar(sa.select(sa.func.count()).where(Debtor.erased_at.is_not(None))) or 0
    return max(1, -(-many // ASKED_A_NIGHT))


def erased(session: Session, *, night: int, nights: int, after: UUID | None, limit: int) -> Sequence[UUID]:
    """Return erased debtors who are asked about in one night of a round, in the order of ids."""
    lot = sa.func.abs(sa.cast(sa.func.uuid_hash(Debtor.id), sa.BigInteger()))
    query = sa.select(Debtor.id).where(Debtor.erased_at.is_not(None), lot % nights == night % nights)
    if after is not None:
        query = query.where(Debtor.id > after)
    return session.scalars(query.order_by(Debtor.id).limit(limit)).all()


def told_again(session: Session, debtors: Sequence[UUID]) -> list[Due]:
    """Return those of these erased debtors of whom there are words again: phones may come late."""
    ids = list(session.scalars(_TOLD_AGAIN, {"debtors": list(debtors)}))
    by_rule = (
        sa.select(Erasure.debtor_id, Debtor.reference, Erasure.ended_at, Erasure.kept_days, Erasure.source)
        .join(Debtor, Debtor.id == Erasure.debtor_id)
        .where(Erasure.debtor_id.in_(ids))
        .order_by(Erasure.id)
    )
    rules = {row.debtor_id: row for row in session.execute(by_rule)}
    holding = held_by(session, ids)
    return [Due(*rules[one], held_by=holding.get(one, [])) for one in ids if one in rules]


# What an erasure leaves empty and is not, by index. The office writes nothing encrypted about them any more
# (`still_kept`); what auditors write to end their work goes the night after.
_TOLD_AGAIN: Final = sa.text(
    """
    SELECT debtors.id FROM debtors CROSS JOIN LATERAL (SELECT ids_about(debtors.id) AS ids OFFSET 0) AS about
     WHERE erased_at IS NOT NULL
       AND debtors.id = ANY(:debtors)
       AND (EXISTS (SELECT FROM items WHERE visit_id = ANY(ids) AND payload <> '')
            OR EXISTS (SELECT FROM items WHERE named && ids AND payload <> '')
            OR EXISTS (SELECT FROM conflicting_items WHERE named && ids AND payload <> '')
            OR EXISTS (SELECT FROM raw_submissions WHERE named && ids AND content <> '')
            OR EXISTS (SELECT FROM corrections WHERE named && ids AND payload <> '')
            OR EXISTS (SELECT FROM findings
                        WHERE visit_id = ANY(ids) AND (reason <> '' OR claim <> '' OR observation <> '{}'))
            OR EXISTS (SELECT FROM audits WHERE visit_id = ANY(ids) AND note <> '(erased)')
            OR EXISTS (SELECT FROM finding_comments WHERE finding_id = ANY(ids) AND text <> '(erased)')
            OR EXISTS (SELECT FROM second_looks WHERE finding_id = ANY(ids) AND reason <> '(erased)'))
     ORDER BY debtors.id
    """
)


def _ended() -> sa.Select[UUID, UUID, str, datetime]:
    """Select the debtors whose cases are all closed, and when the last of them, or the last visit, ended."""
    cases = (
        sa.select(
            Case.debtor_id,
            sa.func.max(Case.closed_at).label("closed_at"),
        )
        .group_by(Case.debtor_id)
        .having(sa.func.bool_and(sa.and_(Case.state == "closed", Case.closed_at.is_not(None))))
        .subquery()
    )
    last = sa.select(sa.func.max(Visit.arrived_latest)).where(Visit.debtor_id == Debtor.id).scalar_subquery()
    return (
        sa.select(
            Debtor.id,
            Debtor.client_id,
            Debtor.reference,
            sa.func.greatest(cases.c.closed_at, last).label("ended_at"),
        )
        .join(cases, cases.c.debtor_id == Debtor.id)
        .where(Debtor.erased_at.is_(None))
    )


def _is_over(
    ended: sa.ColumnElement[datetime], standard: RulePack, own: Mapping[UUID, RulePack], *, by: datetime
) -> sa.ColumnElement[bool]:
    terms = [
        sa.and_(Debtor.client_id == client_id, _before(ended, pack, by=by)) for client_id, pack in own.items()
    ]
    others = sa.and_(Debtor.client_id.not_in(list(own)), _before(ended, standard, by=by))
    return sa.or_(others, *terms)


def _before(ended: sa.ColumnElement[datetime], pack: RulePack, *, by: datetime) -> sa.ColumnElement[bool]:
    days = pack.recording_retention_days
    return sa.false() if days is None else ended <= by - timedelta(days=days)


def _due(row: Any, pack: RulePack, holding: list[str]) -> Due:
    assert pack.recording_retention_days is not None
    return Due(
        debtor_id=row.id,
        reference=row.reference,
        ended_at=row.ended_at,
        kept_days=pack.recording_retention_days,
        source=pack.source_of(PARAMETER),
        held_by=holding,
    )
