"""Pushes by hand: what a phone would send, whole or spoiled, without the client that takes care of it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from flask import Flask

from sync.client import Report
from sync.phone import Phone, claims_of
from sync.protocol import ITEM, PushedItem, uuid7
from sync.wire import write_clock, write_pushed
from tests.phones import office


def begin(phone: Phone, assignment_id: UUID, *, visit_id: UUID | None = None, **facts: Any) -> UUID:
    """Check in for an assignment; the visit's id."""
    visit_id = visit_id or uuid7()
    body = {
        "visit_id": str(visit_id),
        "assignment_id": str(assignment_id),
        "permit_id": None,
        "position": None,
        "team": [str(phone.staff_id)],
        "checklist": {},
    }
    phone.record("visit.started", body | facts)
    return visit_id


def account_body(phone: Phone, visit_id: UUID, /, **facts: Any) -> dict[str, Any]:
    """A whole account, to be spoiled."""
    moment = datetime.now(UTC)
    claims = claims_of(
        arrived_at=moment, left_at=moment, team=[phone.staff_id], met="debtor", outcome="refused"
    )
    whole = {
        "visit_id": str(visit_id),
        "account_id": str(uuid7()),
        "parent": None,
        "claims": claims,
        "narrative": "已告知还款渠道。",
    }
    return whole | facts


def an_account(
    phone: Phone, visit_id: UUID, *, amends: UUID | None = None, narrative: str = "已告知还款渠道。"
) -> UUID:
    """Write the account of a visit; its id."""
    moment = datetime.now(UTC)
    claims = claims_of(
        arrived_at=moment, left_at=moment, team=[phone.staff_id], met="debtor", outcome="refused"
    )
    return phone.write_account(visit_id, claims=claims, narrative=narrative, amends=amends)


def evidence_body(phone: Phone, visit_id: UUID, /, **facts: Any) -> dict[str, Any]:
    """A whole promise of a photo, to be spoiled."""
    clock = write_clock(phone.read_clock())
    whole = {
        "visit_id": str(visit_id),
        "evidence_id": str(uuid7()),
        "kind": "photo",
        "purpose": "door",
        "sha256": "ab" * 32,
        "size_bytes": 10,
        "mime": "image/jpeg",
        "captured": {"from": clock, "until": clock},
        "position": None,
    }
    return whole | facts


def waiting(phone: Phone) -> list[PushedItem]:
    """Return all items the phone has not got a receipt for."""
    return phone.outbox.next_batch(1000)


def batch_of(phone: Phone, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Wrap written items for a push."""
    return {"batch_id": str(uuid7()), "clock": write_clock(phone.read_clock()), "items": list(items)}


def resealed(phone: Phone, item: PushedItem, payload: bytes, **wrapper: Any) -> dict[str, Any]:
    """Write an item whose payload was changed and signed again by the phone's own key."""
    told: dict[str, Any] = {"id": item.id, "seq": item.seq, "prev": item.prev} | wrapper
    return write_pushed(PushedItem(**told, envelope=phone.key.seal(ITEM, payload)))


def pull(app: Flask, phone: Phone) -> None:
    """Have the phone pull: it gets an anchor, and pushes nothing."""
    with office(app) as http:
        phone.connect(http).pull(Report())


def push(app: Flask, phone: Phone, items: Sequence[PushedItem] | None = None) -> list[dict[str, Any]]:
    """Push these items (all that wait); what became of each."""
    return pushed(app, phone, items)["outcomes"]


def pushed(app: Flask, phone: Phone, items: Sequence[PushedItem] | None = None) -> dict[str, Any]:
    """The whole answer to pushing these items (all that wait)."""
    written = [write_pushed(item) for item in (waiting(phone) if items is None else items)]
    answer = push_raw(app, phone, json.dumps(batch_of(phone, written)).encode())
    assert answer.status_code == 200, answer.text
    return answer.json()


def outcomes(answer: dict[str, Any]) -> list[str]:
    """In one word what became of each item."""
    return [one["outcome"] for one in answer["outcomes"]]


def push_raw(
    app: Flask, phone: Phone, raw: bytes, *, path: str = "/api/v1/sync/push", **headers: str
) -> httpx.Response:
    """Post bytes in the phone's name."""
    told = {"Authorization": f"Bearer {phone.outbox.fact('token')}", "Content-Type": "application/json"}
    with office(app) as http:
        return http.post(path, content=raw, headers=told | headers)
