"""What follows when a client's file changes what visits rest on?

In the import's transaction: a case that the client closed, or that owes nothing any more, loses its visits
(D18). Visits of other changed cases are sent to the phones again and judged anew after the commit (C4, D24,
A1, A2, A9, A18): what the change forbids is taken back. Visits that took place are judged again around those
that a ledger tells of (A3, A9). Promises are settled anew when promises or
payments came (F13, F16).
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db
from server.intake.cells import CHINA
from server.jobs import enqueue
from server.models.assignments import announce_again
from server.models.cases import Case, Debtor
from server.models.dispatch import Assignment
from server.rules.json_form import stamp
from server.workflows.imports.merging import Values
from server.workflows.recounting import recount_client_later, recount_later
from server.workflows.rejudging import rejudge_later
from server.workflows.settling import settle_later
from server.workflows.stopping import close_cases

PER_JOB: Final = 500
NOBODY: Final = Actor(staff_id=None, roles=frozenset())
CONCERNS: Final = {
    "debtors": (Assignment.debtor_id, "id"),
    "cases": (Assignment.case_id, "id"),
    "contacts": (Assignment.case_id, "case_id"),
    "addresses": (Assignment.case_id, "case_id"),
    "ledger": (Assignment.debtor_id, "debtor_id"),
}
"""Kind of row -> which assignments it concerns, and by which of its columns."""


class Change(NamedTuple):
    """A row before (None: it is new) and after the import."""

    before: Values | None
    after: Values


def lock_debtors(session: Session, kind: str, rows: Sequence[Values]) -> None:
    """Lock the debtors before what is theirs, as everybody does who grants a visit or stops a case.

    A ledger entry shares its debtor's row when it is written, and dispatch waits for that as well.
    """
    match kind:
        case "cases":
            concerned = Debtor.id.in_({row["debtor_id"] for row in rows})
        case "contacts" | "addresses":
            cases = {row["case_id"] for row in rows}
            concerned = Debtor.id.in_(sa.select(Case.debtor_id).where(Case.id.in_(cases)))
        case _:
            return
    session.execute(sa.select(Debtor.id).where(concerned).order_by(Debtor.id).with_for_update())


def follow(kind: str, changes: Sequence[Change], *, now: datetime) -> None:
    """Act on what one kind of row changed, in the import's transaction."""
    _recount(kind, changes, now=now)
    if kind in ("promises", "payments"):
        settle_later(change.after["case_id"] for change in changes)
    if kind not in CONCERNS:
        return
    if kind == "cases":
        _take_back(changes, now=now)
    column, key = CONCERNS[kind]
    concerned = {change.after[key] for change in changes if _can_forbid(kind, change)}
    if concerned:
        if kind != "ledger":
            announce_again(column.in_(concerned))
        rejudge_later(column.in_(concerned))
    if kind == "ledger":
        _judge_neighbours_again(changes)


def _recount(kind: str, changes: Sequence[Change], *, now: datetime) -> None:
    """Have clocks counted again: of what changed, or of all cases of a client with a new batch (F3)."""
    if kind == "status_codes":
        for client_id in {change.after["client_id"] for change in changes}:
            recount_client_later(client_id)
    if kind == "debtors":
        recount_later(debtors=[change.after["id"] for change in changes if change.before])
    if kind in ("cases", "ledger"):
        recount_later(cases=[change.after["id" if kind == "cases" else "case_id"] for change in changes])
    if kind == "cases":
        for client_id in _begin_a_batch(changes, since=now.astimezone(CHINA).date().replace(day=1)):
            recount_client_later(client_id)


def _begin_a_batch(changes: Sequence[Change], *, since: date) -> set[UUID]:
    """Return the clients whose first cases of this month are among these rows."""
    rows = [change.after for change in changes]
    new = [row for row in rows if row["allocated_on"] is not None and row["allocated_on"] >= since]
    clients = {row["client_id"] for row in new}
    earlier = sa.select(Case.client_id).where(
        Case.client_id.in_(clients), Case.allocated_on >= since, Case.id.not_in([row["id"] for row in new])
    )
    return clients - set(db.session.scalars(earlier.distinct())) if clients else clients


def _can_forbid(kind: str, change: Change) -> bool:
    """Whether a visit may rest on this: not a case just entrusted, and of the ledger only visits (A2, A9)."""
    if kind == "ledger":
        return change.after["channel"] == "visit"
    return change.before is not None or kind in ("contacts", "addresses")


def _judge_neighbours_again(changes: Sequence[Change]) -> None:
    """Have visits judged again around those that a file tells of, where they were and where they are now."""
    rows = [row for change in changes for row in (change.before, change.after) if row is not None]
    told = {(str(row["debtor_id"]), stamp(row["at"])) for row in rows if row["channel"] == "visit"}
    visits = [(debtor_id, at, at) for debtor_id, at in sorted(told)]
    for first in range(0, len(visits), PER_JOB):
        enqueue("reconcile_neighbours", around=visits[first : first + PER_JOB])


def _take_back(changes: Sequence[Change], *, now: datetime) -> None:
    """Cancel the visits of cases that the file closes, and say why."""
    ended = [change for change in changes if change.before and change.after["state"] == "closed"]
    ended = [change for change in ended if change.before and change.before["state"] == "open"]
    for because, is_paid in (("the client's balance is settled", True), ("taken back by the client", False)):
        ids: list[UUID] = [
            change.after["id"] for change in ended if (change.after["outstanding_fen"] <= 0) is is_paid
        ]
        if ids:
            close_cases(ids, because=because, actor=NOBODY, now=now)
