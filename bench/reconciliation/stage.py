"""On which stage are scripts played? The app, an empty database, a clock that is turned, an agency.

Everything but time is real. Assignments are written as dispatch leaves them: who may be visited when is
judged elsewhere, and what a visit breaks of that afterwards is judged here as everywhere.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from bench.reconciliation.script import LEAD, MATE, STRANGER, Script
from server.database import transaction
from server.models.cases import Address, Case, Client, Debtor, Hold, LedgerEntry
from server.models.dispatch import Assignment, AssignmentMember, Decision
from server.models.feed import publish, staff_scope
from server.models.letters import Letter, LetterTemplate
from server.models.people import Device, Staff
from server.signing import PERMIT
from server.workflows.calendar import seed_calendar
from sync.phone import Phone
from sync.protocol import uuid7
from tests.builders import LONG_AGO, a_person, a_visitor
from tests.phones import Watch, a_phone

WINDOW = timedelta(minutes=45)
TEMPLATES = {
    "notice-1": ("notice", "debtor"),
    "notice-2": ("notice", "liable_person"),
    "slip-1": ("callback_slip", "debtor"),
}


@dataclass(slots=True)
class TurnedClock:
    """The office's clock, turned forward by the play."""

    at: datetime = LONG_AGO

    def now(self) -> datetime:
        return self.at

    def turn(self, moment: datetime) -> None:
        """Go on to a moment; never back."""
        self.at = max(self.at, moment.astimezone(UTC))


@dataclass(slots=True)
class Crew:
    """A team of two with the lead's phone, and a newcomer who has passed no exam."""

    people: tuple[Staff, Staff, Staff]
    phone: Phone
    watch: Watch
    at: datetime = LONG_AGO

    def now(self) -> datetime:
        return self.at

    def ids(self, places: Sequence[int]) -> list[UUID]:
        """Return the people in these places."""
        return [self.people[place].id for place in places]


@dataclass(slots=True)
class Stage:
    """The running office."""

    app: Flask
    clock: TurnedClock
    crews: list[Crew]
    client: Client
    dispatcher: Staff
    templates: dict[str, LetterTemplate]
    folder: Path
    assignments: dict[int, UUID] = field(default_factory=dict)
    visits: dict[int, UUID] = field(default_factory=dict)


@contextmanager
def a_stage(app: Flask, folder: Path, *, crews: int) -> Iterator[Stage]:
    """Open the office: calendar, people, phones, letter templates. Inside an app context."""
    before, clock = app.extensions["clock"], TurnedClock()
    app.extensions["clock"] = clock
    seed_calendar(now=datetime.now(UTC))
    dispatcher = a_person()
    client = Client(reference="BENCH", name="Bench Bank")
    with transaction() as session:
        session.add(client)
    teams = [_a_crew(folder / f"phone-{n}") for n in range(crews)]
    with transaction() as session:
        session.execute(sa.update(Device).values(enrolled_at=LONG_AGO))
    templates = _templates(client, dispatcher)
    try:
        yield Stage(app, clock, teams, client, dispatcher, templates, folder)
    finally:
        for crew in teams:
            crew.phone.close()
        app.extensions["clock"] = before
        shutil.rmtree(folder, ignore_errors=True)


def _a_crew(folder: Path) -> Crew:
    people = (a_visitor(), a_visitor(), a_visitor(qualified=False))
    watch = Watch(booted=datetime(2026, 1, 1, tzinfo=UTC))
    crew = Crew(people, a_phone(people[LEAD], folder, watch=watch), watch)
    watch.real = crew.now
    return crew


def _templates(client: Client, dispatcher: Staff) -> dict[str, LetterTemplate]:
    rows = {
        name: LetterTemplate(
            id=uuid7(), client_id=client.id, reference=name, version=1, kind=kind, title=name, body="…",
            parts={}, agency_name="Agency", agency_phone="400", approved_by="bank", approval_reference="1",
            approved_on=date(2026, 1, 5), entered_by=dispatcher.id, entered_at=LONG_AGO,
        )
        for name, (kind, _) in TEMPLATES.items()
    }  # fmt: skip
    with transaction() as session:
        session.add_all(rows.values())
    return rows


def entrust(stage: Stage, scripts: Sequence[Script]) -> None:
    """Write the cases, homes, assignments and letters of these visits."""
    with transaction() as session:
        for script in scripts:
            case = _a_case(stage, script)
            for parent in case[:2]:
                session.add(parent)
                session.flush()
            session.add_all(case[2:])
            session.flush()
            assignment = _an_assignment(stage, script, case[1], case[2])
            session.add(assignment[0])
            session.flush()
            session.add(assignment[1])
            session.flush()
            session.add_all(assignment[2:])
            if script.hold:
                _hold(session, stage, script, case[1], assignment[1])
            stage.assignments[script.number] = assignment[1].id


