"""What does the office know of a case, and what may it write on it?

Reads give rows; who may see what is masked by the API. An unmasked read is a write: the access log says
who, when, what and why before anything is shown (I4). Files of the clients come in through `imports`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.deadlines.timetable import timetable
from server.errors import Conflict, Fault, Invalid, NotFound
from server.jobs import enqueue
from server.models.access import AccessEntry
from server.models.assignments import announce_again
from server.models.cases import Address, Case, Client, Contact, Debtor, Hold, LedgerEntry
from server.models.dispatch import Assignment
from server.models.visits import Visit
from server.rules.json_form import stamp
from server.rules.local_time import local_day
from server.workflows.recounting import recount_later
from server.workflows.rejudging import rejudge_later
from server.workflows.standing_packs import local_zone
from server.workflows.still_kept import of_case, require_kept
from sync.protocol import uuid7

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
UNMASKED_FIELDS: Final = (
    "debtor.name",
    "debtor.id_number",
    "debtor.phone",
    "account_number",
    "addresses.text",
    "contacts.name",
    "contacts.phone",
)


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with everything around it."""

    case: Case
    client: Client
    debtor: Debtor
    addresses: Sequence[Address]
    contacts: Sequence[Contact]
    holds: Sequence[Hold]


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A contact with the debtor or about the case, as somebody in the office writes it down."""

    channel: str
    at: datetime
    effective: bool = False
    connected: bool | None = None
    counterpart: str = ""
    result: str = ""
    received_on: date | None = None
    asks_for_visit: bool = False
    visit_on: date | None = None
    visit_id: UUID | None = None
    reference: str | None = None


def queue_of(case: Case, today: date) -> str:
    """Say whose queue a case is in: more than thirty days overdue, it is the headquarters' (D30)."""
    last = today - timedelta(days=timetable().headquarters_after_days)
    return "headquarters" if case.overdue_since is not None and case.overdue_since < last else "branch"


def list_cases(
    *,
    client: str | None,
    state: str | None,
    reference: str | None,
    queue: str | None,
    after: UUID | None,
    limit: int,
    today: date,
) -> Sequence[Any]:
    """Return one page of (Case, Debtor, Client) in the order of ids."""
    query = (
        sa.select(Case, Debtor, Client)
        .join(Debtor, Debtor.id == Case.debtor_id)
        .join(Client, Client.id == Case.client_id)
        .order_by(Case.id)
        .limit(limit)
    )
    if client is not None:
        query = query.where(Client.reference == client)
    if state is not None:
        query = query.where(Case.state == state)
    if reference is not None:
        query = query.where(Case.reference == reference)
    if queue is not None:
        last = today - timedelta(days=timetable().headquarters_after_days)
        is_old = sa.func.coalesce(Case.overdue_since < last, False)
        query = query.where(is_old if queue == "headquarters" else ~is_old)
    if after is not None:
        query = query.where(Case.id > after)
    return db.session.execute(query).all()


def find_client(reference: str) -> Client:
    """Return the client of a reference; Invalid at /client when there is none."""
    client = db.session.scalar(sa.select(Client).where(Client.reference == reference))
    if client is None:
        fault = Fault("/client", "No client has this reference.")
        raise Invalid("client-unknown", "Name a client as the imports do.", faults=[fault])
    return client


def open_case(case_id: UUID) -> CaseFile:
    """Load a case with debtor, addresses, contacts and the holds that stop it."""
    case = db.session.get(Case, case_id)
    if case is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    stops = sa.or_(Hold.case_id == case.id, sa.and_(Hold.debtor_id == case.debtor_id, Hold.scope == "debtor"))
    holds = sa.select(Hold).where(stops, Hold.released_at.is_(None)).order_by(Hold.raised_at, Hold.id)
    return CaseFile(
        case=case,
        client=db.session.get_one(Client, case.client_id),
        debtor=db.session.get_one(Debtor, case.debtor_id),
        addresses=_of_case(Address, case_id),
        contacts=_of_case(Contact, case_id),
        holds=db.session.scalars(holds).all(),
    )


def _of_case(model: type[Any], case_id: UUID) -> Sequence[Any]:
    return db.session.scalars(sa.select(model).where(model.case_id == case_id).order_by(model.id)).all()


def unmask(case_id: UUID, *, reason: str, actor: Actor, now: datetime) -> CaseFile:
    """Log the unmasked read, then load the case. Without the log entry nothing is shown."""
    if not reason.strip():
        fault = Fault("/reason", "Say what you need it for.")
        raise Invalid("reason-missing", "An unmasked read needs a reason.", faults=[fault])
    with transaction() as session:
        _lock_case(session, case_id)
        session.add(
            AccessEntry(
                at=now,
                staff_id=actor.staff_id,
                action="unmask",
                entity_kind="case",
                entity_id=case_id,
                fields=list(UNMASKED_FIELDS),
                reason=reason.strip(),
            )
        )
    return open_case(case_id)


