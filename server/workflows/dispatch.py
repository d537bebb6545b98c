"""May this visit be made, and by whom?

A visit is judged and reserved while the debtor's row is locked, so that two dispatchers together cannot
break a limit; every judgement, granted or refused, is stored with its facts. What the lock does not cover,
because it concerns another debtor (a person in two teams), the database refuses, and it is judged again.
Never changes what a phone reported.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import sqlalchemy as sa
from psycopg import errors as pg
from sqlalchemy.exc import IntegrityError

from server.authority import Actor, Role
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid
from server.models.assignments import end_early
from server.models.cases import Address, Case, Debtor
from server.models.dispatch import Assignment, Decision
from server.models.people import Staff
from server.rules.approval import covers
from server.rules.engine import judge
from server.rules.facts import CaseFacts, WantedVisit
from server.rules.json_form import stamp, to_json
from server.rules.pack import RulePack
from server.rules.verdict import Verdict
from server.workflows.assignments import find_assignment
from server.workflows.case_facts import load_case_facts
from server.workflows.reservation import Judged, Letters, reserve
from server.workflows.standing_packs import active_pack as active_pack
from server.workflows.standing_packs import pack_of_case
from sync.protocol import uuid7

TRIES: Final = 3
REPLACEABLE: Final = ("issued", "acknowledged")
LATEST: Final = timedelta(days=400)


class VisitRefused(Conflict):
    """The rules do not let this visit be assigned; carries the whole verdict."""

    title = "The visit may not be assigned"

    def __init__(self, verdict: Verdict, *, decision_id: UUID) -> None:
        super().__init__("visit-refused", _advice(verdict), decision_id=str(decision_id), **verdict.to_json())
        self.verdict = verdict


class Claim(Protocol):
    """What an assignment also settles, such as a stop of a plan: asked and told under the debtor's lock."""

    def served_by(self) -> UUID | None:
        """Return the assignment that settled it already: then that one is the answer."""
        ...

    def serve(self, assignment: Assignment) -> None:
        """Write down that this assignment settles it, in the same transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Approval:
    """A supervisor's reason for a visit that needs approval. `before`: the decision that approved it once."""

    reason: str = ""
    before: Decision | None = None


def _advice(verdict: Verdict) -> str:
    named = ", ".join(
        dict.fromkeys(
            f"{reason.rule} {reason.slug}" for reason in verdict.reasons if reason.severity != "warn"
        )
    )
    if verdict.needs_approval:
        return f"Needs a supervisor, who assigns it with an approval_reason: {named}."
    if verdict.allowed_from is None:
        return f"Blocked until somebody acts on what `reasons` name: {named}."
    return f"Blocked now: {named}. The first start that nothing blocks is {stamp(verdict.allowed_from)}."


def check_assignment(wanted: WantedVisit, *, now: datetime) -> Verdict:
    """Judge a wanted visit and store nothing."""
    _require_sound(wanted, now=now)
    pack = pack_of_case(wanted.case_id, max(wanted.window_start, now))
    return judge(wanted, _facts(wanted, pack=pack, now=now), pack)


def assign(
    wanted: WantedVisit,
    *,
    actor: Actor,
    now: datetime,
    approval_reason: str = "",
    letters: Letters = (),
    claim: Claim | None = None,
) -> Assignment:
    """Reserve the visit in the debtor's budget and send it to the team, or raise VisitRefused.

    Reasons that need approval pass when a supervisor gives `approval_reason`. A `claim` is settled once:
    asked again, its first assignment is the answer, whatever became of it.
    """
    _require_sound(wanted, now=now)
    approval = Approval(approval_reason.strip())
    return _try(wanted, approval, actor=actor, now=now, letters=letters, claim=claim)


