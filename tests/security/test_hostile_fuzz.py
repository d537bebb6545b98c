"""Whole batches, spoiled at random and signed again: what gets behind the signature check must harm nobody.

Hypothesis chooses where and how; half of the spoiled items are signed after they were spoiled. It prints what
to repeat when something falls.
"""

import base64
import copy
import json
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from server.database import db
from server.models.visits import Item, Visit
from server.workflows.reconciliation import reconcile_visit
from sync.protocol import uuid7
from tests.builders import now
from tests.security.hostile import Forger, Made, require_receipt, require_silence

TYPES = (
    "visit.started", "visit.evidence", "visit.ended", "visit.account", "assignment.acknowledged",
    "assignment.declined", "hold.requested", "complaint.raised", "incident.raised", "contact.learned",
    "contact.refused", "equipment.taken", "gap.explained", "log.doubted",
    "record.doubted",
)  # fmt: skip
INSTANTS = (
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-12:00",
    "2026-02-30T00:00:00Z",
    "2026-11-24T10:00:00",
    "2026-11-24T24:00:00Z",
    "2026-11-24T10:00:00.9999999999+23:59",
    "20261124T100000Z",
    "2026-W48-2T10:00:00Z",
)
NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**300, -(2**63) - 1,
    0.5, -0.0, 1e308, -1e308, 1e-320, float("nan"), float("inf"), float("-inf"),
    "", " ", "x" * 100_001, "\x00", "a\x00b", "\ud800", "\udfff\ud800", "😀" * 1000, "' OR 1=1 --", "\\u0000",
    "%s%n{0}", "null", "../../etc", "\u202e", "１２３", "Ⅷ", "-0", "1e5", "0x10",
    [], {}, [None], [[]], {"": ""}, {"a": {"b": {"c": []}}}, [1] * 2000, ["x"] * 600, {"/~": 1},
    *INSTANTS,
)  # fmt: skip