def _lock_case(session: Session, case_id: UUID) -> Case:
    query = sa.select(Case).where(Case.id == case_id).with_for_update(key_share=True)
    case = session.scalar(query.execution_options(populate_existing=True))
    if case is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    return case


def list_ledger(case_id: UUID, *, before: UUID | None, limit: int) -> Sequence[LedgerEntry]:
    """Return one page of a case's contact ledger, newest first; `before` is the last id seen."""
    if db.session.get(Case, case_id) is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    query = sa.select(LedgerEntry).where(LedgerEntry.case_id == case_id)
    last = db.session.get(LedgerEntry, before) if before is not None else None
    if last is not None:
        query = query.where(sa.tuple_(LedgerEntry.at, LedgerEntry.id) < (last.at, last.id))
    return db.session.scalars(query.order_by(LedgerEntry.at.desc(), LedgerEntry.id.desc()).limit(limit)).all()


def add_ledger_entry(case_id: UUID, entry: NewEntry, *, actor: Actor, now: datetime) -> LedgerEntry:
    """Write a contact into the ledger. The same reference with the same content is written once.

    A visit that took place may leave too little for those still planned (A2, A3, A9): they are judged again,
    and so are the debtor's visits near it. One that names the phones' own visit counts as no other; an entry
    that lacks the name gets it when it is repeated. Raises Invalid when the entry lies in the future, asks
    for a visit without being the debtor's own word, or names a visit that is not of this case and day.
    """
    _check_entry(entry, now=now)
    with transaction() as session:
        require_kept(session, of_case(case_id))
        case = _lock_case(session, case_id)
        reference = entry.reference or f"office:{uuid7()}"
        standing = session.scalar(
            sa.select(LedgerEntry).where(
                LedgerEntry.client_id == case.client_id, LedgerEntry.reference == reference
            )
        )
        if standing is not None:
            if standing.case_id != case_id or _content_of(standing) != _content_of(entry):
                raise Conflict("reference-taken", "This reference names another entry. Use a new one.")
            if entry.visit_id in (None, standing.visit_id):
                return standing
        written = standing or LedgerEntry(
            client_id=case.client_id,
            reference=reference,
            case_id=case.id,
            debtor_id=case.debtor_id,
            recorded_by=actor.staff_id,
            **_content_of(entry),
        )
        if entry.visit_id is not None:
            _require_its_visit(written, entry.visit_id)
            written.visit_id = entry.visit_id
        session.add(written)
        recount_later(cases=[case.id])
        if entry.channel == "visit":
            rejudge_later(Assignment.debtor_id == case.debtor_id)
            around = (str(case.debtor_id), stamp(entry.at), stamp(entry.at))
            enqueue("reconcile_neighbours", around=[around])
    return written


def _content_of(entry: NewEntry | LedgerEntry) -> dict[str, Any]:
    """Return what an entry says, but for the phones' visit that it is about: that may be said later."""
    named = NewEntry.__dataclass_fields__.keys() - {"reference", "visit_id"}
    return {name: getattr(entry, name) for name in named}


def _require_its_visit(entry: LedgerEntry, visit_id: UUID) -> None:
    """Refuse a visit that is not of this case and day, or that an entry is about; the case is locked."""
    if entry.visit_id is not None:
        raise Conflict("entry-of-another-visit", "This entry is about another visit. Write a new one.")
    visit = db.session.scalar(
        sa.select(Visit)
        .join(Assignment, Assignment.id == Visit.assignment_id)
        .where(Visit.id == visit_id, Assignment.case_id == entry.case_id)
    )
    if visit is None:
        fault = Fault("/visit_id", "No visit of this case has this id.")
        raise Invalid("invalid-input", "Name a visit that phones reported of this case.", faults=[fault])
    zone = local_zone()
    first = local_day(visit.arrived_earliest, zone)
    last = local_day(visit.left_latest or visit.arrived_latest, zone)
    if not first <= local_day(entry.at, zone) <= last:
        fault = Fault("/at", f"The visit took place on {first}{'' if first == last else f' to {last}'}.")
        raise Invalid("invalid-input", "Give the time of the visit that is named.", faults=[fault])
    about_it = sa.select(LedgerEntry.reference).where(
        LedgerEntry.visit_id == visit_id, LedgerEntry.channel == "visit"
    )
    if (other := db.session.scalar(about_it)) is not None:
        raise Conflict("visit-entered", "An entry is about this visit already.", reference=other)


