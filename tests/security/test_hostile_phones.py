"""Everything a hostile or broken phone can send: an outcome or a problem answers it, never a fault of ours.

Each test says what the phone does; what must hold afterwards is the same: no 5xx, receipts verify, a whole
item pushed later is applied, and nothing of another visitor stands in any answer.
"""

import base64
import gzip
import json
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.models.people import Device, Token
from server.models.visits import Account, Item
from server.workflows.devices import proof_message
from sync.envelope import DeviceKey, KeyFault, PublicKey
from tests.builders import Cast, a_visitor, now
from tests.security.hostile import Forger, count, require_silence

# Keys and signatures.


def test_a_signature_by_another_key_is_kept_and_not_believed(forger: Forger) -> None:
    stranger = ed25519.Ed25519PrivateKey.generate()
    record = forger.record("visit.account", forger.account_body())
    made = forger.seal(json.dumps(record).encode(), key=stranger, id=record["item_id"])

    (told,) = forger.push([made])

    assert (told["outcome"], told["problem"]["slug"]) == ("quarantined", "signature-wrong")
    assert count(Account) == 0


@pytest.mark.parametrize("signatures", [[], [{"keyid": "k", "sig": ""}], [{"keyid": "k", "sig": "AA=="}]])
def test_a_signature_of_no_or_odd_length_is_kept_and_not_believed(
    forger: Forger, signatures: list[Any]
) -> None:
    made = forger.next_item("visit.account", forger.account_body())
    made.written["envelope"]["signatures"] = signatures

    (told,) = forger.push([made])

    assert (told["outcome"], told["problem"]["slug"]) == ("quarantined", "signature-wrong")


def test_bytes_that_nobody_signed_make_no_fork_of_those_that_somebody_did(forger: Forger) -> None:
    good = forger.next_item("visit.account", forger.account_body())
    bad = forger.seal(good.payload, key=ed25519.Ed25519PrivateKey.generate(), seq=forger.seq, prev=None)

    told = forger.push([good, bad])
    later = forger.push([forger.next_item("visit.account", forger.account_body())])

    assert [one["outcome"] for one in told] == ["applied", "quarantined"]
    assert "chain_fork" not in told[0]["flags"] + later[0]["flags"]
    db.session.rollback()
    assert "chain_fork" not in db.session.get_one(Item, (forger.handset.device.id, good.id)).flags


def test_an_item_sealed_as_something_else_is_kept(forger: Forger) -> None:
    made = forger.next_item("visit.account", forger.account_body())
    made.written["envelope"]["payloadType"] = "application/vnd.fieldvisit.receipt+json"

    answer = forger.post(forger.batch([made.written]))

    assert json.loads(answer.text)["outcomes"][0]["problem"]["slug"] == "payload-type-unknown"


def test_the_item_of_another_phone_is_kept_and_counts_for_nobody(forger: Forger, victim: Forger) -> None:
    stolen = victim.next_item("visit.account", victim.account_body())
    resealed = forger.seal(stolen.payload, id=str(stolen.id), seq=forger.seq + 1)

    told = forger.push([resealed])

    assert told[0]["problem"]["slug"] == "item-of-another-device"
    assert count(Account, Account.visit_id == victim.visit_id) == 1
    assert victim.push([stolen])[0]["outcome"] == "applied"


def enrolment(code: str, spki: bytes, proof: bytes, algorithm: str = "ed25519") -> dict[str, str]:
    return {
        "code": code,
        "algorithm": algorithm,
        "public_key": base64.b64encode(spki).decode(),
        "proof": base64.b64encode(proof).decode(),
    }


def a_code(cast: Cast) -> str:
    wanted = {"staff_id": str(a_visitor().id)}
    answer = cast.person(Role.DISPATCHER).post("/api/v1/enrolment-codes", json=wanted)
    return json.loads(answer.text)["code"]


