"""What would a month's visits be found to be under today's checks, rules and words, and how is that kept?

Visits are taken one by one in the order of their ids, each with the same fixed number of queries, so neither
memory nor transactions grow with the month. Looking writes nothing. Keeping writes a visit's findings and how
far it got in one transaction: whoever is killed goes on where that was. Rules and words of clients are those
that stood on the day of each visit: nobody is judged by what nobody could know.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.database import db, release_connection, transaction
from server.models.judgement import MonthAgain
from server.models.retention import Erasure
from server.models.visits import Visit
from server.reconcile.difference import Change
from server.reconcile.engine import reconcile
from server.rules.local_time import at_local
from server.workflows.reconciliation.gathering import LIMITS, gather
from server.workflows.reconciliation.judging import judge_again
from server.workflows.reconciliation.recording import Outcome, compare
from server.workflows.standing_packs import local_zone

AT_ONCE: Final = 200
MOST_SHOWN: Final = 50
KINDS: Final = ("new", "gone", "severity", "other", "decided")

Shown = tuple[UUID, tuple[Change, ...]]
Told = Callable[[int, int], None]


@dataclass(slots=True)
class Tally:
    """The difference of a month, by check and for the first visits that change.

    `severity` are findings that weigh otherwise, `other` those of the same weight that say something else,
    `decided` what would have changed but was decided, and stays.
    """

    visits: int = 0
    changed: int = 0
    checks: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    shown: list[Shown] = field(default_factory=list[Shown])

    def add(self, visit_id: UUID, outcome: Outcome) -> None:
        """Count one visit."""
        self.visits += 1
        self.changed += bool(outcome)
        for change in outcome.changes:
            self.checks.setdefault(change.check, Counter())[kind_of(change)] += 1
        if outcome.changes and len(self.shown) < MOST_SHOWN:
            self.shown.append((visit_id, outcome.changes))


def kind_of(change: Change) -> str:
    """Say under which of KINDS a change is counted."""
    if change.is_decided:
        return "decided"
    if change.what == "changed":
        return "severity" if "severity" in change.fields else "other"
    return change.what


def look(month: date, *, now: datetime, told: Told) -> Tally:
    """Judge a month's visits again and keep nothing. `told` hears how many of how many are done."""
    tally, total = Tally(), count(month)
    for visit_id in _visits(month, after=None):
        facts = gather(visit_id, now=now)
        visit = db.session.get(Visit, visit_id)
        if facts is not None and visit is not None:
            tally.add(visit_id, compare(visit, reconcile(facts, LIMITS)))
        release_connection()
        told(tally.visits, total)
    return tally


def keep(month: date, *, now: datetime, told: Told) -> Tally:
    """Judge a month's visits again and keep what that changes; goes on where an earlier one was ended.

    The tally is that of this call; only its number of visits goes on from the earlier one. Decided findings
    stay as they are.
    """
    run = _begin(month, now=now)
    tally, total = Tally(visits=run.visits), count(month)
    for visit_id in _visits(month, after=run.after):

        def got_here(session: Session, outcome: Outcome, visit_id: UUID = visit_id) -> None:
            tally.add(visit_id, outcome)
            _got_to(session, run.id, visit_id, is_changed=bool(outcome))

        judge_again(visit_id, now=now, because="month", also=got_here)
        told(tally.visits, total)
    with transaction() as session:
        session.execute(sa.update(MonthAgain).where(MonthAgain.id == run.id).values(finished_at=now))
    return tally


def count(month: date) -> int:
    """Return how many visits of a month were judged before."""
    found = db.session.scalar(sa.select(sa.func.count()).select_from(Visit).where(_of(month)))
    release_connection()
    return found or 0


def unfinished(month: date) -> MonthAgain | None:
    """Return the run that was ended before it was through, if there is one."""
    return db.session.scalar(
        sa.select(MonthAgain)
        .where(MonthAgain.month == month, MonthAgain.finished_at.is_(None))
        .execution_options(populate_existing=True)
    )


def _of(month: date) -> sa.ColumnElement[bool]:
    """Select visits that began in a local month and were judged before, and can be: nothing is erased.

    What has just come is judged as it comes.
    """
    zone = local_zone()
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return sa.and_(
        Visit.visited_at >= at_local(month, time(0), zone),
        Visit.visited_at < at_local(following, time(0), zone),
        Visit.reconciled_at.is_not(None),
        ~sa.exists().where(Erasure.debtor_id == Visit.debtor_id),
    )


def _visits(month: date, *, after: UUID | None) -> Iterator[UUID]:
    """Yield the visits after one, a portion at a time; no transaction stays open between them."""
    while True:
        query = sa.select(Visit.id).where(_of(month)).order_by(Visit.id).limit(AT_ONCE)
        portion: Sequence[UUID] = db.session.scalars(
            query if after is None else query.where(Visit.id > after)
        ).all()
        release_connection()
        yield from portion
        if len(portion) < AT_ONCE:
            return
        after = portion[-1]


def _begin(month: date, *, now: datetime) -> MonthAgain:
    """Return the month's unfinished run, or begin one; of two at once both get the same."""
    with transaction() as session:
        session.execute(
            insert(MonthAgain)
            .values(month=month, started_at=now)
            .on_conflict_do_nothing(index_elements=["month"], index_where=MonthAgain.finished_at.is_(None))
        )
        run = unfinished(month)
        assert run is not None
    return run


def _got_to(session: Session, run_id: UUID, visit_id: UUID, *, is_changed: bool) -> None:
    """Note that a visit is done, in the transaction that does it."""
    session.execute(
        sa.update(MonthAgain)
        .where(MonthAgain.id == run_id)
        .values(
            after=sa.func.greatest(MonthAgain.after, visit_id),
            visits=MonthAgain.visits + 1,
            changed=MonthAgain.changed + int(is_changed),
        )
    )