def reassign(
    assignment_id: UUID,
    *,
    team: tuple[UUID, ...],
    lead: UUID | None,
    reason: str,
    actor: Actor,
    now: datetime,
    approval_reason: str = "",
    letters: Letters = (),
) -> Assignment:
    """Give an assignment to another team: taken from the old phones and put on the new ones at once.

    Judged again under lock. What a supervisor approved for the old team stays approved, by them and for their
    reason; what the new team needs beyond it (a larger one: A10) is not.
    """
    old = find_assignment(assignment_id)
    _require_replaceable(old)
    wanted = wanted_again(old, team=team, lead=lead)
    approval = Approval(approval_reason.strip(), approval_of(old))
    _require_sound(wanted, now=now)
    return _try(wanted, approval, actor=actor, now=now, letters=letters, old=old, reason=reason)


def wanted_again(old: Assignment, *, team: tuple[UUID, ...], lead: UUID | None) -> WantedVisit:
    """Ask for the visit of an assignment once more, by this team, with the wish that was named for it."""
    named = db.session.get_one(Decision, old.decision_id).wanted.get("evidence_entry_id")
    return WantedVisit(
        case_id=old.case_id,
        address_id=old.address_id,
        window_start=old.window_start,
        window_end=old.window_end,
        team=team,
        lead=lead,
        ground=old.ground,
        evidence_entry_id=named and UUID(named),
    )


def _require_sound(wanted: WantedVisit, *, now: datetime) -> None:
    """Refuse what names unknown things or no time that could come, with a pointer to each fault."""
    faults: list[Fault] = []
    if wanted.window_end <= wanted.window_start:
        faults.append(Fault("/window/end", "Must be after the window's start."))
    elif wanted.window_end <= now:
        faults.append(Fault("/window/end", "Lies in the past."))
    elif wanted.window_end - wanted.window_start > LATEST:
        faults.append(Fault("/window/end", f"Lies more than {LATEST.days} days after the window's start."))
    if wanted.window_start > now + LATEST:
        faults.append(Fault("/window/start", f"Lies more than {LATEST.days} days ahead."))
    elif wanted.window_start < now - LATEST:
        faults.append(Fault("/window/start", f"Lies more than {LATEST.days} days back."))
    if len(set(wanted.team)) < len(wanted.team):
        faults.append(Fault("/team", "Names somebody twice."))
    visitors = sa.select(Staff.id).where(
        Staff.id.in_(wanted.team), Staff.roles.contains([Role.VISITOR.value])
    )
    known = set(db.session.scalars(visitors))
    faults += [
        Fault(f"/team/{place}", "There is no visitor with this id.")
        for place, staff_id in enumerate(wanted.team)
        if staff_id not in known
    ]
    if db.session.scalar(sa.select(Case.id).where(Case.id == wanted.case_id)) is None:
        faults.append(Fault("/case_id", "There is no case with this id."))
    if db.session.scalar(sa.select(Address.id).where(Address.id == wanted.address_id)) is None:
        faults.append(Fault("/address_id", "There is no address with this id."))
    if faults:
        detail = "Correct the fields listed in `errors` and ask again."
        raise Invalid("assignment-faulty", detail, faults=faults)


def approval_of(assignment: Assignment) -> Decision | None:
    """Return the decision on an assignment if a supervisor had to approve it."""
    decision = db.session.get_one(Decision, assignment.decision_id)
    return None if decision.approved_by is None else decision


def _require_replaceable(assignment: Assignment) -> None:
    if assignment.state not in REPLACEABLE:
        detail = f"The assignment is {assignment.state}; only one that nobody has started can be reassigned."
        raise Conflict("assignment-not-open", detail, state=assignment.state)


