"""Who stops everything on a case, and by whose word may it go on?

Raising is shared with the phones; releasing needs the instruction of whoever may give it for that reason,
kept as a record of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.models.cases import Case, Hold
from server.models.casework import ClientNotice, Complaint, Incident, Instruction
from server.rules.local_time import local_day
from server.workflows.casework_history import Origin
from server.workflows.complaints import stop_for_complaint
from server.workflows.notice_wording import CHINA
from server.workflows.recounting import recount_later
from server.workflows.still_kept import of_case, require_kept
from server.workflows.stopping import raise_hold

GIVERS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "do_not_collect": ("client",),
    "deceased": ("client",),
    "imprisoned": ("client",),
    "identity_disputed": ("client",),
    "transaction_denied": ("client",),
    "activation_denied": ("client",),
    "amount_disputed": ("client",),
    "paid": ("client",),
    "stop_requested": ("debtor", "client"),
    "complaint": ("supervisor",),
    "other": ("supervisor", "client", "debtor"),
}
ADVICE_OF: Final[Mapping[str, str]] = {
    "paid": "Payment closes the case (D18); it goes on only when the client writes that it was not paid.",
    "stop_requested": "Only the debtor, or the client in writing, can take the wish to stop back.",
    "complaint": "A supervisor releases it, once its complaints are resolved (D25).",
}
ONLY_THE_CLIENT: Final = "Only the client's written instruction allows this (D9): set given_by to client."


@dataclass(frozen=True, slots=True)
class Word:
    """An instruction: what it says, whose it is, and the letter or e-mail it came with."""

    text: str
    given_by: str = "supervisor"
    reference: str = ""
    received_on: date | None = None


@dataclass(frozen=True, slots=True)
class OpenHold:
    """An open hold with what a supervisor needs to see of its case and its notice."""

    hold: Hold
    case_reference: str
    notice: ClientNotice | None


def stop(case: Case, *, reason: str, words: str, origin: Origin, now: datetime) -> Hold:
    """Hold a case for any reason, in the caller's transaction; a complaint gets its file as well (D25)."""
    if reason == "complaint":
        return stop_for_complaint(case, words=words, origin=origin, now=now)
    return raise_hold(
        case,
        reason=reason,
        note=words,
        raised_by=origin.staff_id,
        raised_by_item=origin.item_id,
        now=now,
    )


def raise_on_case(case_id: UUID, *, reason: str, note: str, actor: Actor, now: datetime) -> Hold:
    """Hold a case, or all cases of its debtor if the reason says so; open assignments end in the same moment.

    The same reason standing already on the case is returned as it is.
    """
    with transaction() as session:
        require_kept(session, of_case(case_id))
        case = session.get(Case, case_id)
        if case is None:
            raise NotFound("case-unknown", "There is no case with this id.")
        hold = stop(case, reason=reason, words=note, origin=Origin(actor.staff_id), now=now)
    return hold


def holds_on(case_id: UUID, *, is_open: bool | None = None) -> Sequence[Hold]:
    """Return the holds that stop this case, its debtor's included, newest first."""
    debtor_id = db.session.scalar(sa.select(Case.debtor_id).where(Case.id == case_id))
    if debtor_id is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    concerns_debtor = sa.and_(Hold.debtor_id == debtor_id, Hold.scope == "debtor")
    query = sa.select(Hold).where(sa.or_(Hold.case_id == case_id, concerns_debtor))
    if is_open is not None:
        query = query.where(Hold.released_at.is_(None) if is_open else Hold.released_at.is_not(None))
    return db.session.scalars(query.order_by(Hold.raised_at.desc(), Hold.id.desc())).all()