def spki_of(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


P256_HEAD = spki_of(ec.generate_private_key(ec.SECP256R1()))[:-64]
ED25519_HEAD = spki_of(ed25519.Ed25519PrivateKey.generate())[:-32]


def odd_keys() -> dict[str, tuple[bytes, str]]:
    """Keys that no phone of ours can have."""
    on_curve = spki_of(ec.generate_private_key(ec.SECP256R1()))
    return {
        "rsa": (spki_of(rsa.generate_private_key(65537, 2048)), "ed25519"),
        "p384": (spki_of(ec.generate_private_key(ec.SECP384R1())), "p256"),
        "ed25519 as p256": (spki_of(ed25519.Ed25519PrivateKey.generate()), "p256"),
        "p256 as ed25519": (on_curve, "ed25519"),
        "not on the curve": (P256_HEAD + b"\x01" * 64, "p256"),
        "at infinity": (P256_HEAD[:-1] + b"\x00" * 65, "p256"),
        "too short": (on_curve[:-1], "p256"),
        "too long": (on_curve + b"\x00", "p256"),
        "raw": (on_curve[-65:], "p256"),
        "no der": (b"\x30\x80\x00", "ed25519"),
        "identity": (ED25519_HEAD + b"\x01" + b"\x00" * 31, "ed25519"),
        "zero": (ED25519_HEAD + b"\x00" * 32, "ed25519"),
        "not reduced": (ED25519_HEAD + b"\xee" + b"\xff" * 30 + b"\x7f", "ed25519"),
    }


@pytest.mark.parametrize("name", sorted(odd_keys()))
def test_a_key_that_no_phone_can_have_does_not_enrol(app: Flask, cast: Cast, name: str) -> None:
    spki, algorithm = odd_keys()[name]
    identity = b"\x01" + b"\x00" * 63  # verifies under a key of small order, whatever the message

    answer = app.test_client().post(
        "/api/v1/devices", json=enrolment(a_code(cast), spki, identity, algorithm)
    )

    assert (answer.status_code, json.loads(answer.text)["type"]) == (422, "/problems/key-unreadable")
    assert count(Device) == 0


def test_a_key_under_which_anybody_can_sign_is_no_key() -> None:
    for encoded in ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "ec" + "ff" * 31):
        with pytest.raises(KeyFault, match="anybody"):
            PublicKey.from_spki(ED25519_HEAD + bytes.fromhex(encoded), algorithm="ed25519")


def test_a_code_is_worth_one_key_and_a_proof_cannot_be_borrowed(app: Flask, cast: Cast) -> None:
    phone, code = app.test_client(), a_code(cast)
    mine, other = DeviceKey.generate("p256"), DeviceKey.generate("p256")

    borrowed = phone.post(
        "/api/v1/devices", json=enrolment(code, other.spki, mine.sign(proof_message(code, mine.spki)), "p256")
    )
    whole = enrolment(code, mine.spki, mine.sign(proof_message(code, mine.spki)), "p256")
    first, again = phone.post("/api/v1/devices", json=whole), phone.post("/api/v1/devices", json=whole)
    stolen = phone.post(
        "/api/v1/devices",
        json=enrolment(code, other.spki, other.sign(proof_message(code, other.spki)), "p256"),
    )

    assert (borrowed.status_code, json.loads(borrowed.text)["type"]) == (422, "/problems/proof-wrong")
    assert (first.status_code, again.status_code) == (201, 201)
    assert json.loads(first.text)["device_id"] == json.loads(again.text)["device_id"]
    assert (stolen.status_code, json.loads(stolen.text)["type"]) == (403, "/problems/code-used")
    assert count(Device) == 1


def test_an_enrolment_replayed_when_its_code_is_old_or_its_phone_revoked_gives_no_token(
    app: Flask, cast: Cast
) -> None:
    code, key = a_code(cast), DeviceKey.generate()
    whole = enrolment(code, key.spki, key.sign(proof_message(code, key.spki)))
    phone = app.test_client()
    phone.post("/api/v1/devices", json=whole)
    with transaction() as session:
        session.execute(sa.update(Device).values(revoked_at=now()))

    revoked = phone.post("/api/v1/devices", json=whole)
    with transaction() as session:
        session.execute(sa.update(Device).values(revoked_at=None))
        session.execute(sa.text("UPDATE enrolment_codes SET expires_at = expires_at - interval '1 hour'"))
    old = phone.post("/api/v1/devices", json=whole)

    assert [answer.status_code for answer in (revoked, old)] == [403, 403]
    assert count(Token, Token.device_id.is_not(None)) == 1


def test_the_token_of_a_revoked_phone_hands_in_and_learns_nothing(forger: Forger, victim: Forger) -> None:
    with transaction() as session:
        session.execute(
            sa.update(Device).where(Device.id == forger.handset.device.id).values(revoked_at=now())
        )

    told = forger.push([forger.next_item("visit.account", forger.account_body())])

    assert "key_revoked" in told[0]["flags"]
    for path in ("sync/pull", f"visits/{victim.visit_id}", "visits", f"visits/{forger.visit_id}"):
        answer = forger.get(f"/api/v1/{path}")
        assert answer.status_code == 403
        require_silence(answer.text)


# The form of a request.


