"""May this letter be written or leave now, to whom, and with which numbers?

`write` makes one in the caller's transaction, under the debtor's lock: with an assignment, or from the desk.
What it names is a snapshot of the case; the text is linted again, because data can bring words in.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from server.database import db
from server.errors import Conflict, Fault, Invalid
from server.letters.lint import lint
from server.letters.rendering import Merged, digest, make_pairing_code, render
from server.letters.template import Template
from server.models.cases import Case, Client, Contact, Debtor, Hold
from server.models.letters import Letter, LetterTemplate
from server.rules.calendar import ONE_DAY
from server.rules.local_time import at_local, local_day
from server.rules.pack import RulePack
from sync.protocol import uuid7


@dataclass(frozen=True, slots=True)
class WantedLetter:
    """A letter somebody asks for. `template` is the client's reference; `contact_id` a liable person's."""

    template: str
    recipient: str
    contact_id: UUID | None = None
    pay_by: date | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A letter with the template it was written from. Not yet in the session."""

    letter: Letter
    template: LetterTemplate

    def for_permit(self) -> dict[str, Any]:
        """Say what the team carries: which words, to whom, and how to tell the envelope (H1)."""
        return {
            "letter_id": str(self.letter.id),
            "template": self.template.reference,
            "version": self.template.version,
            "kind": self.template.kind,
            "recipient": self.letter.recipient,
            "pairing_code": self.letter.pairing_code,
            "sha256": self.letter.sha256.hex(),
        }


def write_all(
    case_id: UUID,
    wanted: Sequence[Mapping[str, Any]],
    *,
    pack: RulePack,
    written_by: UUID | None,
    now: datetime,
) -> tuple[Written, ...]:
    """Write an assignment's letters; faults point at /letters/n. The caller adds them to the session."""
    if not wanted:
        return ()
    case = db.session.get_one(Case, case_id)
    require_writable(case, pack=pack, now=now)
    return tuple(
        write(case, WantedLetter(**one), pack=pack, written_by=written_by, now=now, at=f"/letters/{place}")
        for place, one in enumerate(wanted)
    )


def require_writable(case: Case, *, pack: RulePack, now: datetime) -> None:
    """Refuse letters on a stopped case (D4, D18), or on an old balance (C4)."""
    require_unstopped(case)
    today, oldest = local_day(now, pack.zone), pack.balance_max_age_days
    if case.balance_as_of is None or (today - case.balance_as_of).days > oldest:
        as_of = None if case.balance_as_of is None else case.balance_as_of.isoformat()
        detail = f"The balance is older than {oldest} days: import the client's newest file first (C4)."
        raise Conflict("balance-stale", detail, balance_as_of=as_of)


def require_unstopped(case: Case) -> None:
    """Refuse letters on a closed or paid case (D18) or under a hold (D4, D8, D11, D25).

    The answer stands as long as the caller holds the debtor's lock, which every stop takes.
    """
    if case.state == "closed":
        raise Conflict("case-closed", "The case is closed; no letter leaves any more (D18).")
    if case.outstanding_fen <= 0:
        raise Conflict("nothing-owed", "Nothing is owed on this case; no letter leaves (D18).")
    reasons = _holds_of(case, Hold.released_at.is_(None))
    if reasons:
        detail = "The case is stopped; release what `holds` names first (D4)."
        raise Conflict("case-held", detail, holds=list(reasons))


def require_unstopped_on(case: Case, day: date, *, zone: ZoneInfo) -> None:
    """Refuse a posting on a day that lay wholly after the case's closing (D18) or within a hold (D4).

    What was posted before a stop, or on the day of it, may have gone out rightly and stays on record (H11).
    """
    begins, ends = (at_local(one, time.min, zone) for one in (day, day + ONE_DAY))
    advice = "Take the letter back; if it left all the same, write that into the contact ledger (H11)."
    if case.closed_at is not None and case.closed_at < begins:
        raise Conflict("case-closed", f"The case was closed before {day} (D18). {advice}")
    stood = sa.or_(Hold.released_at.is_(None), Hold.released_at >= ends)
    reasons = _holds_of(case, Hold.raised_at < begins, stood)
    if reasons:
        detail = f"On {day} the case was stopped by what `holds` names (D4). {advice}"
        raise Conflict("case-held", detail, holds=list(reasons))


def _holds_of(case: Case, *which: sa.ColumnElement[bool]) -> Sequence[str]:
    concerning = sa.or_(Hold.scope == "debtor", Hold.case_id == case.id)
    query = sa.select(Hold.reason).where(Hold.debtor_id == case.debtor_id, concerning, *which)
    return db.session.scalars(query.order_by(Hold.raised_at)).all()


def write(
    case: Case, wanted: WantedLetter, *, pack: RulePack, written_by: UUID | None, now: datetime, at: str = ""
) -> Written:
    """Write one letter on a case that is writable: approved words (H2), liable recipient (H5), one snapshot
    of the numbers (C10), the copy with its digest (H4, H20). `at` is where the request asked for it.
    """
    template = _standing(case.client_id, wanted.template, at=at)
    contact = _liable(case, wanted, at=at)
    pay_by = _pay_by(case, wanted, template=template, today=local_day(now, pack.zone), at=at)
    code = make_pairing_code(secrets.choice)
    content = _rendered(case, template, contact, pay_by=pay_by, code=code, at=at)
    letter = Letter(
        id=uuid7(),
        case_id=case.id,
        debtor_id=case.debtor_id,
        template_id=template.id,
        recipient=wanted.recipient,
        contact_id=contact and contact.id,
        content=content,
        sha256=digest(content),
        outstanding_fen=case.outstanding_fen,
        balance_as_of=case.balance_as_of,
        pay_by=pay_by,
        pairing_code=code,
        state="issued",
        issued_at=now,
        issued_by=written_by,
    )
    return Written(letter, template)


