"""What do stored items tell: which visits, accounts, evidence, holds?

Items are applied in the order of their dependence, a whole batch with a few statements; if that fails, one by
one, so that one bad item never blocks the others: it is quarantined, with a receipt, and an office user can
look at it. Nothing here refuses a record of what took place.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from typing import Final

import structlog
from psycopg import errors as pg
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from server.workflows.exchange import applying, casework, checkins, parents, replies
from server.workflows.exchange.arrived import Arrived, Result, Sender, Stored, arrive
from sync import protocol
from sync.bodies import (
    AccountWritten,
    AssignmentAnswered,
    ComplaintRaised,
    ContactLearned,
    ContactRefused,
    EvidencePromised,
    FindingReplied,
    HoldRequested,
    IncidentRaised,
    Reported,
    VisitEnded,
    VisitStarted,
)
from sync.wire import WireFault

log = structlog.get_logger()

Apply = Callable[[Session, Sequence[Arrived], datetime], None]
# The order of dependence: what a later kind needs, an earlier one has written.
STEPS: Final[tuple[tuple[type, Apply], ...]] = (
    (AssignmentAnswered, applying.answer_assignments),
    (VisitStarted, checkins.start_visits),
    (EvidencePromised, applying.promise_evidence),
    (VisitEnded, applying.end_visits),
    (AccountWritten, applying.write_accounts),
    (HoldRequested, casework.request_holds),
    (ComplaintRaised, casework.raise_complaints),
    (IncidentRaised, casework.raise_incidents),
    (ContactRefused, casework.refuse_contacts),
    (ContactLearned, casework.learn_contacts),
    (FindingReplied, replies.attach_replies),
    # Every report is filed whole, also what a step before has applied.
    (Reported, applying.file_reports),
)


class How(Enum):
    """How a batch is applied: as a whole, each item in a savepoint of its own, or not yet."""

    TOGETHER = "together"
    ONE_BY_ONE = "one by one"
    LATER = "later"


def read_stored(row: Stored, record: protocol.Item, *, sender: Sender) -> Result:
    """Read what an item says; a body that is not as its type has it is quarantined here."""
    try:
        return Result(row, arrive(row, record, sender=sender))
    except WireFault as fault:
        problem = {"slug": "body-invalid", "detail": fault.detail, "pointer": fault.pointer}
        return Result(row, None, outcome="quarantined", problem=problem)


def apply_items(session: Session, results: Sequence[Result], *, now: datetime, how: How) -> None:
    """Apply what can be applied and note in each result what became of it; write no outcomes.

    TOGETHER raises what one bad item causes, ONE_BY_ONE quarantines that item. Both raise what is no fault
    of an item: a circle of waiting, a full disk, a database that went away.
    """
    readable = [one for one in results if one.arrived is not None]
    if not readable or how is How.LATER:
        return
    casework.lock_debtors(session, [one.read for one in readable])
    if how is How.TOGETHER:
        _apply(session, readable, now=now)
        return
    for one in sorted(readable, key=lambda each: _step_of(each.read)):
        _apply_alone(session, one, now=now)


def apply_stored(session: Session, results: Sequence[Result], *, now: datetime) -> None:
    """Apply items that are in the inbox already: together in one savepoint, or one by one when that fails."""
    before = [list(one.flags) for one in results]
    try:
        with session.begin_nested():
            apply_items(session, results, now=now, how=How.TOGETHER)
            return
    except (DBAPIError, applying.CannotApply) as error:
        _raise_unless_fault_of_an_item(error)
        log.info("projection.one_by_one", items=len(results), because=type(error).__name__)
    session.expire_all()
    for one, flags in zip(results, before, strict=True):
        if one.arrived is not None:
            one.outcome, one.problem, one.arrived.flags = "applied", None, flags
    apply_items(session, results, now=now, how=How.ONE_BY_ONE)


def _apply_alone(session: Session, one: Result, *, now: datetime) -> None:
    try:
        with session.begin_nested():
            _apply(session, [one], now=now)
    except applying.CannotApply as error:
        one.outcome, one.problem = "quarantined", {"slug": error.slug, "detail": str(error)}
    except DBAPIError as error:
        _raise_unless_fault_of_an_item(error)
        log.warning("projection.quarantined", item=str(one.row.item_id), error=type(error.orig).__name__)
        detail = "The office's database refuses what this item says."
        one.outcome, one.problem = "quarantined", {"slug": "cannot-be-applied", "detail": detail}


def _raise_unless_fault_of_an_item(error: Exception) -> None:
    if is_no_fault_of_an_item(error):
        raise error


def is_no_fault_of_an_item(error: Exception) -> bool:
    """Whether the database itself is in trouble: then nothing is judged, and everything is tried again."""
    return isinstance(error, OperationalError) and not isinstance(error.orig, pg.ProgramLimitExceeded)


def _step_of(arrived: Arrived) -> int:
    return next(n for n, (kind, _) in enumerate(STEPS) if isinstance(arrived.body, kind))


def _apply(session: Session, results: Sequence[Result], *, now: datetime) -> None:
    """Apply items in the order of dependence; those whose parent is missing are held."""
    for kind, apply in STEPS:
        mine = [one for one in results if isinstance(one.read.body, kind)]
        if not mine:
            continue
        ready = parents.sort_out(session, mine, now=now)
        if ready:
            apply(session, [one.read for one in ready], now)
