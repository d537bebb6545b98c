"""What does the desk do with letters: write, read, seal, void?

A letter's text is shown to those who say why, and the read is logged first. The digest is compared at every
read: a filed copy that was altered is not shown as if it were the letter.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.letters.rendering import digest
from server.models.access import AccessEntry
from server.models.cases import Case, Debtor
from server.models.letters import UNDELIVERED, Delivery, Letter, LetterTemplate
from server.workflows.letters import WantedLetter, require_unstopped, require_writable, write
from server.workflows.standing_packs import pack_of_case
from server.workflows.still_kept import of_letter, require_kept


@dataclass(frozen=True, slots=True)
class LetterFile:
    """A letter with its template and everything that became of it."""

    letter: Letter
    template: LetterTemplate
    deliveries: Sequence[Delivery]


def issue(case_id: UUID, wanted: WantedLetter, *, actor: Actor, now: datetime) -> LetterFile:
    """Write a letter that goes by post, or that an assignment did not carry (H2, H5, C4, C10).

    Nothing but a standing case is asked for: letters run beside calls and follow them (H12, H13).
    """
    pack = pack_of_case(case_id, now)
    with transaction() as session:
        _lock_debtor(session, sa.select(Case.debtor_id).where(Case.id == case_id))
        case = session.get(Case, case_id, populate_existing=True)
        if case is None:
            raise NotFound("case-unknown", "There is no case with this id.")
        require_writable(case, pack=pack, now=now)
        written = write(case, wanted, pack=pack, written_by=actor.staff_id, now=now)
        session.add(written.letter)
    return LetterFile(written.letter, written.template, ())


def _lock_debtor(session: Session, debtor_id: sa.Select[UUID]) -> None:
    """Wait for the debtor's row, as stops do: whoever comes second sees the other's work."""
    session.execute(sa.select(Debtor.id).where(Debtor.id == debtor_id.scalar_subquery()).with_for_update())


def list_letters(case_id: UUID, *, after: UUID | None, limit: int) -> Sequence[LetterFile]:
    """Return one page of a case's filed letters, oldest first (H20)."""
    if db.session.get(Case, case_id) is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    query = sa.select(Letter).where(Letter.case_id == case_id).order_by(Letter.id).limit(limit)
    if after is not None:
        query = query.where(Letter.id > after)
    return _files(db.session.scalars(query).all())


def open_letter(letter_id: UUID) -> LetterFile:
    """Return a letter with what became of it, without its text."""
    letter = db.session.get(Letter, letter_id, populate_existing=True)
    if letter is None:
        raise NotFound("letter-unknown", "There is no letter with this id.")
    return _files([letter])[0]


def _files(letters: Sequence[Letter]) -> list[LetterFile]:
    ids = [letter.id for letter in letters]
    found = sa.select(Delivery).where(Delivery.letter_id.in_(ids)).order_by(Delivery.id)
    deliveries = db.session.scalars(found.execution_options(populate_existing=True)).all()
    used = {letter.template_id for letter in letters}
    rows = db.session.scalars(sa.select(LetterTemplate).where(LetterTemplate.id.in_(used)))
    templates = {row.id: row for row in rows}
    return [
        LetterFile(one, templates[one.template_id], [d for d in deliveries if d.letter_id == one.id])
        for one in letters
    ]


def read_content(letter_id: UUID, *, reason: str, actor: Actor, now: datetime) -> Letter:
    """Log who reads a letter and why, then return it with its text (H4). Without the log nothing is shown."""
    if not reason.strip():
        fault = Fault("/reason", "Say what you need it for.")
        raise Invalid("reason-missing", "Reading a letter needs a reason.", faults=[fault])
    with transaction() as session:
        letter = _lock(session, letter_id)
        session.add(
            AccessEntry(
                at=now,
                staff_id=actor.staff_id,
                action="read-letter",
                entity_kind="letter",
                entity_id=letter_id,
                fields=["content"],
                reason=reason.strip(),
            )
        )
    if not secrets.compare_digest(digest(letter.content), letter.sha256):
        raise Conflict("letter-altered", "The filed copy does not match its digest; report it to an admin.")
    return letter


def _lock(session: Session, letter_id: UUID) -> Letter:
    letter = session.get(Letter, letter_id, with_for_update=True, populate_existing=True)
    if letter is None:
        raise NotFound("letter-unknown", "There is no letter with this id.")
    return letter


def seal(letter_id: UUID, *, letter_code: str, envelope_code: str, actor: Actor, now: datetime) -> LetterFile:
    """Record that the stamped letter went into its own envelope: both codes are the letter's (H1, H18).

    The first sealing stands. Raises Conflict when a code is another letter's, or when the case was stopped
    since the letter was written (D4, D8, D18, D25).
    """
    with transaction() as session:
        _lock_debtor(session, sa.select(Letter.debtor_id).where(Letter.id == letter_id))
        letter = _lock(session, letter_id)
        if letter.state not in UNDELIVERED:
            raise Conflict("letter-not-open", f"The letter is {letter.state}; it is not sealed any more.")
        for said in (letter_code, envelope_code):
            if said.strip().upper() != letter.pairing_code:
                detail = (
                    "Letter and envelope do not belong together: take it out and compare both codes (H1)."
                )
                raise Conflict("pairing-differs", detail)
        if letter.sealed_at is None:
            require_unstopped(session.get_one(Case, letter.case_id, populate_existing=True))
            letter.sealed_at, letter.sealed_by, letter.state = now, actor.staff_id, "handed_over"
    return open_letter(letter_id)


def void(letter_id: UUID, *, reason: str) -> LetterFile:
    """Take back a letter that has not reached anybody; its copy stays on file (H20)."""
    if not reason.strip():
        fault = Fault("/reason", "Say why the letter is taken back.")
        raise Invalid("reason-missing", "Taking back a letter needs a reason.", faults=[fault])
    with transaction() as session:
        require_kept(session, of_letter(letter_id))
        letter = _lock(session, letter_id)
        if letter.state not in (*UNDELIVERED, "void"):
            raise Conflict("letter-not-open", f"The letter is {letter.state}; it cannot be taken back.")
        if letter.state != "void":
            letter.state, letter.void_reason = "void", reason.strip()
    return open_letter(letter_id)