def _try(
    wanted: WantedVisit,
    approval: Approval,
    *,
    actor: Actor,
    now: datetime,
    letters: Letters,
    old: Assignment | None = None,
    reason: str = "",
    claim: Claim | None = None,
) -> Assignment:
    """Judge and reserve; again when somebody of the team was meanwhile sent to another debtor (X2)."""
    for _ in range(TRIES):
        try:
            with transaction():
                lock_visit(wanted)
                if claim is not None and (settled := claim.served_by()) is not None:
                    return db.session.get_one(Assignment, settled)
                if old is not None:
                    db.session.refresh(old, with_for_update=True)
                    _require_replaceable(old)
                judged = judge_and_record(wanted, approval, actor=actor, now=now, excluding=old and old.id)
                if old is not None and judged.decision.allowed:
                    chosen = Assignment.id == old.id
                    end_early(chosen, state="cancelled", reason=f"reassigned: {reason}", actor=actor, now=now)
                assignment = reserve(judged, letters=letters, old=old) if judged.decision.allowed else None
                if claim is not None and assignment is not None:
                    claim.serve(assignment)
        except IntegrityError as error:
            if not isinstance(error.orig, pg.ExclusionViolation):
                raise
            continue
        if assignment is None:
            raise VisitRefused(judged.verdict, decision_id=judged.decision.id)
        return assignment
    raise Conflict("team-contended", "Somebody of this team is being sent elsewhere right now; try again.")


def judge_and_record(
    wanted: WantedVisit, approval: Approval, *, actor: Actor, now: datetime, excluding: UUID | None
) -> Judged:
    """Judge and store the decision, whatever it says."""
    pack = pack_of_case(wanted.case_id, max(wanted.window_start, now))
    facts = _facts(wanted, pack=pack, now=now, excluding=excluding)
    verdict = judge(wanted, facts, pack)
    decision = _record(wanted, facts, verdict, approval=approval, actor=actor)
    return Judged(wanted=wanted, facts=facts, verdict=verdict, decision=decision, pack=pack)


def lock_visit(wanted: WantedVisit) -> None:
    """Lock the debtor (no other visit, no hold meanwhile) and the team (nobody leaves or is sent elsewhere).

    The exclusion constraint alone is not enough: two teams with one person, written at the same moment, each
    wait for the other, and PostgreSQL ends one of them as a deadlock.
    """
    of_case = sa.select(Case.debtor_id).where(Case.id == wanted.case_id).scalar_subquery()
    db.session.execute(sa.select(Debtor.id).where(Debtor.id == of_case).with_for_update())
    people = sa.select(Staff.id).where(Staff.id.in_(wanted.team)).order_by(Staff.id)
    db.session.execute(people.with_for_update(key_share=True))


def _facts(wanted: WantedVisit, *, pack: RulePack, now: datetime, excluding: UUID | None = None) -> CaseFacts:
    return load_case_facts(
        case_id=wanted.case_id,
        address_id=wanted.address_id,
        team=wanted.team,
        around=wanted.window_start,
        now=now,
        zone=pack.timezone,
        excluding=excluding,
    )


def _record(
    wanted: WantedVisit, facts: CaseFacts, verdict: Verdict, *, approval: Approval, actor: Actor
) -> Decision:
    """Store the judgement with everything needed to replay it, whatever it says."""
    approved_by, approval_reason = _approver(verdict, approval, actor=actor)
    decision = Decision(
        id=uuid7(),
        case_id=wanted.case_id,
        judged_at=verdict.judged_at,
        judged_for=actor.staff_id,
        allowed=verdict.allowed or approved_by is not None,
        pack=verdict.pack,
        wanted=to_json(wanted),
        facts=to_json(facts),
        verdict=verdict.to_json(),
        approved_by=approved_by,
        approval_reason=approval_reason,
    )
    db.session.add(decision)
    db.session.flush()
    return decision


def _approver(verdict: Verdict, approval: Approval, *, actor: Actor) -> tuple[UUID | None, str]:
    """Say who approves what needs it, and why; nobody where nothing needs it, or nobody did."""
    if not verdict.needs_approval:
        return None, ""
    if approval.reason and actor.has(Role.SUPERVISOR):
        return actor.staff_id, approval.reason
    before = approval.before
    needed = [reason for reason in verdict.reasons if reason.severity == "approval"]
    if before is not None and covers(before.verdict["reasons"], needed):
        return before.approved_by, before.approval_reason
    return None, ""