@pytest.mark.parametrize("count_", [0, 501, 2000])
def test_a_batch_of_none_or_too_many_is_a_problem(forger: Forger, count_: int) -> None:
    item = forger.next_item("visit.account", forger.account_body()).written

    answer = forger.post(forger.batch([item] * count_))

    assert answer.status_code == 422
    assert json.loads(answer.text)["errors"][0]["pointer"] == "/items"


def test_the_largest_batch_is_answered_item_by_item(forger: Forger) -> None:
    items = [forger.next_item("equipment.taken", {"n": n}) for n in range(500)]

    told = forger.push(items)

    assert [one["outcome"] for one in told] == ["applied"] * 500


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"null", 400),
        (b"\x00" * 1000, 400),
        (b'{"batch_id":"\\u0000"}', 400),
        (b'{"batch_id":"\\udfff"}', 400),
        (b'{"batch_id":1,"batch_id":2}', 400),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
        (b'{"n":' + b"9" * 100_000 + b"}", 400),
        (b'{"n":1e999}', 400),
        (b'{"items":' + b"[" * 63 + b"]" * 63 + b"}", 422),
        (b'{"batch_id": "x", "clock": 1, "items": [1]}', 422),
        (b" " * (8 * 1024 * 1024 + 1), 413),
    ],
    ids=["empty", "null", "nul", "escaped nul", "surrogate", "twice", "deep", "long number", "infinite",
         "nested", "types", "huge"],
)  # fmt: skip
def test_a_body_that_is_no_batch_is_a_problem(forger: Forger, raw: bytes, status: int) -> None:
    answer = forger.post(raw)

    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"


def test_a_compressed_bomb_is_never_unpacked(forger: Forger) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    raw = forger.batch([forger.next_item("visit.account", forger.account_body()).written])

    answers_ = [
        forger.post(bomb, **{"Content-Encoding": "gzip"}),
        forger.post(gzip.compress(raw), **{"Content-Encoding": "gzip"}),
    ]

    assert [one.status_code for one in answers_] == [400, 400]
    assert count(Item, Item.device_id == forger.handset.device.id) == 1


@pytest.mark.parametrize("mimetype", ["text/plain", "application/octet-stream", "multipart/form-data", "%"])
def test_a_wrong_content_type_changes_nothing(forger: Forger, mimetype: str) -> None:
    raw = forger.batch([forger.next_item("visit.account", forger.account_body()).written])

    answer = forger.post(raw, **{"Content-Type": mimetype})

    assert answer.status_code == 200, answer.text
    assert json.loads(answer.text)["outcomes"][0]["outcome"] == "applied"


def test_raw_bytes_have_a_limit_and_no_form(forger: Forger) -> None:
    taken = forger.post(b"\xff\x00", path="/api/v1/sync/quarantine")
    nothing = forger.post(b"", path="/api/v1/sync/quarantine")
    largest = forger.post(b"\x00" * (64 * 1024 * 1024), path="/api/v1/sync/quarantine")
    huge = forger.post(b"\x00" * (64 * 1024 * 1024 + 1), path="/api/v1/sync/quarantine")

    assert (taken.status_code, nothing.status_code) == (200, 200)
    assert (largest.status_code, huge.status_code) == (200, 413)


CURSORS = {
    "infinite": '{"everyone": ["00000000-0000-0000-0000-000000000000", Infinity]}',
    "beyond bigint": '{"everyone": ["00000000-0000-0000-0000-000000000000", 99999999999999999999999]}',
    "negative": '{"everyone": ["00000000-0000-0000-0000-000000000000", -1]}',
    "deep": "[" * 900,
    "another's scope": '{"staff:another": ["00000000-0000-0000-0000-000000000000", 5]}',
    "nul": '{"\\u0000": ["00000000-0000-0000-0000-000000000000", 5]}',
}


@pytest.mark.parametrize("name", CURSORS)
def test_a_cursor_that_is_not_ours_starts_over(forger: Forger, victim: Forger, name: str) -> None:
    cursor = base64.urlsafe_b64encode(CURSORS[name].encode()).decode()

    answer = forger.app.test_client().get(
        "/api/v1/sync/pull", query_string={"cursor": cursor}, headers=forger.handset.headers
    )

    assert (answer.status_code, json.loads(answer.text)["type"]) == (410, "/problems/feed-reset")
    require_silence(answer.text)


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=99999999999999999999", "limit=x",
                                   "cursor=%00", "cursor=" + "A" * 5000])  # fmt: skip
def test_a_pull_that_asks_for_nonsense_is_a_problem(forger: Forger, query: str) -> None:
    answer = forger.get(f"/api/v1/sync/pull?{query}")

    assert answer.status_code in (410, 422)
