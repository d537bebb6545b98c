"""A phone that keeps no rule: it signs what it likes and knows every id of its victim."""

import base64
import copy
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from server.database import db, transaction
from server.models.cases import Debtor
from server.models.dispatch import Assignment
from server.models.people import Staff
from server.signing import current_signer
from server.workflows.exchange.anchors import make_anchor
from sync.envelope import PublicKey, digest, pae
from sync.phone import claims_of
from sync.protocol import ITEM, RECEIPT, uuid7
from tests.builders import Handset, a_case, a_handset, a_visitor, an_address, an_assignment

SECRETS = ("王大锤", "上海市静安区南京西路1号", "victim-narrative")


@dataclass(frozen=True, slots=True)
class Made:
    """One item as it would be pushed."""

    id: UUID
    digest: bytes
    written: dict[str, Any]

    @property
    def payload(self) -> bytes:
        return base64.b64decode(self.written["envelope"]["payload"])


@dataclass
class Forger:
    """A visitor's enrolled phone in bad hands: real key, real token, a visit of its own."""

    app: Flask
    staff: Staff
    handset: Handset
    assignment: Assignment
    seq: int = 0
    prev: bytes | None = None
    visit_id: UUID = field(default_factory=uuid7)

    @classmethod
    def with_a_visit(cls, app: Flask) -> "Forger":
        """A phone whose check-in has reached the office."""
        staff = a_visitor()
        case = a_case()
        phone = cls(app, staff, a_handset(staff), an_assignment(case, an_address(case), staff))
        phone.must_apply([phone.next_item("visit.started", phone.start_body())])
        return phone

    # What a whole item says.

    def clock(self, **facts: Any) -> dict[str, Any]:
        now = datetime.now(UTC)
        anchor = make_anchor(current_signer(), device_id=self.handset.device.id, now=now)["token"]
        whole = {
            "wall": now.isoformat(),
            "tz": "Asia/Shanghai",
            "monotonic_ms": 1000,
            "boot_id": "b",
            "native": True,
            "anchor": anchor,
            "anchor_monotonic_ms": 1000,
            "anchor_boot_id": "b",
            "rtt_ms": 10,
        }
        return whole | facts

    def start_body(self, **facts: Any) -> dict[str, Any]:
        whole = {
            "visit_id": str(self.visit_id),
            "assignment_id": str(self.assignment.id),
            "permit_id": None,
            "position": {"lat": 39.9, "lon": 116.4, "accuracy_m": 10.0, "mock": False},
            "team": [str(self.staff.id)],
            "checklist": {"badge": True},
        }
        return whole | facts

    def account_body(self, **facts: Any) -> dict[str, Any]:
        moment = datetime.now(UTC)
        claims = claims_of(
            arrived_at=moment,
            left_at=moment,
            team=[self.staff.id],
            met="debtor",
            outcome="refused",
            letters=[{"template": "T1", "delivery": "mailbox", "recipient": "nobody"}],
            promise={"amount_fen": 1, "due_on": "2026-12-01"},
        )
        whole = {
            "visit_id": str(self.visit_id),
            "account_id": str(uuid7()),
            "parent": None,
            "claims": claims,
            "narrative": "一切正常",
        }
        return whole | facts

    def evidence_body(self, **facts: Any) -> dict[str, Any]:
        whole = {
            "visit_id": str(self.visit_id),
            "evidence_id": str(uuid7()),
            "kind": "photo",
            "purpose": "door",
            "sha256": "ab" * 32,
            "size_bytes": 10,
            "mime": "image/jpeg",
            "captured": {"from": self.clock(), "until": self.clock()},
            "position": None,
        }
        return whole | facts

    def bodies(self) -> dict[str, dict[str, Any]]:
        """One whole body of every type."""
        case, visit = {"case_id": str(self.assignment.case_id)}, {"visit_id": str(self.visit_id)}
        return {
            "visit.started": self.start_body(visit_id=str(uuid7())),
            "visit.evidence": self.evidence_body(),
            "visit.ended": {**visit, "position": None},
            "visit.account": self.account_body(),
            "assignment.acknowledged": {"assignment_id": str(self.assignment.id)},
            "assignment.declined": {"assignment_id": str(uuid7()), "reason": "x"},
            "hold.requested": {**case, "reason": "complaint", "text": "x"},
            "complaint.raised": {**visit, "text": "x", "about_staff": [str(self.staff.id)]},
            "incident.raised": {**visit, "kind": "threat", "text": "x"},
            "contact.learned": {**visit, "name": "n", "phone": "1", "relation": "r", "address": "a"},
            "contact.refused": {**case, "why": "refused", "text": "x", "name": "n", "relation": "r"},
            "finding.replied": {**visit, "finding_id": str(uuid7()), "text": "x"},
            "equipment.taken": {"thing": "recorder"},
            "gap.explained": {**visit, "why": "battery"},
            "log.doubted": {"why": "shorter", "held": "x", "told": "y"},
            "record.doubted": {"held": "x", "told": "y"},
        }

    # How it is signed and sent.

    def record(self, type_: str, body: dict[str, Any], **facts: Any) -> dict[str, Any]:
        """What an item says, with its next place in the chain; the chain moves on when it is sealed."""
        return {
            "v": 1,
            "item_id": str(uuid7()),
            "device_id": str(self.handset.device.id),
            "staff_id": str(self.staff.id),
            "seq": self.seq + 1,
            "prev": None if self.prev is None else self.prev.hex(),
            "type": type_,
            "seen_seq": 0,
            "clock": self.clock(),
            "body": body,
        } | facts

    def next_item(self, type_: str, body: dict[str, Any], **facts: Any) -> Made:
        """A whole item, next in the chain."""
        record = self.record(type_, body, **facts)
        made = self.seal(json.dumps(record).encode(), id=record["item_id"], seq=record["seq"])
        self.seq, self.prev = self.seq + 1, made.digest
        return made

    def seal(self, payload: bytes, *, signed: bytes | None = None, key: Any = None, **wrapper: Any) -> Made:
        """Wrap exact bytes. `signed`: what the signature is really over, when it is not these bytes."""
        signature = (key or self.handset.key).sign(pae(ITEM, payload if signed is None else signed))
        written = {
            "id": str(uuid7()),
            "seq": self.seq + 1,
            "prev": None if self.prev is None else self.prev.hex(),
            "envelope": {
                "payloadType": ITEM,
                "payload": base64.b64encode(payload).decode(),
                "signatures": [{"keyid": "k", "sig": base64.b64encode(signature).decode()}],
            },
        } | wrapper
        return Made(UUID(written["id"]), digest(ITEM, payload), written)

    def batch(self, items: list[dict[str, Any]]) -> bytes:
        return json.dumps({"batch_id": str(uuid7()), "clock": self.clock(), "items": items}).encode()

    def post(self, raw: bytes, path: str = "/api/v1/sync/push", **headers: str) -> TestResponse:
        told = {**self.handset.headers, "Content-Type": "application/json", **headers}
        return self.app.test_client().post(path, data=raw, headers=told)

    def get(self, path: str) -> TestResponse:
        return self.app.test_client().get(path, headers=self.handset.headers)

    def push(self, items: list[Made]) -> list[dict[str, Any]]:
        """Push items as they are; the answer must be a whole one."""
        answer = self.post(self.batch([one.written for one in items]))
        assert answer.status_code == 200, answer.text
        told = json.loads(answer.text)["outcomes"]
        for one, outcome in zip(items, told, strict=True):
            require_receipt(outcome, one.digest)
        return told

    def must_apply(self, items: list[Made]) -> None:
        assert {one["outcome"] for one in self.push(items)} == {"applied"}


