"""Who decides about a finding, who looks a second time, and when is a visit audited? (GOV2)

A decision is made once and stays; a supervisor's second look upholds or overturns it, once, and stays beside
it. Nobody decides about a visit they had a part in: checked here in words, held by triggers. Everything runs
under the visit's lock, as reconciliation does, so that queue, findings and decisions always agree.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from server.models.auditing import Audit
from server.models.breaches import BreachFinding
from server.models.evidence import Evidence
from server.models.findings import Finding, FindingComment, SecondLook
from server.models.visits import Visit
from server.reconcile.finding import RANK
from server.rules.catalogue import catalogue
from server.workflows.auditing.hearings import open_hearing, tell_phones
from server.workflows.auditing.scoring import put_in_queue, weigh_again_later
from server.workflows.separation import require_no_part
from sync.protocol import uuid7

RAISED: Final = "auditor"
"""How checks of findings are named that an auditor raised; the rule follows: a repeat breaks the same one."""


def decide(finding_id: UUID, *, decision: str, reason: str, actor: Actor, now: datetime) -> Finding:
    """Confirm or dismiss a finding, once. Repeating the same decision changes nothing.

    A confirmed one is told to the visitors, who may reply. Raises Forbidden when the auditor had a part in
    the visit, Conflict when it was decided otherwise or no longer stands.
    """
    told = _require_words("reason", reason, "Say why: a decision without a reason does not count.")
    with transaction() as session:
        finding = locked_finding(session, finding_id)
        require_no_part(session, [finding.visit_id], actor)
        if finding.state in ("confirmed", "dismissed"):
            if (finding.state, finding.decided_by, finding.reason) == (decision, actor.staff_id, told):
                return finding
            detail = f"This finding was {finding.state}. A supervisor may look at it a second time."
            raise Conflict("already-decided", detail, state=finding.state)
        if finding.state != "open":
            raise Conflict("finding-superseded", "Newer evidence settled this; there is nothing to decide.")
        finding.state, finding.reason = decision, told
        finding.decided_by, finding.decided_at = actor.staff_id, now
        session.flush()
        if decision == "confirmed":
            open_hearing(session, finding, now=now)
            weigh_again_later(finding, staff_id=session.get_one(Visit, finding.visit_id).staff_id)
        put_in_queue(session, [finding.visit_id])
        session.refresh(finding)
    return finding


def comment(finding_id: UUID, *, text: str, actor: Actor, now: datetime) -> FindingComment:
    """Note something about a finding, decided or not."""
    told = _require_words("text", text, "Write something.")
    with transaction() as session:
        _require_finding(session.get(Finding, finding_id))
        line = FindingComment(
            id=uuid7(), finding_id=finding_id, author_id=actor.staff_id, written_at=now, text=told
        )
        session.add(line)
    return line


def look_again(finding_id: UUID, *, outcome: str, reason: str, actor: Actor, now: datetime) -> SecondLook:
    """Uphold or overturn a decision, once; the decision itself stays as it was made.

    A dismissal that is overturned stands from now on and is told to the visitors; an overturned confirmation
    no longer stands, nor does a fraud that it proved (E6): a month closed before says that it has changed.
    Conflict while a breach holds it: withdraw that first.
    """
    told = _require_words("reason", reason, "Say why the decision is upheld or overturned.")
    with transaction() as session:
        finding = locked_finding(session, finding_id)
        require_no_part(session, [finding.visit_id], actor)
        if finding.decided_by is None:
            raise Conflict("not-decided", "There is no decision yet; an auditor decides first.")
        if finding.decided_by == actor.staff_id:
            raise Forbidden("same-person", "You made this decision; another supervisor must look at it.")
        known = session.scalar(sa.select(SecondLook).where(SecondLook.finding_id == finding_id))
        if known is not None:
            if (known.outcome, known.reviewer_id, known.reason) == (outcome, actor.staff_id, told):
                return known
            detail = f"A second look has {known.outcome} it already; there is no third."
            raise Conflict("already-looked-at", detail, outcome=known.outcome)
        if outcome == "overturned":
            _overturn(session, finding, now=now)
        look = SecondLook(
            id=uuid7(), finding_id=finding_id, reviewer_id=actor.staff_id, looked_at=now, outcome=outcome,
            reason=told,
        )  # fmt: skip
        session.add(look)
    return look


def _overturn(session: Session, finding: Finding, *, now: datetime) -> None:
    held = session.scalar(
        sa.select(BreachFinding.breach_id).where(BreachFinding.finding_id == finding.id).limit(1)
    )
    if held is not None:
        detail = "A breach was opened from this finding; withdraw the breach first."
        raise Conflict("breach-stands", detail, breach_id=str(held))
    finding.overturned = True
    session.flush()
    if finding.state == "dismissed":
        open_hearing(session, finding, now=now)
    else:
        tell_phones(session, finding.id)
    weigh_again_later(finding, staff_id=session.get_one(Visit, finding.visit_id).staff_id)


def raise_finding(
    visit_id: UUID, *, rule: str, severity: str, words: str, citation: dict[str, Any], actor: Actor,
    now: datetime,
) -> Finding:  # fmt: skip
    """Write down what an auditor saw and no check found (C7, C8). It is decided like any other finding.

    Saying the same again while it waits is the same finding.
    """
    told = _require_words("words", words, "Say what you saw.")
    if rule not in catalogue():
        fault = Fault("/rule", "Is no rule of the catalogue; see /api/v1/rules.")
        raise Invalid("rule-unknown", "Name the house rule that was broken.", faults=[fault])
    with transaction() as session:
        _lock_visit(session, visit_id)
        require_no_part(session, [visit_id], actor)
        _require_own_evidence(session, visit_id, citation.get("evidence_id"))
        finding_id = uuid7()
        seen = {"severity": severity, "observation": {"words": told}, "citation": citation}
        finding = Finding(
            id=finding_id, visit_id=visit_id, key=f"{RAISED}:{finding_id}", check=f"{RAISED}-{rule}",
            rule=rule, severity_rank=RANK[severity], confidence=1.0, claim="", found_at=now, state="open",
            raised_by=actor.staff_id, **seen,
        )  # fmt: skip
        if (standing := _raised_already(session, finding)) is not None:
            return standing
        session.add(finding)
        put_in_queue(session, [visit_id])
    return finding


def _raised_already(session: Session, new: Finding) -> Finding | None:
    """Return the undecided finding by which the same person said the same of the visit."""
    theirs = sa.select(Finding).where(
        Finding.visit_id == new.visit_id,
        Finding.raised_by == new.raised_by,
        Finding.check == new.check,
        Finding.state == "open",
    )
    said = new.severity, new.observation, new.citation
    found = session.scalars(theirs.order_by(Finding.id))
    return next((one for one in found if (one.severity, one.observation, one.citation) == said), None)


def _require_own_evidence(session: Session, visit_id: UUID, evidence_id: str | None) -> None:
    """Refuse to cite what nobody can look at, or what shows another visit."""
    mine = sa.select(Evidence.id).where(Evidence.id == evidence_id, Evidence.visit_id == visit_id)
    if evidence_id is not None and session.scalar(mine) is None:
        fault = Fault("/citation/evidence_id", "Is no evidence of this visit.")
        raise Invalid("evidence-unknown", "Cite evidence of this visit, or none.", faults=[fault])


def conclude(visit_id: UUID, *, note: str, actor: Actor, now: datetime) -> Audit:
    """Say that a visit was audited: it leaves the queue, until something new is found in it.

    Conflict while a finding is undecided. It is sound when no finding stands. Saying the same again of a
    visit that has not come back is the same conclusion.
    """
    told = _require_words("note", note, "Say what you looked at.")
    with transaction() as session:
        _lock_visit(session, visit_id)
        require_no_part(session, [visit_id], actor)
        states = session.execute(
            sa.select(Finding.state, Finding.stands, Finding.decided_at).where(Finding.visit_id == visit_id)
        ).all()
        undecided = sum(one.state == "open" for one in states)
        if undecided:
            detail = f"{undecided} of its findings are undecided; confirm or dismiss each, then conclude."
            raise Conflict("findings-undecided", detail, undecided=undecided)
        outcome = "not_sound" if any(one.stands for one in states) else "sound"
        decided = max((one.decided_at for one in states if one.decided_at is not None), default=None)
        said = (actor.staff_id, outcome, told)
        if (standing := _concluded_already(session, visit_id, said, since=decided)) is not None:
            return standing
        audit = Audit(
            id=uuid7(), visit_id=visit_id, auditor_id=actor.staff_id, concluded_at=now,
            outcome=outcome, note=told,
        )  # fmt: skip
        session.add(audit)
        put_in_queue(session, [visit_id])
    return audit


def _concluded_already(
    session: Session, visit_id: UUID, said: tuple[UUID | None, str, str], *, since: datetime | None
) -> Audit | None:
    """Return the last conclusion if it says the same and nothing was decided since."""
    query = sa.select(Audit).where(Audit.visit_id == visit_id).order_by(Audit.id.desc()).limit(1)
    last = session.scalar(query)
    if last is None or (last.auditor_id, last.outcome, last.note) != said:
        return None
    return last if since is None or since <= last.concluded_at else None


def locked_finding(session: Session, finding_id: UUID) -> Finding:
    """Lock a finding's visit, then the finding, and return it as it stands."""
    visit_id = session.scalar(sa.select(Finding.visit_id).where(Finding.id == finding_id))
    if visit_id is not None:
        session.execute(sa.select(Visit.id).where(Visit.id == visit_id).with_for_update(key_share=True))
    return _require_finding(session.get(Finding, finding_id, with_for_update=True, populate_existing=True))