MANY = settings(
    max_examples=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # one phone whose chain goes on from example to example
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, outermost first."""
    found = [path] if path else []
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, part in members:
        found += places_in(part, (*path, key))
    return found


def spoil(value: Any, data: st.DataObject, ids: list[str]) -> Any:
    """Change a JSON value in one to three places."""
    spoiled = copy.deepcopy(value)
    for _ in range(data.draw(st.integers(1, 3), label="changes")):
        places = places_in(spoiled)
        if not places:
            return spoiled
        *outer, last = data.draw(st.sampled_from(places), label="place")
        holder = spoiled
        for key in outer:
            holder = holder[key]
        match data.draw(st.sampled_from(["replace", "replace", "remove", "add", "nest", "id"]), label="how"):
            case "replace":
                holder[last] = copy.deepcopy(data.draw(st.sampled_from(NASTY), label="value"))
            case "remove":
                del holder[last]
            case "add" if isinstance(holder, dict):
                value = copy.deepcopy(data.draw(st.sampled_from(NASTY)))  # the next change may be inside it
                holder[data.draw(st.text(max_size=8), label="key")] = value
            case "nest":
                deep: Any = holder[last]
                for _ in range(data.draw(st.sampled_from([1, 30, 70, 150]), label="depth")):
                    deep = [deep]
                holder[last] = deep
            case _:
                written = data.draw(st.sampled_from(["{}", "{{{}}}", "urn:uuid:{}"]), label="form")
                holder[last] = written.format(data.draw(st.sampled_from(ids), label="id"))
    return spoiled


def write(value: Any, data: st.DataObject) -> bytes:
    """Write JSON as its sender likes: escapes or not, a key twice, something behind the end."""
    is_ascii = data.draw(st.booleans(), label="escaped")
    text = json.dumps(value, ensure_ascii=is_ascii)
    match data.draw(st.sampled_from(["", "", "", "twice", "behind", "cut"]), label="text"):
        case "twice":
            text = text.replace("{", '{"seq": 1, "seq": 2,', 1)
        case "behind":
            text += " x"
        case "cut":
            text = text[: len(text) // 2]
    return text.encode("utf-8", "surrogatepass")


def spoiled_item(forger: Forger, data: st.DataObject, ids: list[str]) -> Made:
    """One item, spoiled in what it says, in its wrapper or in both, and signed before or after."""
    type_ = data.draw(st.sampled_from(TYPES), label="type")
    record = forger.record(type_, forger.bodies()[type_])
    whole = json.dumps(record).encode()
    payload = write(spoil(record, data, ids), data)
    is_resigned = data.draw(st.booleans(), label="signed again")
    made = forger.seal(payload, signed=None if is_resigned else whole, id=record["item_id"])
    forger.seq, forger.prev = forger.seq + 1, made.digest
    if data.draw(st.integers(0, 3), label="wrapper") == 0:
        return Made(made.id, made.digest, spoil(made.written, data, ids))
    return made


def send_as_a_phone_does(forger: Forger, items: list[Made]) -> dict[Any, dict[str, Any]]:
    """Push, bisect what cannot be read, hand the last one in raw; outcomes by digest."""
    raw = json.dumps(
        {"batch_id": str(uuid7()), "clock": forger.clock(), "items": [one.written for one in items]}
    ).encode()
    answer = forger.post(raw)
    require_silence(answer.text)
    if answer.status_code == 200:
        told = json.loads(answer.text)["outcomes"]
        assert len(told) == len(items)
        for one in told:
            require_receipt(one, bytes.fromhex(one["receipt"]["item_sha256"]))
        return {one.digest: outcome for one, outcome in zip(items, told, strict=True)}
    assert answer.status_code in (400, 413, 422), answer.text
    assert answer.mimetype == "application/problem+json"
    if len(items) > 1:
        middle = len(items) // 2
        return send_as_a_phone_does(forger, items[:middle]) | send_as_a_phone_does(forger, items[middle:])
    kept = forger.post(json.dumps(items[0].written).encode(), path="/api/v1/sync/quarantine")
    assert kept.status_code == 200
    return {items[0].digest: {"outcome": "raw"}}


@MANY
@given(data=st.data())
def test_spoiled_items_harm_neither_the_queue_nor_anybody_else(
    forger: Forger, victim: Forger, data: st.DataObject
) -> None:
    ids = [str(one) for one in (
        victim.visit_id, victim.assignment.id, victim.assignment.case_id, victim.staff.id,
        victim.handset.device.id, forger.visit_id, forger.assignment.id, forger.staff.id, uuid7(),
    )]  # fmt: skip
    items: list[Made] = []
    whole: list[Made] = []
    for _ in range(data.draw(st.integers(1, 5), label="items")):
        whole.append(forger.next_item("visit.account", forger.account_body()))
        items += [whole[-1], spoiled_item(forger, data, ids)]

    told = send_as_a_phone_does(forger, items)
    for one in items:
        event(told[one.digest]["outcome"])

    assert [told[one.digest]["outcome"] for one in whole] == ["applied"] * len(whole)
    again = send_as_a_phone_does(forger, whole)
    for one in whole:
        assert again[one.digest]["outcome"] == "duplicate"
        assert again[one.digest]["receipt"] == told[one.digest]["receipt"]
    for path in ("sync/status", "sync/pull", "visits"):
        seen = forger.get(f"/api/v1/{path}")
        assert seen.status_code == 200, seen.text
        require_silence(seen.text)
    db.session.rollback()
    left = db.session.query(Item).filter(Item.outcome == "received").count()
    assert left == 0
    for visit in db.session.query(Visit).filter(Visit.reconciled_at.is_(None)).limit(3).all():
        reconcile_visit(now=now(), visit_id=str(visit.id))


@MANY
@given(data=st.data())
def test_a_spoiled_batch_is_answered_by_an_outcome_or_a_problem(forger: Forger, data: st.DataObject) -> None:
    item = forger.next_item("visit.ended", {"visit_id": str(forger.visit_id)}).written
    batch = {"batch_id": str(uuid7()), "clock": forger.clock(), "items": [item]}
    raw = write(spoil(batch, data, [str(uuid7())]), data)

    answer = forger.post(raw)

    assert answer.status_code in (200, 400, 413, 422), answer.text
    if answer.status_code == 200:
        assert json.loads(answer.text)["outcomes"][0]["receipt"]


@MANY
@given(raw=st.one_of(st.binary(max_size=300), st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_signed_bytes_of_any_kind_get_a_receipt(forger: Forger, raw: bytes) -> None:
    made = forger.seal(raw)
    forger.seq, forger.prev = forger.seq + 1, made.digest

    (told,) = forger.push([made])

    assert told["outcome"] == "quarantined"
    assert base64.b64decode(made.written["envelope"]["payload"]) == raw