def require_receipt(outcome: dict[str, Any], name: bytes) -> None:
    """A receipt is for exactly these bytes, under the server's key."""
    receipt = outcome["receipt"]
    signed = {key: receipt[key] for key in ("item_id", "item_sha256", "received_at")}
    payload = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    key = PublicKey.from_spki(current_signer().public_spki, algorithm="ed25519")
    assert receipt["item_sha256"] == name.hex()
    assert key.has_signed(pae(RECEIPT, payload), base64.b64decode(receipt["sig"]))


def a_victim(app: Flask) -> Forger:
    """Another visitor, whose debtor, address and account nobody else may ever read."""
    staff = a_visitor()
    case = a_case()
    with transaction() as session:
        session.get_one(Debtor, case.debtor_id).name = SECRETS[0]
    address = an_address(case, text=SECRETS[1])
    victim = Forger(app, staff, a_handset(staff), an_assignment(case, address, staff))
    account = copy.deepcopy(victim.account_body(narrative=SECRETS[2]))
    victim.must_apply([victim.next_item("visit.started", victim.start_body())])
    victim.must_apply([victim.next_item("visit.account", account)])
    return victim


def require_silence(text: str) -> None:
    """Nothing of the victim stands in an answer."""
    assert not [secret for secret in SECRETS if secret in text]


def count(model: type[Any], *where: sa.ColumnElement[bool]) -> int:
    """Count rows as they are committed."""
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(model).where(*where)) or 0
