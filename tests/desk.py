"""A supervisor at the desk, and what lies there: shared by the stories of seeing, deciding and correcting."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from server.database import db
from server.models.dispatch import Assignment
from server.models.visits import Item
from sync.phone import Phone
from sync.protocol import ITEM, PushedItem
from tests.builders import Person, a_visitor
from tests.phones import a_phone
from tests.pushing import account_body, begin, push, waiting


def told(answer: TestResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return json.loads(answer.text)


def desk(person: Person, query: str = "") -> list[dict[str, Any]]:
    return told(person.get(f"/api/v1/quarantine?{query}"))["entries"]


def look(person: Person, ref: str) -> dict[str, Any]:
    return told(person.get(f"/api/v1/quarantine/{ref}"))


def decide(person: Person, entry: dict[str, Any], decision: str, **facts: Any) -> TestResponse:
    body = {"decision": decision, "reason": "told so on the phone", "seen": entry["decisions"]} | facts
    return person.post(f"/api/v1/quarantine/{entry['ref']}/decision", json=body)


def correct(
    person: Person, entry: dict[str, Any], type_: str, body: dict[str, Any], **facts: Any
) -> TestResponse:
    said = {"type": type_, "body": body, "reason": "the date was a typo", "seen": entry["decisions"]} | facts
    return person.post(f"/api/v1/quarantine/{entry['ref']}/correction", json=said)


def a_faulty_account(app: Flask, phone: Phone, assignment: Assignment) -> tuple[UUID, PushedItem]:
    """A visit whose account cannot be read."""
    visit_id = begin(phone, assignment.id)
    phone.record("visit.account", account_body(phone, visit_id, narrative=7))
    push(app, phone)
    return visit_id, waiting(phone)[-1]


def a_strangers_account(app: Flask, phone: Phone, folder: Path, assignment: Assignment) -> PushedItem:
    """A colleague who took part speaks of the visit, but nobody wrote the colleague down."""
    visit_id = begin(phone, assignment.id)
    push(app, phone)
    other = a_phone(a_visitor(), folder / "colleague")
    other.record("visit.account", account_body(other, visit_id, narrative="我也在场。"))
    (item,) = waiting(other)
    push(app, other)
    other.close()
    return item


def the(item: PushedItem) -> Item:
    db.session.rollback()
    found = sa.select(Item).where(Item.item_id == item.id).execution_options(populate_existing=True)
    return db.session.scalars(found).one()


def unsigned(phone: Phone, item: PushedItem) -> PushedItem:
    signature = type(item.envelope.signatures[0])(keyid="x", sig=b"\x00" * 64)
    return PushedItem(
        item.id, item.seq, item.prev, type(item.envelope)(ITEM, item.envelope.payload, (signature,))
    )