def _fault(slug: str, pointer: str, detail: str) -> Invalid:
    return Invalid(slug, "Correct what `errors` lists and ask again.", faults=[Fault(pointer, detail)])


def _standing(client_id: UUID, reference: str, *, at: str) -> LetterTemplate:
    """Return the standing template of the case's own client; nobody writes letters of their own (H2)."""
    query = sa.select(LetterTemplate).where(
        LetterTemplate.client_id == client_id,
        LetterTemplate.reference == reference,
        LetterTemplate.withdrawn_at.is_(None),
    )
    found = db.session.scalar(query.with_for_update(read=True, key_share=True))
    if found is None:
        detail = (
            "No approved template of this client stands under this reference; see GET /letter-templates (H2)."
        )
        raise _fault("template-unknown", f"{at}/template", detail)
    return found


def _liable(case: Case, wanted: WantedLetter, *, at: str) -> Contact | None:
    """Return the liable person a letter goes to; None is the debtor. Nobody else is written to (H5, H14)."""
    pointer = f"{at}/contact_id"
    if wanted.recipient == "debtor":
        if wanted.contact_id is not None:
            raise _fault("recipient-unclear", pointer, "The debtor is no contact: leave it out.")
        return None
    query = sa.select(Contact).where(Contact.case_id == case.id)
    if wanted.contact_id is None:
        liable = db.session.scalars(query.where(Contact.liable).limit(2)).all()
        if len(liable) != 1:
            raise _fault("recipient-unclear", pointer, "Name which liable person of the case (H5).")
        return _require_willing(liable[0], pointer=pointer)
    contact = db.session.scalar(query.where(Contact.id == wanted.contact_id))
    if contact is None:
        raise _fault("contact-unknown", pointer, "The case has no contact with this id.")
    if not contact.liable:
        raise _fault("recipient-not-liable", pointer, "Only liable persons receive letters (H5).")
    return _require_willing(contact, pointer=pointer)


def _require_willing(contact: Contact, *, pointer: str) -> Contact:
    """Refuse a liable person who wants no contact (D24)."""
    if contact.stop_contact or contact.refused_at is not None:
        raise _fault("contact-stopped", pointer, "This person wants no contact (D24).")
    return contact


def _pay_by(
    case: Case, wanted: WantedLetter, *, template: LetterTemplate, today: date, at: str
) -> date | None:
    """Return the day to pay by: what an earlier letter on the same numbers said, else the wish (C10)."""
    if "pay_by" not in template_of(template).names:
        return None
    said = db.session.scalar(
        sa.select(Letter.pay_by)
        .where(
            Letter.case_id == case.id,
            Letter.state != "void",
            Letter.pay_by >= today,
            Letter.outstanding_fen == case.outstanding_fen,
            Letter.balance_as_of == case.balance_as_of,
        )
        .order_by(Letter.id.desc())
        .limit(1)
    )
    pointer, day = f"{at}/pay_by", wanted.pay_by or said
    if day is None:
        raise _fault("pay-by-missing", pointer, "This template names a day to pay by; give one.")
    if day < today:
        raise _fault("pay-by-past", pointer, "Lies in the past.")
    if said is not None and day != said:
        raise _fault("pay-by-differs", pointer, f"An earlier letter on this balance says {said} (C10).")
    return day


def template_of(row: LetterTemplate) -> Template:
    """Return a stored template's words."""
    return Template(
        kind=row.kind,
        title=row.title,
        body=row.body,
        agency_name=row.agency_name,
        agency_phone=row.agency_phone,
        parts=row.parts,
    )


def _rendered(
    case: Case, row: LetterTemplate, contact: Contact | None, *, pay_by: date | None, code: str, at: str
) -> str:
    """Merge the data and lint the finished words: nothing leaves that a template could not say (H3, H17)."""
    debtor = db.session.get_one(Debtor, case.debtor_id)
    name = (debtor if contact is None else contact).name
    if not name:
        raise _fault(
            "name-missing", f"{at}/recipient", "The recipient's name is not on file; import it first."
        )
    assert case.balance_as_of is not None  # require_writable refused it
    data = Merged(
        case_reference=case.reference,
        recipient_name=name,
        outstanding_fen=case.outstanding_fen,
        balance_as_of=case.balance_as_of,
        pay_by=pay_by,
        client_name=db.session.get_one(Client, case.client_id).name,
        pairing_code=code,
    )
    text = render(template_of(row), data)
    identities = {debtor.id_number, debtor.phone, case.account_number}
    known = {row.agency_phone} | ({case.reference} - identities)
    hits = lint(text, kind=row.kind, known=known)
    if hits:
        said = "; ".join(f"{hit.advice} ({hit.rule})" for hit in hits)
        raise _fault(
            "letter-unfit", f"{at}/template", f"With this case's data the letter would break: {said}"
        )
    return text
