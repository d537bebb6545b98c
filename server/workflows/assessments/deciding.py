"""What becomes of a proposal? (AMB8)

A supervisor upholds it or drops it, with a reason, once the person has replied to the month, or had the
time to reply to it and to each finding that it cites. Nobody decides their own, nor one about a visit that
they had a part in or a complaint that names them. Inside a range the supervisor chooses the amount. Nothing
is deducted by this product.
"""

from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import transaction
from server.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from server.models.assessments import MonthReply, ProposalDecision, hold_closings
from server.models.casework import Complaint
from server.models.findings import Finding, FindingReply, Hearing
from server.reports.assessment import Proposal
from server.workflows.assessment_facts import month_of
from server.workflows.assessments.closing import standing
from server.workflows.assessments.showing import of_person, reply_until
from server.workflows.separation import require_no_part, require_outside
from server.workflows.standing_packs import local_zone


def decide(
    day: date,
    staff_id: UUID,
    key: str,
    *,
    decision: str,
    amount_fen: int | None,
    reason: str,
    actor: Actor,
    now: datetime,
) -> ProposalDecision:
    """Uphold or drop a proposal, once. Repeating the same decision changes nothing."""
    if not reason.strip():
        raise Invalid("reason-missing", "Say why: a decision without a reason does not count.")
    if actor.staff_id == staff_id:
        raise Forbidden("own-proposal", "This proposal is about you; another supervisor must decide.")
    month = month_of(day, local_zone()).first
    with transaction() as session:
        hold_closings(session)
        proposal = _find(session, month, staff_id, key)
        _require_outside(session, proposal, actor)
        _require_hearing(session, month, staff_id, proposal, now=now)
        wanted = {
            "decision": decision,
            "amount_fen": _amount(proposal, decision, amount_fen),
            "reason": reason.strip(),
            "decided_by": actor.staff_id,
        }
        row = {"month": month, "staff_id": staff_id, "key": key, "decided_at": now, **wanted}
        session.execute(insert(ProposalDecision).values(row).on_conflict_do_nothing())
        stored = session.get_one(ProposalDecision, (month, staff_id, key), populate_existing=True)
        if any(getattr(stored, name) != value for name, value in wanted.items()):
            raise Conflict("already-decided", f"This proposal was {stored.decision}.", state=stored.decision)
    return stored


def _find(session: Session, month: date, staff_id: UUID, key: str) -> Proposal:
    closed = standing(session, month)
    if closed is None:
        raise Conflict("month-open", "Close the month first: an open month proposes nothing yet.")
    shown = of_person(month, staff_id)
    found = next((one for one in shown.assessment.proposals if one.key == key), None)
    if found is None:
        raise NotFound("proposal-unknown", "The closed month has no proposal of this key for this person.")
    return found


def _require_outside(session: Session, proposal: Proposal, actor: Actor) -> None:
    """Forbidden when the actor had a part in what a proposal cites."""
    cited = {one.id for one in proposal.evidence}
    visits = session.scalars(sa.select(Finding.visit_id).where(Finding.id.in_(cited))).all()
    require_no_part(session, visits, actor)
    for complaint in session.scalars(sa.select(Complaint).where(Complaint.id.in_(cited))):
        require_outside(session, complaint, actor)


def _require_hearing(
    session: Session, month: date, staff_id: UUID, proposal: Proposal, *, now: datetime
) -> None:
    """Conflict unless the person replied to the month, or let it and the findings it cites go unanswered."""
    closed = standing(session, month)
    assert closed is not None
    answered = sa.exists().where(
        FindingReply.finding_id == Hearing.finding_id, FindingReply.staff_id == staff_id
    )
    of_finding = sa.select(sa.func.reply_until(Hearing.finding_id, Hearing.due_at, staff_id))
    cited = {one.id for one in proposal.evidence}
    until = max(
        [reply_until(closed), *session.scalars(of_finding.where(Hearing.finding_id.in_(cited), ~answered))]
    )
    replied = sa.exists().where(
        MonthReply.month == month, MonthReply.staff_id == staff_id, MonthReply.at >= closed.closed_at
    )
    if now < until and not session.scalar(sa.select(replied)):
        raise Conflict(
            "not-heard-yet",
            f"The person has not replied and may until {until.isoformat()}.",
            reply_until=until.isoformat(),
        )


def _amount(proposal: Proposal, decision: str, wanted: int | None) -> int | None:
    """Return the amount that stands; Invalid where it is outside what the rule says."""
    if decision == "dropped":
        if wanted is not None:
            raise _refused("What is dropped costs nothing; name no amount.")
        return None
    if proposal.least_fen is None or proposal.most_fen is None:
        if wanted is not None:
            raise _refused("The source names no amount for this rule (AMB9); none can be chosen.")
        return None
    if wanted is None and proposal.least_fen == proposal.most_fen:
        return proposal.least_fen
    if wanted is None or not proposal.least_fen <= wanted <= proposal.most_fen:
        raise _refused(f"Choose an amount from {proposal.least_fen} to {proposal.most_fen} fen.")
    return wanted


def _refused(detail: str) -> Invalid:
    return Invalid("amount-not-possible", detail, faults=[Fault("/amount_fen", detail)])
