"""Phones with sealed visit accounts, ready to push: what `bench.push` sends, made before its clock starts.

The visits and their assignments are written straight into the tables, as if their check-ins had come
earlier; each account is about 2 KB, signed by its phone's Ed25519 key and chained to the one before. Every
fifth tells of a promise.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from server.authority import Role
from server.database import transaction
from server.models.cases import Address, Case, Client, Debtor
from server.models.dispatch import Assignment, AssignmentMember, Decision
from server.models.people import Device, Staff, Token
from server.models.visits import Visit
from server.signing import PERMIT
from sync.envelope import DeviceKey, digest, keyid_of
from sync.phone import claims_of
from sync.protocol import ITEM, Clock, Item, PushedItem, uuid7
from sync.wire import write_clock, write_item, write_pushed

BEGINNING = datetime(2025, 1, 6, 1, tzinfo=UTC)
NARRATIVE = (
    "到达后出示工作证并告知全程录音,债务人在家,核实身份后说明来意与欠款金额,对方表示目前收入不稳定。" * 7
)
PROMISE_EVERY = 5
SEALED_PERMIT = {"payloadType": PERMIT, "payload": "", "signatures": []}


@dataclass(frozen=True, slots=True)
class Handset:
    """An enrolled phone: its key, its token, and the visits it made."""

    device_id: UUID
    staff_id: UUID
    key: DeviceKey
    token: str
    visits: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Everything one phone will push: the request bodies, and the same documents alone."""

    token: str
    bodies: list[bytes]
    documents: list[list[str]]


def enrol(app: Flask, *, phones: int, visits_each: int) -> list[Handset]:
    """Write phones and their visits into the tables."""
    with app.app_context(), transaction() as session:
        case, address, dispatcher = _a_case(session)
        return [
            _a_handset(session, case=case, address=address, dispatcher=dispatcher, visits=visits_each)
            for _ in range(phones)
        ]


def _a_case(session: Session) -> tuple[Case, Address, Staff]:
    mark = secrets.token_hex(6)
    client = Client(id=uuid7(), reference=mark, name="Bench Bank")
    dispatcher = _a_person(Role.DISPATCHER)
    session.add_all([client, dispatcher])
    session.flush()
    debtor = Debtor(
        id=uuid7(),
        client_id=client.id,
        reference=mark,
        name="张小明",
        id_number="110101199003070011",
        phone="13812345678",
        hardship=[],
    )
    session.add(debtor)
    session.flush()
    case = Case(
        id=uuid7(),
        client_id=client.id,
        debtor_id=debtor.id,
        reference=mark,
        principal_fen=2_000_000,
        outstanding_fen=1_234_500,
        balance_as_of=date(2025, 1, 1),
        allocated_on=date(2024, 5, 6),
    )
    session.add(case)
    session.flush()
    address = Address(
        id=uuid7(),
        client_id=client.id,
        case_id=case.id,
        reference=mark,
        text="北京市朝阳区建国路88号",
        latitude=39.9,
        longitude=116.4,
        status="verified",
        source="client file",
        verified_at=BEGINNING,
    )
    session.add(address)
    session.flush()
    return case, address, dispatcher


def _a_person(role: Role) -> Staff:
    return Staff(
        id=uuid7(),
        employee_number=secrets.token_hex(6),
        name="Bench",
        roles=[role.value],
        joined_on=date(2024, 1, 2),
        created_at=BEGINNING,
    )


def _a_handset(session: Session, *, case: Case, address: Address, dispatcher: Staff, visits: int) -> Handset:
    key, token, staff = DeviceKey.generate(), secrets.token_urlsafe(32), _a_person(Role.VISITOR)
    session.add(staff)
    session.flush()
    device = Device(
        id=uuid7(),
        staff_id=staff.id,
        algorithm=key.algorithm,
        public_key=key.spki,
        keyid=keyid_of(key.spki),
        enrolled_at=BEGINNING,
    )
    session.add(device)
    session.flush()
    now = datetime.now(UTC)
    session.add(
        Token(
            sha256=hashlib.sha256(token.encode()).digest(),
            staff_id=staff.id,
            device_id=device.id,
            issued_at=now,
            expires_at=now + timedelta(days=1),
        )
    )
    made = _visits(session, case, address, dispatcher, staff=staff, device=device, count=visits)
    return Handset(device_id=device.id, staff_id=staff.id, key=key, token=token, visits=made)