def _check_entry(entry: NewEntry, *, now: datetime) -> None:
    faults: list[Fault] = []
    if entry.at < EARLIEST:
        faults.append(Fault("/at", "Lies before the year 2000. Correct it."))
    if entry.at > now:
        faults.append(Fault("/at", "Lies in the future; the ledger holds what happened."))
    if entry.effective and entry.connected is False:
        faults.append(Fault("/connected", "Nobody answered, and yet it was effective. Correct one of them."))
    if entry.asks_for_visit and entry.channel == "letter":
        faults.append(Fault("/asks_for_visit", "Only an inbound contact, call or visit can ask for a visit."))
    if entry.received_on is not None and entry.channel != "letter":
        faults.append(Fault("/received_on", "Only letters are received."))
    if entry.visit_id is not None and entry.channel != "visit":
        faults.append(Fault("/visit_id", "Only the entry of a visit is about one."))
    if entry.visit_on is not None and not entry.asks_for_visit:
        faults.append(Fault("/visit_on", "Names a day for a visit nobody asked for: set asks_for_visit."))
    faults += _check_days(entry, now=now)
    if faults:
        raise Invalid("invalid-input", "Correct the fields listed in `errors`.", faults=faults)


def _check_days(entry: NewEntry, *, now: datetime) -> Iterator[Fault]:
    """Hold the days of an entry to its time, as the imports do: clocks and budgets are counted from them."""
    zone = local_zone()
    today, at = local_day(now, zone), local_day(min(max(entry.at, EARLIEST), now), zone)
    if entry.received_on is not None and entry.received_on < at:
        yield Fault("/received_on", "Lies before the letter was sent (at). Correct one of them.")
    if entry.received_on is not None and entry.received_on > today:
        yield Fault("/received_on", "Lies in the future; the ledger holds what happened.")
    if entry.visit_on is not None and entry.visit_on < at:
        yield Fault("/visit_on", "Lies before the day on which it was asked for (at). Correct one of them.")


def judge_address(address_id: UUID, *, status: str, source: str, actor: Actor, now: datetime) -> Address:
    """Write down whether an address was verified, and how (A5). Phones with a visit there are told.

    Where it may not be visited any more, its visits are judged again (A5, A18).
    """
    if not source.strip():
        fault = Fault("/source", "Say who or what it was verified with.")
        raise Invalid("source-missing", "Verification needs its source.", faults=[fault])
    with transaction() as session:
        require_kept(session, sa.select(Case.debtor_id).join(Address).where(Address.id == address_id))
        query = sa.select(Address).where(Address.id == address_id).with_for_update(key_share=True)
        address = session.scalar(query.execution_options(populate_existing=True))
        if address is None:
            raise NotFound("address-unknown", "There is no address with this id.")
        if (address.status, address.source, address.verified_by) != (status, source.strip(), actor.staff_id):
            address.status, address.source = status, source.strip()
            address.verified_at, address.verified_by = now, actor.staff_id
            announce_again(Assignment.address_id == address_id)
            if status != "verified":
                rejudge_later(Assignment.address_id == address_id)
    return address


def review(case_id: UUID, *, actor: Actor, now: datetime) -> Case:
    """Record that somebody reviewed a case with special flags (A1). The first review stands."""
    with transaction() as session:
        case = _lock_case(session, case_id)
        if case.reviewed_at is None:
            case.reviewed_at, case.reviewed_by = now, actor.staff_id
    return case


def acknowledge_note(case_id: UUID, *, actor: Actor, now: datetime) -> Case:
    """Record that the client's special note was read (A6). Conflict when there is none."""
    with transaction() as session:
        case = _lock_case(session, case_id)
        if not case.special_note:
            raise Conflict("note-missing", "This case has no special note to acknowledge.")
        if case.note_acknowledged_at is None:
            case.note_acknowledged_at, case.note_acknowledged_by = now, actor.staff_id
    return case


def set_hardship(debtor_id: UUID, *, hardship: Sequence[str], actor: Actor, now: datetime) -> Debtor:
    """Replace what hardship a debtor is known to be in; their visits are judged again (A8, A9, A10).

    It protects, and can be taken away and put back: who changed it, and by how much, is in the access log.
    """
    with transaction() as session:
        require_kept(session, sa.select(Debtor.id).where(Debtor.id == debtor_id))
        debtor = session.get(Debtor, debtor_id, populate_existing=True)
        if debtor is None:
            raise NotFound("debtor-unknown", "There is no debtor with this id.")
        wanted = sorted(set(hardship))
        if debtor.hardship != wanted:
            was = set(debtor.hardship)
            session.add(
                AccessEntry(
                    at=now,
                    staff_id=actor.staff_id,
                    action="hardship",
                    entity_kind="debtor",
                    entity_id=debtor_id,
                    fields=["debtors.hardship"],
                    request={"added": len(set(wanted) - was), "removed": len(was - set(wanted))},
                )
            )
            debtor.hardship = wanted
            recount_later(debtors=[debtor_id])
            announce_again(Assignment.debtor_id == debtor_id)
            rejudge_later(Assignment.debtor_id == debtor_id)
    return debtor