def _lock_visit(session: Session, visit_id: UUID) -> None:
    query = sa.select(Visit.reconciled_at).where(Visit.id == visit_id).with_for_update(key_share=True)
    row = session.execute(query).first()
    if row is None:
        raise NotFound("visit-unknown", "There is no visit with this id.")
    if row.reconciled_at is None:
        detail = "Its account and evidence were not reconciled yet; it will be in the queue once they are."
        raise Conflict("not-reconciled", detail)


def _require_finding(finding: Finding | None) -> Finding:
    if finding is None:
        raise NotFound("finding-unknown", "There is no finding with this id.")
    return finding


def _require_words(name: str, text: str, advice: str) -> str:
    told = text.strip()
    if not told:
        raise Invalid(f"{name}-missing", advice, faults=[Fault(f"/{name}", advice)])
    return told


def history_of(finding_id: UUID) -> tuple[Finding, Any, Any]:
    """Return a finding, its comments oldest first, and its second look if there is one."""
    finding = _require_finding(db.session.get(Finding, finding_id))
    comments = db.session.scalars(
        sa.select(FindingComment).where(FindingComment.finding_id == finding_id).order_by(FindingComment.id)
    ).all()
    look = db.session.scalar(sa.select(SecondLook).where(SecondLook.finding_id == finding_id))
    return finding, comments, look
