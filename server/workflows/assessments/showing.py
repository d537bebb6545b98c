"""What does a month propose: in sum for each branch, and for each person with the evidence?

A closed month is computed from what was kept at its closing, an open one from what is known now: a preview.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.errors import NotFound
from server.ledger.month_seal import MonthSeal
from server.models.assessments import ClosedMonth, MonthInput, MonthReply, ProposalDecision
from server.models.people import Staff
from server.reports.assessment import Assessment, assess
from server.reports.facts import PersonMonth
from server.reports.tariff import Tariff, tariff
from server.rules.catalogue import quotation_of
from server.rules.json_form import from_json, to_json
from server.workflows import missed_clocks
from server.workflows.assessment_facts import Month, load_people, load_some, month_of
from server.workflows.assessments.closing import kept_people, kept_tariff, standing
from server.workflows.standing_packs import local_zone


@dataclass(slots=True)
class BranchSum:
    """What a branch's people are proposed in sum. `open_ended`: of these, so many have no amount."""

    branch: str
    people: int = 0
    proposals: int = 0
    open_ended: int = 0
    least_fen: int = 0
    most_fen: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """A month: closed or a preview, whether what was kept is unaltered, and what has changed since."""

    month: date
    closed: ClosedMonth | None
    branches: Sequence[BranchSum]
    unattributed: Sequence[Any]
    days_looked: int
    is_intact: bool
    has_changed_since: bool
    reply_until: datetime | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One person's month, who they are, what they replied, and what was decided of each proposal."""

    assessment: Assessment
    staff: Staff
    revision: int | None
    decisions: Mapping[str, ProposalDecision] = field(default_factory=dict)
    replies: Sequence[MonthReply] = ()

    @property
    def upheld_fen(self) -> int:
        """Return the sum of the amounts that were chosen."""
        keys = {one.key for one in self.assessment.proposals}
        return sum(one.amount_fen or 0 for one in self.decisions.values() if one.key in keys)


def words_of(rule: str) -> str:
    """Return a rule's exact words."""
    return quotation_of(rule)


def summary(day: date) -> Summary:
    """Return a month's sums per branch, and what stands behind them."""
    month = month_of(day, local_zone())
    closed = standing(db.session(), month.first)
    now_known = MonthSeal(to_json(tariff()))
    live: dict[str, BranchSum] = {}
    for person in load_people(db.session(), month, tariff()):
        now_known.add(to_json(person))
        _add(live, assess(person, tariff()))
    if closed is None:
        unattributed = missed_clocks.unattributed(db.session(), month)
        looked = missed_clocks.days_looked(db.session(), month)
        return Summary(month.first, None, _ordered(live), unattributed, looked, True, False, None)
    kept = MonthSeal(closed.tariff)
    sums: dict[str, BranchSum] = {}
    for stored, person in kept_people(closed):
        kept.add(stored)
        _add(sums, assess(person, kept_tariff(closed)))
    return Summary(
        month=month.first,
        closed=closed,
        branches=_ordered(sums),
        unattributed=closed.unattributed,
        days_looked=closed.days_looked,
        is_intact=kept.digest() == closed.sha256,
        has_changed_since=now_known.digest() != closed.sha256,
        reply_until=reply_until(closed),
    )


def reply_until(closed: ClosedMonth) -> datetime:
    """Return until when people may reply before anything is decided."""
    return closed.closed_at + timedelta(days=kept_tariff(closed).reply_days)


def _add(sums: dict[str, BranchSum], found: Assessment) -> None:
    total = sums.setdefault(found.branch, BranchSum(found.branch))
    total.people += 1
    total.proposals += len(found.proposals)
    total.open_ended += sum(one.most_fen is None for one in found.proposals)
    total.least_fen += found.least_fen
    total.most_fen += found.most_fen


def _ordered(sums: Mapping[str, BranchSum]) -> list[BranchSum]:
    return [sums[branch] for branch in sorted(sums)]


def people(day: date, *, branch: str | None, after: UUID | None, limit: int) -> list[Shown]:
    """Return one page of the people of a month against whom something is held, in the order of their ids."""
    month = month_of(day, local_zone())
    closed = standing(db.session(), month.first)
    if closed is not None:
        return _kept_page(closed, branch=branch, after=after, limit=limit)
    known = load_people(db.session(), month, tariff(), after=after)
    found = list(islice((one for one in known if branch in (None, one.branch)), limit))
    return _shown(found, tariff(), month=month.first, revision=None)


def _kept_page(closed: ClosedMonth, *, branch: str | None, after: UUID | None, limit: int) -> list[Shown]:
    query = sa.select(MonthInput.facts).where(
        MonthInput.month == closed.month, MonthInput.revision == closed.revision
    )
    if branch is not None:
        query = query.where(MonthInput.branch == branch)
    if after is not None:
        query = query.where(MonthInput.staff_id > after)
    rows = db.session.scalars(query.order_by(MonthInput.staff_id).limit(limit)).all()
    found = [from_json(PersonMonth, row) for row in rows]
    return _shown(found, kept_tariff(closed), month=closed.month, revision=closed.revision)


def of_person(day: date, staff_id: UUID, *, only_closed: bool = False) -> Shown:
    """Return one person's month. `only_closed`: no previews, for people asking about themselves."""
    month = month_of(day, local_zone())
    closed = standing(db.session(), month.first)
    found = _of_open(month, staff_id) if closed is None else _of_kept(closed, staff_id)
    if found is None or (closed is None and only_closed):
        raise NotFound("assessment-unknown", "Nothing is proposed for this person and month.")
    revision = None if closed is None else closed.revision
    [shown] = _shown(
        [found], kept_tariff(closed) if closed else tariff(), month=month.first, revision=revision
    )
    return shown


def _of_open(month: Month, staff_id: UUID) -> PersonMonth | None:
    found = next(iter(load_some(db.session(), [staff_id], month, tariff())), None)
    return None if found is None or found.is_blank else found


def _of_kept(closed: ClosedMonth, staff_id: UUID) -> PersonMonth | None:
    kept = db.session.get(MonthInput, (closed.month, closed.revision, staff_id))
    return None if kept is None else from_json(PersonMonth, kept.facts)


def _shown(found: Sequence[PersonMonth], by: Tariff, *, month: date, revision: int | None) -> list[Shown]:
    ids = [one.staff_id for one in found]
    staff = {one.id: one for one in db.session.scalars(sa.select(Staff).where(Staff.id.in_(ids)))}
    decisions: dict[UUID, dict[str, ProposalDecision]] = {one: {} for one in ids}
    replies: dict[UUID, list[MonthReply]] = {one: [] for one in ids}
    if revision is not None:
        for decided in _of_people(ProposalDecision, month, ids):
            decisions[decided.staff_id][decided.key] = decided
        for reply in _of_people(MonthReply, month, ids):
            replies[reply.staff_id].append(reply)
    return [
        Shown(assess(one, by), staff[one.staff_id], revision, decisions[one.staff_id], replies[one.staff_id])
        for one in found
    ]


def _of_people(model: type[Any], month: date, ids: Sequence[UUID]) -> Iterator[Any]:
    order = model.at if model is MonthReply else model.key
    query = sa.select(model).where(model.month == month, model.staff_id.in_(ids)).order_by(order)
    yield from db.session.scalars(query.execution_options(populate_existing=True))