def _visits(
    session: Session,
    case: Case,
    address: Address,
    dispatcher: Staff,
    *,
    staff: Staff,
    device: Device,
    count: int,
) -> tuple[UUID, ...]:
    decision = Decision(
        id=uuid7(),
        case_id=case.id,
        judged_at=BEGINNING,
        allowed=True,
        pack="cn.house@1",
        wanted={},
        facts={},
        verdict={"allowed": True},
    )
    session.add(decision)
    session.flush()
    starts = [BEGINNING + timedelta(hours=2 * n) for n in range(count)]
    assignments = [
        {
            "id": uuid7(),
            "case_id": case.id,
            "debtor_id": case.debtor_id,
            "address_id": address.id,
            "window_start": start,
            "window_end": start + timedelta(hours=1),
            "lead_id": staff.id,
            "decision_id": decision.id,
            "permit_id": uuid7(),
            "permit": SEALED_PERMIT,
            "issued_by": dispatcher.id,
            "issued_at": BEGINNING,
            "state": "started",
        }
        for start in starts
    ]
    session.execute(sa.insert(Assignment), assignments)
    members = [
        {
            "assignment_id": one["id"],
            "staff_id": staff.id,
            "staff_no": staff.no,
            "period": Range(one["window_start"], one["window_end"]),
            "is_lead": True,
        }
        for one in assignments
    ]
    session.execute(sa.insert(AssignmentMember), members)
    visits = [
        {
            "id": uuid7(),
            "assignment_id": one["id"],
            "debtor_id": case.debtor_id,
            "device_id": device.id,
            "staff_id": staff.id,
            "team": [staff.id],
            "seen_seq": 0,
            "arrived_earliest": one["window_start"],
            "arrived_latest": one["window_start"],
            "arrived_method": "anchored",
            "started_item": uuid7(),
            "first_received_at": one["window_start"],
            "evidence_due_at": one["window_end"],
        }
        for one in assignments
    ]
    session.execute(sa.insert(Visit), visits)
    return tuple(one["id"] for one in visits)


def seal_all(handset: Handset, *, batch: int) -> Load:
    """Write, sign and chain one account per visit, and cut them into push requests."""
    clock = Clock(wall=datetime.now(UTC), tz="+08:00", monotonic_ms=1, boot_id="bench")
    pushed, documents, prev = [], [], None
    for seq, visit_id in enumerate(handset.visits, start=1):
        item = Item(
            item_id=uuid7(),
            device_id=handset.device_id,
            staff_id=handset.staff_id,
            seq=seq,
            prev=prev,
            type="visit.account",
            seen_seq=0,
            clock=clock,
            body=_account(handset, visit_id, promises=seq % PROMISE_EVERY == 0),
        )
        envelope = handset.key.seal(ITEM, write_item(item))
        pushed.append(PushedItem(id=item.item_id, seq=seq, prev=prev, envelope=envelope))
        documents.append(envelope.payload.decode())
        prev = digest(ITEM, envelope.payload)
    starts = range(0, len(pushed), batch)
    return Load(
        token=handset.token,
        bodies=[_request(pushed[start : start + batch], clock) for start in starts],
        documents=[documents[start : start + batch] for start in starts],
    )


def _account(handset: Handset, visit_id: UUID, *, promises: bool) -> dict[str, Any]:
    promised = {"amount_fen": 50_000, "due_on": "2026-12-24"}
    claims = claims_of(
        arrived_at=BEGINNING,
        left_at=BEGINNING + timedelta(minutes=20),
        team=[handset.staff_id],
        met="debtor",
        outcome="promise" if promises else "refused",
        promise=promised if promises else None,
    )
    return {
        "visit_id": str(visit_id),
        "account_id": str(uuid7()),
        "parent": None,
        "claims": claims,
        "narrative": NARRATIVE,
    }


def _request(items: list[PushedItem], clock: Clock) -> bytes:
    members = {
        "batch_id": str(uuid7()),
        "clock": write_clock(clock),
        "items": [write_pushed(item) for item in items],
    }
    return json.dumps(members, ensure_ascii=False).encode()


def size_of(load: Load) -> int:
    """Return the mean size of one signed document in bytes."""
    sizes = [len(text.encode()) for batch in load.documents for text in batch]
    return sum(sizes) // len(sizes)


def payload_of(body: bytes) -> bytes:
    """Return the first signed payload of a request, to look at."""
    return base64.b64decode(json.loads(body)["items"][0]["envelope"]["payload"])
