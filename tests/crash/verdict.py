"""After the last kill: is everything there that was acknowledged, once, and does every proof verify?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Flask

from server.database import db
from server.models.evidence import Evidence
from server.models.people import Device
from server.models.visits import Account, Item, Visit
from server.workflows.transparency.checking import alterations
from server.workflows.transparency.sequencing import sequence
from sync.phone import Phone
from tests.crash.field import Field
from tests.phones import Watch
from tests.stored import Server, verify_item

HARMLESS = frozenset({"clock_low_trust", "chain_gap", "late_parent"})
"""A phone whose first contact was cut has no anchor: its time is known less well, nothing was lost. An item
whose connection broke again and again stands aside, and those behind it go first, those that
wait for it too: it follows, or `acked_seq` says so.
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, in numbers; `faults` should be empty."""

    items: int
    promises: int
    sessions: int
    broken_sessions: int
    files: int
    faults: list[str]


def judge(app: Flask, fields: Sequence[Field]) -> Verdict:
    """Compare what the phones were told with what the office has."""
    with app.app_context():
        stored = {one.item_id: one for one in db.session.execute(_ITEMS)}
        server = Server.of(app)
        faults = [fault for one in stored.values() for fault in verify_item(one, server)]
        for field in fields:
            faults += _of_one(field, stored)
        faults += _doubled(fields)
        while sequence(now=datetime.now(UTC)):
            pass
        faults += [f"the log names an alteration: {one}" for one in alterations()]
        files = Counter(db.session.scalars(sa.select(Evidence.state)))
        if set(files) - {"verified", "inspected"}:
            faults.append(f"files did not arrive whole: {dict(files)}")
        db.session.remove()
        db.engine.dispose()
    return Verdict(
        items=len(stored),
        promises=sum(len(one.promised) for one in fields),
        sessions=sum(one.sessions for one in fields),
        broken_sessions=sum(one.broken for one in fields),
        files=sum(files.values()),
        faults=faults,
    )


_ITEMS = sa.select(*Item.__table__.columns, Device.public_key, Device.algorithm).join(
    Device, Device.id == Item.device_id
)


def _of_one(field: Field, stored: dict[Any, Any]) -> list[str]:
    """Each item of a phone is stored with its bytes, applied, and under the receipt the phone holds."""
    faults = [] if field.failure is None else [f"{field.folder.name}: {field.failure!r}"]
    promised = {(one["item_id"], one["item_sha256"], one["sig"]) for one in field.promised}
    kept = {(str(one.item_id), one.sha256.hex(), one.receipt["sig"]) for one in stored.values()}
    faults += [f"promised and gone, or given anew: {one}" for one in promised - kept]
    phone = Phone(field.folder, clocks=Watch().clocks())
    prev: bytes | None = None
    for one in phone.outbox.outcomes():
        row = stored.get(one["id"])
        digest = phone.outbox.digest_of(one["id"])
        if row is None or (row.sha256, row.receipt) != (digest, one["receipt"]):
            faults.append(f"not stored as it was signed: {one}")
        elif (row.outcome, row.prev, set(row.flags) - HARMLESS) != ("applied", prev, set()):
            faults.append(f"stored, but {row.outcome} with {row.flags}: {one}")
        prev = digest
    acked = db.session.scalar(sa.select(Device.acked_seq).where(Device.id == phone.device_id))
    if acked != len(phone.outbox.outcomes()):
        faults.append(f"{field.folder.name}: complete up to {acked} only")
    phone.close()
    return faults


def _doubled(fields: Sequence[Field]) -> list[str]:
    expected = {Visit: len(fields), Account: sum(one.accounts for one in fields)}
    found = {model: db.session.scalar(sa.select(sa.func.count()).select_from(model)) for model in expected}
    return [
        f"{found[model]} {model.__tablename__} instead of {number}"
        for model, number in expected.items()
        if found[model] != number
    ]