def open_holds(
    *, reason: str | None, overdue_notice: bool | None, after: UUID | None, limit: int, now: datetime
) -> list[OpenHold]:
    """Return one page of all open holds, oldest first; `overdue_notice`: the client should know by now."""
    query = (
        sa.select(Hold, Case.reference, ClientNotice)
        .join(Case, Case.id == Hold.case_id)
        .outerjoin(ClientNotice, ClientNotice.hold_id == Hold.id)
        .where(Hold.released_at.is_(None))
        .order_by(Hold.id)
        .limit(limit)
    )
    if reason is not None:
        query = query.where(Hold.reason == reason)
    if after is not None:
        query = query.where(Hold.id > after)
    if overdue_notice is not None:
        is_late = sa.and_(
            ClientNotice.state == "drafted",
            sa.or_(
                ClientNotice.due_at < now,
                sa.and_(ClientNotice.oral_report_due_at < now, ClientNotice.oral_reported_at.is_(None)),
            ),
        )
        query = query.where(sa.func.coalesce(is_late, False).is_(overdue_notice))
    return [OpenHold(*row) for row in db.session.execute(query)]


def release(hold_id: UUID, word: Word, *, actor: Actor, now: datetime) -> Hold:
    """Let work go on, by the instruction of whoever may give it for this reason (D4, D9, D11, D25).

    Repeating with the same instruction changes nothing; Conflict when it was released by another one, or
    while a complaint or incident behind it is unsettled.
    """
    text = word.text.strip()
    with transaction() as session:
        hold = _locked(session, hold_id)
        if hold.released_at is not None:
            if (hold.released_by, hold.release_instruction) == (actor.staff_id, text):
                return hold
            raise Conflict("hold-released", "This hold was released already.", released_at=hold.released_at)
        _require_authority(hold, word, today=local_day(now, CHINA))
        _require_settled(session, hold)
        hold.released_at, hold.released_by, hold.release_instruction = now, actor.staff_id, text
        recount_later(cases=[hold.case_id])
        session.add(
            Instruction(
                hold_id=hold.id,
                given_by=word.given_by,
                reference=word.reference.strip(),
                received_on=word.received_on,
                recorded_at=now,
                recorded_by=actor.staff_id,
            )
        )
    return hold


def _locked(session: Session, hold_id: UUID) -> Hold:
    """Lock the debtor, so that no complaint is raised meanwhile, and return the hold as it is now."""
    if session.get(Hold, hold_id) is None:
        raise NotFound("hold-unknown", "There is no hold with this id.")
    require_kept(session, sa.select(Hold.debtor_id).where(Hold.id == hold_id))
    return session.get_one(Hold, hold_id, populate_existing=True)


def _require_authority(hold: Hold, word: Word, *, today: date) -> None:
    """Refuse an instruction of the wrong person, or a client's word without its evidence (D9)."""
    faults: list[Fault] = []
    if not word.text.strip():
        faults.append(Fault("/instruction", "Name the instruction that allows work to go on."))
    if word.given_by not in GIVERS_OF[hold.reason]:
        faults.append(Fault("/given_by", ADVICE_OF.get(hold.reason, ONLY_THE_CLIENT)))
    elif word.given_by == "client":
        if not word.reference.strip():
            faults.append(Fault("/reference", "Name the letter or e-mail of the client."))
        if word.received_on is None:
            faults.append(Fault("/received_on", "Say when the client's instruction was received."))
    if word.received_on is not None and word.received_on > today:
        faults.append(Fault("/received_on", "Lies in the future."))
    if word.received_on is not None and word.received_on < local_day(hold.raised_at, CHINA):
        faults.append(Fault("/received_on", "Was received before the hold was raised; it means another."))
    if faults:
        allowed: Any = list(GIVERS_OF[hold.reason])
        detail = f"A hold for {hold.reason} needs another instruction; `errors` says which."
        raise Invalid("instruction-insufficient", detail, faults=faults, given_by=allowed)


def _require_settled(session: Session, hold: Hold) -> None:
    """Refuse while a complaint behind the hold is unresolved (D25) or an incident unclosed (GOV1)."""
    complaints = session.scalars(
        sa.select(Complaint.id).where(Complaint.hold_id == hold.id, Complaint.resolved_at.is_(None))
    ).all()
    if complaints:
        detail = "Resolve the complaints behind this hold first."
        raise Conflict("complaint-unresolved", detail, complaints=[str(one) for one in complaints])
    incidents = session.scalars(
        sa.select(Incident.id).where(Incident.hold_id == hold.id, Incident.closed_at.is_(None))
    ).all()
    if incidents:
        detail = "Close the incidents behind this hold first."
        raise Conflict("incident-unclosed", detail, incidents=[str(one) for one in incidents])
