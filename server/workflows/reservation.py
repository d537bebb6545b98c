"""How is a granted visit written down, and its permit renewed?

Assignment, team, budget slot, permit and feed, in the caller's transaction and under the debtor's lock. The
decision was made before; the constraints of `server.models.dispatch` hold whatever happens here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Range

from server.database import db
from server.errors import Conflict
from server.models.assignments import announce_again
from server.models.cases import Case
from server.models.dispatch import Assignment, AssignmentMember, BudgetSlot, Decision
from server.models.feed import publish, staff_scope
from server.models.people import Staff
from server.models.visits import Visit
from server.rules.conditions import is_evidence_needed
from server.rules.facts import CaseFacts, WantedVisit
from server.rules.local_time import local_day
from server.rules.pack import RulePack
from server.rules.verdict import Verdict
from server.workflows.letters import write_all
from server.workflows.permits import renew_permit, seal_permit
from sync.protocol import uuid7

Letters = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A wanted visit with the judgement that was just made and stored."""

    wanted: WantedVisit
    facts: CaseFacts
    verdict: Verdict
    decision: Decision
    pack: RulePack


def reserve(judged: Judged, *, letters: Letters, old: Assignment | None) -> Assignment:
    """Write assignment, team, budget slot, letters and feed of a granted visit. `old` is the one it replaces.

    The letters of `old` went void when it ended; the new team carries those of `letters`.
    """
    wanted, facts = judged.wanted, judged.facts
    assignment_id, permit_id = uuid7(), uuid7()
    author = judged.decision.judged_for
    written = write_all(wanted.case_id, letters, pack=judged.pack, written_by=author, now=facts.judged_at)
    permit = seal_permit(
        wanted,
        facts,
        judged.verdict,
        pack=judged.pack,
        permit_id=permit_id,
        assignment_id=assignment_id,
        letters=[one.for_permit() for one in written],
        special_note=_note_on(wanted.case_id),
        now=facts.judged_at,
    )
    assignment = Assignment(
        id=assignment_id,
        case_id=wanted.case_id,
        debtor_id=facts.case.debtor_id,
        address_id=wanted.address_id,
        window_start=wanted.window_start,
        window_end=wanted.window_end,
        lead_id=wanted.lead,
        ground=wanted.ground,
        state="issued",
        decision_id=judged.decision.id,
        permit_id=permit_id,
        permit=permit,
        issued_by=judged.decision.judged_for,
        issued_at=facts.judged_at,
        replaces_id=old and old.id,
    )
    db.session.add(assignment)
    db.session.flush()
    for one in written:
        one.letter.assignment_id = assignment.id
        db.session.add(one.letter)
    _seat(wanted, assignment)
    _take_slot(wanted, facts, assignment, pack=judged.pack)
    for staff_id in wanted.team:
        publish(staff_scope(staff_id), kind="assignment", entity_id=assignment.id, op="put")
    return assignment


def renew(assignment: Assignment, judged: Judged) -> None:
    """Give a granted visit, and its phones, the permit of a new judgement where that says something else.

    The decision that granted the visit stays its decision: it holds what a supervisor approved.
    """
    permit_id = uuid7()
    permit = renew_permit(
        assignment.permit,
        judged.wanted,
        judged.facts,
        judged.verdict,
        pack=judged.pack,
        permit_id=permit_id,
        special_note=_note_on(judged.wanted.case_id),
    )
    if permit is not None:
        assignment.permit_id, assignment.permit = permit_id, permit
        announce_again(Assignment.id == assignment.id)


def _note_on(case_id: UUID) -> str:
    return db.session.scalar(sa.select(Case.special_note).where(Case.id == case_id)) or ""


def _seat(wanted: WantedVisit, assignment: Assignment) -> None:
    """Write the team; whoever else wants one of them waits for the lock of `dispatch.lock_visit`."""
    rows = db.session.execute(
        sa.select(Staff.id, Staff.no).where(Staff.id.in_(wanted.team)).order_by(Staff.no)
    )
    for staff_id, number in rows.all():
        member = AssignmentMember(
            assignment_id=assignment.id,
            staff_id=staff_id,
            staff_no=number,
            period=Range(wanted.window_start, wanted.window_end),
            is_lead=staff_id == wanted.lead,
        )
        db.session.add(member)
        db.session.flush()


def rest_on_wish(judged: Judged, assignment: Assignment) -> None:
    """Spend the named wish on a standing assignment that, judged again, has come to need it."""
    if is_evidence_needed(judged.wanted, judged.facts, judged.pack):
        entry = judged.wanted.evidence_entry_id
        assignment.evidence_entry_id = entry
        its_slot = BudgetSlot.assignment_id == assignment.id
        db.session.execute(sa.update(BudgetSlot).where(its_slot).values(evidence_entry_id=entry))


def _take_slot(wanted: WantedVisit, facts: CaseFacts, assignment: Assignment, *, pack: RulePack) -> None:
    """Take a slot of the debtor's day; the evidence is spent only where the visit would fall without it."""
    day = local_day(wanted.window_start, pack.zone)
    debtor_id = facts.case.debtor_id
    entry = wanted.evidence_entry_id if is_evidence_needed(wanted, facts, pack) else None
    _give_back_stale_slots(debtor_id, day, zone=pack.timezone)
    number = _free_number(debtor_id, day, is_wished=entry is not None, pack=pack)
    if number is None:
        raise Conflict("budget-taken", "All slots of the debtor's day are taken; ask for another day.")
    assignment.evidence_entry_id = entry
    db.session.add(
        BudgetSlot(
            debtor_id=debtor_id,
            day=day,
            slot=number,
            assignment_id=assignment.id,
            evidence_entry_id=entry,
        )
    )
    db.session.flush()


def _free_number(debtor_id: UUID, day: date, *, is_wished: bool, pack: RulePack) -> int | None:
    """Return a free slot; where only one is free that needs evidence, a visit that has some moves there."""
    query = sa.select(BudgetSlot).where(BudgetSlot.debtor_id == debtor_id, BudgetSlot.day == day)
    taken = {slot.slot: slot for slot in db.session.scalars(query.order_by(BudgetSlot.slot))}
    free = [number for number in range(1, pack.visits_per_day_ceiling + 1) if number not in taken]
    if not free or is_wished or free[0] <= pack.visits_per_day:
        return next(iter(free), None)
    for number, slot in taken.items():
        if number <= pack.visits_per_day and slot.evidence_entry_id is not None:
            slot.slot = free[0]
            db.session.flush()
            return number
    return None


def _give_back_stale_slots(debtor_id: UUID, day: date, *, zone: str) -> None:
    """Free slots of a day on which their visit did not arrive: it counts on the day it did (rules.md)."""
    arrived_on = [
        sa.cast(sa.func.timezone(zone, moment), sa.Date)
        for moment in (Visit.arrived_earliest, Visit.arrived_latest)
    ]
    visited_elsewhere = sa.exists().where(
        Visit.assignment_id == BudgetSlot.assignment_id, *(on != day for on in arrived_on)
    )
    db.session.execute(
        sa.delete(BudgetSlot)
        .where(BudgetSlot.debtor_id == debtor_id, BudgetSlot.day == day, visited_elsewhere)
        .execution_options(synchronize_session=False)
    )