def _a_case(stage: Stage, script: Script) -> tuple[Debtor, Case, Address, *tuple[LedgerEntry, ...]]:
    """A case that passes every gate on the day of its visit."""
    name, at = f"{script.number}", script.arrives
    debtor = Debtor(
        id=uuid7(), client_id=stage.client.id, reference=f"D{name}", name="张小明",
        id_number="11010119900307001X", phone="13812345678",
        hardship=["serious_illness"] if script.hardship else [],
    )  # fmt: skip
    case = Case(
        id=uuid7(), client_id=stage.client.id, debtor_id=debtor.id, reference=f"C{name}",
        principal_fen=3_000_000, outstanding_fen=3_234_500, balance_as_of=script.day - timedelta(days=1),
        allocated_on=date(2025, 5, 6),
    )  # fmt: skip
    address = Address(
        client_id=stage.client.id, case_id=case.id, reference=f"A{name}", text="北京市朝阳区",
        source="client file", latitude=script.home.lat, longitude=script.home.lon,
        status="verified" if script.is_verified else "unverified",
        verified_at=LONG_AGO if script.is_verified else None,
    )  # fmt: skip
    entries = [
        LedgerEntry(
            client_id=stage.client.id, reference=f"L{name}-{days}", case_id=case.id, debtor_id=debtor.id,
            channel=channel, at=at - timedelta(days=days),
            received_on=(at - timedelta(days=days - 2)).date() if channel == "letter" else None,
        )
        for days, channel in ((40, "call"), (38, "call"), (36, "letter"))
    ]  # fmt: skip
    return debtor, case, address, *entries


def _an_assignment(
    stage: Stage, script: Script, case: Case, address: Address
) -> tuple[Decision, Assignment, *tuple[AssignmentMember | Letter, ...]]:
    crew = stage.crews[script.crew]
    start, issued_at = script.arrives - timedelta(minutes=10), script.arrives - timedelta(days=1)
    hardship = ["serious_illness"] if script.hardship else []
    decision = Decision(
        id=uuid7(), case_id=case.id, judged_at=issued_at, judged_for=stage.dispatcher.id, allowed=True,
        pack="cn.house@1", wanted={}, facts={"case": {"hardship": hardship}},
        verdict={"allowed": True, "reasons": []},
    )  # fmt: skip
    assignment = Assignment(
        id=uuid7(), case_id=case.id, debtor_id=case.debtor_id, address_id=address.id, window_start=start,
        window_end=start + WINDOW, lead_id=crew.people[LEAD].id, decision_id=decision.id, permit_id=uuid7(),
        permit={"payloadType": PERMIT, "payload": "", "signatures": []}, issued_by=stage.dispatcher.id,
        issued_at=issued_at, state="issued",
    )  # fmt: skip
    team = [LEAD, MATE, STRANGER] if script.spares == "newcomer assigned" else [LEAD, MATE]
    members = [
        AssignmentMember(
            assignment_id=assignment.id, staff_id=crew.people[place].id, staff_no=crew.people[place].no,
            period=Range(start, start + WINDOW), is_lead=place == LEAD,
        )
        for place in team
    ]  # fmt: skip
    letters = [
        Letter(
            case_id=case.id, debtor_id=case.debtor_id, template_id=stage.templates[one.template].id,
            recipient="debtor", assignment_id=assignment.id, content="…", sha256=b"x" * 32,
            outstanding_fen=case.outstanding_fen, balance_as_of=case.balance_as_of,
            pairing_code=f"{script.number}-{n}", state="handed_over", issued_at=issued_at,
        )
        for n, one in enumerate(script.carried)
    ]  # fmt: skip
    return decision, assignment, *members, *letters


def _hold(session: Session, stage: Stage, script: Script, case: Case, assignment: Assignment) -> None:
    """Let a hold stand since an hour before the arrival; the phone is told by taking the assignment away."""
    session.add(
        Hold(
            scope="debtor", debtor_id=case.debtor_id, case_id=case.id, reason="stop_requested",
            raised_at=script.arrives - timedelta(hours=1), raised_by=stage.dispatcher.id,
        )
    )  # fmt: skip
    if script.hold == "known":
        publish(
            staff_scope(stage.crews[script.crew].people[LEAD].id),
            kind="assignment",
            entity_id=assignment.id,
            op="remove",
        )
