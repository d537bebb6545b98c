"""Builders: say the fact that matters, get the rest.

Each `a_...` writes real rows in its own transaction and returns the ORM object.
"""

import hashlib
import itertools
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask, current_app
from flask.testing import FlaskClient
from sqlalchemy.dialects.postgresql import Range
from werkzeug.test import TestResponse

from server.authority import Role
from server.database import transaction
from server.models.cases import Address, Case, Client, Contact, Debtor, LedgerEntry
from server.models.dispatch import Assignment, AssignmentMember, Decision
from server.models.feed import publish, staff_scope
from server.models.people import Device, Qualification, Staff, Token
from server.signing import PERMIT
from sync.protocol import uuid7

NUMBERS = itertools.count(1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The tests' idea of now: the true time."""
    return datetime.now(UTC)


def shown() -> datetime:
    """What the app's clock shows: the true time, unless the story stopped it."""
    return current_app.extensions["clock"].now()


def add(thing: Any) -> Any:
    """Write one row in its own transaction."""
    with transaction() as session:
        session.add(thing)
    return thing


def a_person(*roles: Role, **facts: Any) -> Staff:
    """A member of staff with these roles."""
    number = next(NUMBERS)
    facts = {"employee_number": f"E{number:05}", "name": f"Staff {number}"} | facts
    staff = Staff(
        roles=[role.value for role in roles], joined_on=date(2024, 1, 2), created_at=LONG_AGO, **facts
    )
    return add(staff)


def a_visitor(*, qualified: bool = True, **facts: Any) -> Staff:
    """A visitor; qualified means exam, law and conduct, internship and NDA are on file."""
    staff = a_person(Role.VISITOR, **facts)
    if qualified:
        with transaction() as session:
            for kind in ("onboarding_exam", "law_and_conduct", "internship", "nda"):
                score = 90 if kind in ("onboarding_exam", "law_and_conduct") else None
                session.add(
                    Qualification(staff_id=staff.id, kind=kind, score=score, obtained_on=date(2024, 3, 1))
                )
    return staff


@dataclass
class Handset:
    """An enrolled phone as the server knows it, with its private key and token."""

    device: Device
    key: Ed25519PrivateKey
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def a_token(staff_id: UUID, *, device_id: UUID | None = None, lasts: timedelta = timedelta(hours=12)) -> str:
    """A valid bearer token for this person (and phone)."""
    token = secrets.token_urlsafe(32)
    add(
        Token(
            sha256=hashlib.sha256(token.encode()).digest(),
            staff_id=staff_id,
            device_id=device_id,
            issued_at=now(),
            expires_at=now() + lasts,
        )
    )
    return token


def a_handset(staff: Staff) -> Handset:
    """An enrolled Ed25519 phone of this person."""
    key = Ed25519PrivateKey.generate()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    device = add(
        Device(
            staff_id=staff.id,
            algorithm="ed25519",
            public_key=spki,
            keyid=hashlib.sha256(spki).hexdigest()[:16],
            enrolled_at=now(),
        )
    )
    token = a_token(staff.id, device_id=device.id, lasts=timedelta(days=90))
    return Handset(device=device, key=key, token=token)


def a_client_bank(**facts: Any) -> Client:
    """A bank that entrusts cases."""
    number = next(NUMBERS)
    return add(Client(**({"reference": f"BANK{number}", "name": f"Bank {number}"} | facts)))


def _a_debtor(number: int, hardship: tuple[str, ...]) -> Debtor:
    return add(
        Debtor(
            client_id=a_client_bank().id,
            reference=f"D{number}",
            name="张小明",
            id_number="110101199003070011",
            phone="13812345678",
            hardship=list(hardship),
        )
    )


def a_case(*, hardship: tuple[str, ...] = (), debtor: Debtor | None = None, **facts: Any) -> Case:
    """An open case that passes every gate: fresh balance, calls on two days, a letter long received.

    All of it as seen from the app's clock, so that a story on a known day is the same on every day it is run.
    """
    number, today = next(NUMBERS), shown()
    debtor = debtor or _a_debtor(number, hardship)
    client_id = debtor.client_id
    defaults = {
        "reference": f"C{number}",
        "principal_fen": 2_000_000,
        "outstanding_fen": 1_234_500,
        "balance_as_of": today.date() - timedelta(days=1),
        "allocated_on": date(2024, 5, 6),
    }
    case = add(Case(client_id=client_id, debtor_id=debtor.id, **(defaults | facts)))
    for days_ago, channel in ((40, "call"), (38, "call"), (36, "letter")):
        a_ledger_entry(case, channel=channel, at=today - timedelta(days=days_ago))
    return case


def a_ledger_entry(case: Case, *, channel: str, at: datetime, **facts: Any) -> LedgerEntry:
    """A contact on the case. Letters count as received two days after they went out."""
    if channel == "letter":
        facts = {"received_on": (at + timedelta(days=2)).date()} | facts
    return add(
        LedgerEntry(
            client_id=case.client_id,
            reference=f"L{next(NUMBERS)}",
            case_id=case.id,
            debtor_id=case.debtor_id,
            channel=channel,
            at=at,
            **facts,
        )
    )


def an_address(case: Case, **facts: Any) -> Address:
    """The debtor's verified home."""
    defaults = {
        "reference": f"A{next(NUMBERS)}",
        "text": "北京市朝阳区建国路88号5号楼1203",
        "latitude": 39.9087,
        "longitude": 116.4605,
        "status": "verified",
        "source": "client file",
        "verified_at": LONG_AGO,
    }
    return add(Address(client_id=case.client_id, case_id=case.id, **(defaults | facts)))


def a_contact(case: Case, **facts: Any) -> Contact:
    """A third party of the case."""
    defaults = {"reference": f"K{next(NUMBERS)}", "name": "李四", "relation": "colleague"}
    return add(Contact(client_id=case.client_id, case_id=case.id, **(defaults | facts)))


def an_assignment(
    case: Case, address: Address, *team: Staff, start: datetime | None = None, issued_by: Staff | None = None
) -> Assignment:
    """An issued assignment, written straight into the tables: for stories that begin after dispatch."""
    start = start or now()
    issued_by = issued_by or a_person(Role.DISPATCHER)
    end = start + timedelta(hours=2)
    with transaction() as session:
        decision = Decision(
            id=uuid7(), case_id=case.id, judged_at=now(), judged_for=issued_by.id, allowed=True,
            pack="cn.house@1", wanted={}, facts={}, verdict={"allowed": True, "reasons": []},
        )  # fmt: skip
        session.add(decision)
        session.flush()
        assignment = Assignment(
            id=uuid7(), case_id=case.id, debtor_id=case.debtor_id, address_id=address.id,
            window_start=start, window_end=end, lead_id=team[0].id, decision_id=decision.id,
            permit_id=uuid7(), permit={"payloadType": PERMIT, "payload": "", "signatures": []},
            issued_by=issued_by.id, issued_at=now(), state="issued",
        )  # fmt: skip
        session.add(assignment)
        session.flush()
        for member in team:
            session.add(
                AssignmentMember(
                    assignment_id=assignment.id, staff_id=member.id, staff_no=member.no,
                    period=Range(start, end), is_lead=member is team[0],
                )
            )  # fmt: skip
            publish(staff_scope(member.id), kind="assignment", entity_id=assignment.id, op="put")
    return assignment


@dataclass
class Person:
    """A signed-in person: their row, and requests in their name."""

    staff: Staff
    token: str
    browser: FlaskClient

    def get(self, path: str, **request: Any) -> TestResponse:
        return self.browser.get(path, headers=self._headers(request), **request)

    def post(self, path: str, **request: Any) -> TestResponse:
        return self.browser.post(path, headers=self._headers(request), **request)

    def put(self, path: str, **request: Any) -> TestResponse:
        return self.browser.put(path, headers=self._headers(request), **request)

    def delete(self, path: str, **request: Any) -> TestResponse:
        return self.browser.delete(path, headers=self._headers(request), **request)

    def _headers(self, request: dict[str, Any]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **request.pop("headers", {})}


@dataclass
class Cast:
    """Signs people in, one per role, and remembers them."""

    app: Flask
    people: dict[Role, Person] = field(default_factory=dict)

    def person(self, role: Role) -> Person:
        """The test's one person of this role, signed in."""
        if role not in self.people:
            self.people[role] = self.sign_in(a_person(role))
        return self.people[role]

    def sign_in(self, staff: Staff) -> Person:
        """Give somebody a browser with a valid token."""
        return Person(staff=staff, token=a_token(staff.id), browser=self.app.test_client())
