"""What is replaced, taken away or made to say something else beside its leaf is named, also by a bundle."""

import base64
import dataclasses
import hashlib
import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.ledger.bundle import Report, verify
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.visits import Item
from server.seals import stored_envelope
from server.workflows.inspection import inspecting
from server.workflows.reconciliation import reconcile_visit
from server.workflows.transparency.checking import alterations
from sync.phone import Phone
from sync.protocol import PushedItem, uuid7
from tests import desk
from tests.api.tus import BYTES, metadata
from tests.builders import Cast, now
from tests.bundles import Parts, bundle_of, changed, put, rows
from tests.phones import office as into
from tests.privacy.told import PHOTO, Told, sequenced
from tests.pushing import account_body, an_account, batch_of, evidence_body, push, push_raw, resealed

ACCOUNT = "type = 'visit.account'"


def typed(*statements: str) -> None:
    """What somebody types who has the database's password, in one transaction; then the log is sequenced."""
    with transaction() as session:
        for statement in statements:
            session.execute(sa.text(statement))
    sequenced()


def named() -> set[tuple[str, str]]:
    return {(one.what, one.where.partition(" ")[0]) for one in alterations()}


def again(table: str, where: str, change: str) -> tuple[str, ...]:
    """Delete a row and write it anew, altered: the trigger logs the new one beside the old."""
    return (
        f"CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT * FROM {table} WHERE {where}",
        f"DELETE FROM {table} WHERE {where}",
        f"UPDATE moved SET {change}",
        f"INSERT INTO {table} SELECT * FROM moved",
    )


def beside(change: str) -> tuple[str, ...]:
    """Write an account beside the one that there is."""
    return (
        "CREATE TEMP TABLE more ON COMMIT DROP AS SELECT * FROM accounts",
        f"UPDATE more SET id = gen_random_uuid(), {change}",
        "INSERT INTO accounts SELECT * FROM more",
    )


@pytest.fixture
def told(app: Flask, tmp_path: Path) -> Iterator[Told]:
    """A visit with a photo and an account, two conflicting items, and bytes that are no item."""
    one = Told(app, tmp_path / "phone")
    push_raw(app, one.phone, b"{broken", path="/api/v1/sync/quarantine")
    account = db.session.scalars(sa.select(Item).where(Item.type == "visit.account")).one()
    item = PushedItem(account.item_id, account.seq, account.prev, stored_envelope(account))
    for word in ("下月", "明年"):
        other = resealed(one.phone, item, item.envelope.payload.replace("下周".encode(), word.encode()))
        push_raw(app, one.phone, json.dumps(batch_of(one.phone, [other])).encode())
    sequenced()
    assert named() == set()
    yield one
    one.phone.close()


@pytest.mark.parametrize(
    ("attack", "what", "where"),
    [
        (
            again("items", ACCOUNT, "received_at = received_at - interval '9 days'"),
            "the row was deleted",
            "item",
        ),
        (again("items", ACCOUNT, "flags = '{}'"), "it was logged again", "item"),
        (
            again("raw_submissions", "true", "content = 'other', sha256 = sha256('other')"),
            "the row was deleted",
            "raw",
        ),
        (
            (
                "DELETE FROM conflicting_items"
                " WHERE sha256 = (SELECT sha256 FROM conflicting_items LIMIT 1)",
            ),
            "the row was deleted",
            "conflict",
        ),
        (
            ("UPDATE evidence SET state = 'missing', storage_key = NULL, thumbnail_key = NULL",),
            "the row was put back to before",
            "evidence",
        ),
        (
            ("UPDATE evidence SET storage_key = NULL",),
            "its file is not the one that was logged",
            "evidence",
        ),
        (
            ("UPDATE evidence SET storage_key = 'evidence/' || repeat('a', 64)",),
            "its file is not the one that was logged",
            "evidence",
        ),
        (
            (f"UPDATE items SET visit_id = NULL WHERE {ACCOUNT}",),
            "its visit is not the one the phone signed",
            "item",
        ),
        (
            (f"UPDATE items SET visit_id = NULL, type = 'unreadable' WHERE {ACCOUNT}",),
            "its visit is not the one the phone signed",
            "item",
        ),
        (
            ("UPDATE items SET visit_id = gen_random_uuid() WHERE type = 'visit.evidence'",),
            "its visit is not the one the phone signed",
            "item",
        ),
        (
            ("UPDATE accounts SET narrative = 'nobody was there'",),
            "the account is not what was signed",
            "account",
        ),
        (
            ("UPDATE accounts SET claims = jsonb_set(claims, '{outcome}', '\"paid\"')",),
            "the account is not what was signed",
            "account",
        ),
        (("DELETE FROM accounts",), "the account that the phone signed is not there", "account"),
        (beside("narrative = narrative"), "the account is not what was signed", "account"),
        (
            beside("item_id = gen_random_uuid()"),
            "the account was slipped in: nobody signed it",
            "account",
        ),
    ],
)  # fmt: skip
def test_what_is_replaced_or_taken_away_is_named(
    told: Told, attack: tuple[str, ...], what: str, where: str
) -> None:
    typed(*attack)

    assert named() == {(what, where)}


def test_evidence_that_was_logged_and_is_said_never_to_have_come_is_named_by_its_bundle(
    told: Told, cast: Cast, tmp_path: Path
) -> None:
    typed("UPDATE evidence SET state = 'missing', storage_key = NULL")

    report = verify(bundle_of(told.visit_id, cast.person(Role.AUDITOR), tmp_path / "visit.zip"))

    assert [fault.what for fault in report.faults] == [
        "was logged when it had come, and its file is not here"
    ]


def test_evidence_that_never_came_is_no_alteration(
    app: Flask, told: Told, cast: Cast, tmp_path: Path
) -> None:
    told.phone.record("visit.evidence", evidence_body(told.phone, told.visit_id))
    push(app, told.phone)
    sequenced()

    report = verify(bundle_of(told.visit_id, cast.person(Role.AUDITOR), tmp_path / "visit.zip"))

    assert (report.faults, report.checked["evidence"]) == ([], 2)
    assert named() == set()


def test_an_account_that_was_taken_out_of_its_visit_is_in_the_bundle_all_the_same(
    told: Told, cast: Cast, tmp_path: Path
) -> None:
    auditor = cast.person(Role.AUDITOR)
    before = verify(bundle_of(told.visit_id, auditor, tmp_path / "before.zip"))
    typed("UPDATE items SET visit_id = NULL")

    after = verify(bundle_of(told.visit_id, auditor, tmp_path / "after.zip"))

    assert after.faults == []
    assert after.checked["items"] == before.checked["items"] == 4


def test_what_a_bundle_knows_of_and_does_not_hold_is_named(
    app: Flask, told: Told, cast: Cast, tmp_path: Path
) -> None:
    """Also where somebody has the server's key and signs the rest: promises and judgements tell."""
    reconcile_visit(now=now(), visit_id=str(told.visit_id))
    later = an_account(told.phone, told.visit_id, narrative="他答应明天还款。")
    push(app, told.phone)
    reconcile_visit(now=now() + timedelta(hours=30), visit_id=str(told.visit_id))
    path = bundle_of(told.visit_id, cast.person(Role.AUDITOR), tmp_path / "visit.zip")
    assert verify(path).faults == []

    def leave_out(parts: Parts) -> None:
        put(parts, "items.json", [one for one in rows(parts, "items.json") if not is_left_out(one)])

    def is_left_out(item: dict[str, Any]) -> bool:
        return item["type"] == "visit.evidence" or str(later).encode() in payload_of(item)

    assert of_things(verify(changed(path, leave_out))) == {
        ("item", "was there when the visit was judged and is not here"),
        ("evidence", "is promised by nobody: what promised it was removed"),
    }


def test_an_item_of_another_visit_in_a_bundle_is_named(
    app: Flask, told: Told, cast: Cast, tmp_path: Path
) -> None:
    other = Told(app, tmp_path / "other", photo=PHOTO + b"other")
    auditor = cast.person(Role.AUDITOR)
    path = bundle_of(told.visit_id, auditor, tmp_path / "visit.zip")
    with zipfile.ZipFile(bundle_of(other.visit_id, auditor, tmp_path / "other.zip")) as archive:
        more = json.loads(archive.read("items.json"))

    def add(parts: Parts) -> None:
        put(parts, "items.json", rows(parts, "items.json") + more)

    assert ("item", "is of another visit") in of_things(verify(changed(path, add)))


def payload_of(item: dict[str, Any]) -> bytes:
    return base64.b64decode(item["envelope"]["payload"])


def of_things(report: Report) -> set[tuple[str, str]]:
    """What does not fit of items and evidence: the manifest names whole parts beside."""
    parted = ((fault.part.partition(" "), fault.what) for fault in report.faults)
    return {(kind, what) for (kind, _, name), what in parted if name}


def test_whatever_the_desk_let_through_or_wrote_is_no_alteration(
    app: Flask, phone: Phone, assignment: Assignment, cast: Cast, tmp_path: Path
) -> None:
    """Accounts and promises of the office's own, an item accepted without its signature, one set aside."""
    visit_id, _ = desk.a_faulty_account(app, phone, assignment)
    door = evidence_body(phone, visit_id)
    phone.record("visit.evidence", door | {"size_bytes": "many"})
    push(app, phone)
    an_account(phone, visit_id)
    phone.record("visit.account", account_body(phone, visit_id, narrative=8))
    *_, fine, worse = phone.outbox.next_batch(1000)
    push(app, phone, [desk.unsigned(phone, fine), worse])
    supervisor = cast.person(Role.SUPERVISOR)
    account, promise, unsigned, last = desk.desk(supervisor)
    desk.told(desk.correct(supervisor, account, "visit.account", account_body(phone, visit_id)))
    desk.told(desk.correct(supervisor, promise, "visit.evidence", door))
    desk.told(desk.decide(supervisor, unsigned, "accept"))
    desk.told(desk.decide(supervisor, last, "set_aside"))
    sequenced()

    report = verify(bundle_of(visit_id, cast.person(Role.AUDITOR), tmp_path / "visit.zip"))

    assert named() == set()
    assert of_things(report) == {("item", "the phone's signature does not verify: it was altered")}
    assert report.checked["correction records"] == 2
    assert db.session.scalar(sa.text("SELECT count(*) FROM accounts")) == 2


def test_bytes_that_came_before_their_promise_are_no_alteration(app: Flask, told: Told) -> None:
    photo, before = PHOTO + b"before", uuid7()
    sent = {
        "Authorization": f"Bearer {told.phone.outbox.fact('token')}",
        "Tus-Resumable": "1.0.0",
        "Content-Type": BYTES,
        "Upload-Length": str(len(photo)),
        "Upload-Metadata": metadata(evidence_id=str(before), filename="a", filetype="image/jpeg"),
    }
    with into(app) as http:
        assert http.post("/api/v1/files", headers=sent, content=photo).status_code == 201
    body = evidence_body(
        told.phone,
        told.visit_id,
        evidence_id=str(before),
        sha256=hashlib.sha256(photo).hexdigest(),
        size_bytes=len(photo),
    )
    told.phone.record("visit.evidence", body)
    push(app, told.phone)
    stored = named()

    inspecting.settle_evidence(now=now(), evidence_id=str(before))
    inspecting.settle_evidence(now=now(), evidence_id=str(before))
    sequenced()

    assert (stored, named()) == (set(), set())
    assert db.session.get_one(Evidence, before, populate_existing=True).state == "verified"


@pytest.mark.parametrize(
    ("undone", "kinds"),
    [
        (
            "UPDATE findings SET state = 'open', decided_by = NULL, decided_at = NULL, reason = ''",
            {"finding", "weight"},
        ),
        ("DELETE FROM access_log WHERE action = 'visit.bundle'", set()),
    ],
)
def test_what_was_decided_and_is_made_undecided_is_named_by_its_bundle(
    told: Told, cast: Cast, tmp_path: Path, undone: str, kinds: set[str]
) -> None:
    auditor = cast.person(Role.AUDITOR)
    before = verify(bundle_of(told.visit_id, auditor, tmp_path / "before.zip"))
    typed(undone)

    after = verify(bundle_of(told.visit_id, auditor, tmp_path / "after.zip"))

    assert before.faults == []
    assert of_things(after) == {(kind, "was logged, and what was logged is not here") for kind in kinds}


def test_a_bundle_that_leaves_out_who_looked_is_named(told: Told, cast: Cast, tmp_path: Path) -> None:
    path = bundle_of(told.visit_id, cast.person(Role.AUDITOR), tmp_path / "visit.zip")

    report = verify(changed(path, lambda parts: put(parts, "looks.json", [])))

    assert ("access", "was logged, and what was logged is not here") in of_things(report)


BEGINNING = ("its beginning is not what was signed", "visit")
END = ("its end is not what was signed", "visit")
PROMISE = ("what it is of is not what was promised", "evidence")
GONE = ("the file that the phone promised is not there", "evidence")


@pytest.mark.parametrize(
    ("change", "alteration"),
    [
        ("visits SET arrived_earliest = arrived_earliest - interval '2 hours'", BEGINNING),
        ("visits SET arrived_latest = arrived_latest + interval '1 minute'", BEGINNING),
        ('visits SET arrived_at_position = \'{"lat": 39.9, "lon": 116.4}\'', BEGINNING),
        ("visits SET team = team || gen_random_uuid()", BEGINNING),
        ("visits SET team = '{}'", BEGINNING),
        ("visits SET checklist = '{\"badge_shown\": true}'", BEGINNING),
        ("visits SET assignment_id = NULL, debtor_id = NULL", BEGINNING),
        ("visits SET debtor_id = NULL", BEGINNING),
        ("visits SET seen_seq = seen_seq + 1", BEGINNING),
        ("visits SET evidence_due_at = evidence_due_at + interval '9 days'", BEGINNING),
        ("visits SET started_item = gen_random_uuid()", BEGINNING),
        ("visits SET left_latest = left_latest + interval '1 hour'", END),
        ('visits SET left_at_position = \'{"lat": 39.9, "lon": 116.4}\'', END),
        ("evidence SET purpose = 'door'", PROMISE),
        ("evidence SET captured_from_earliest = captured_from_earliest - interval '1 hour'", PROMISE),
        ('evidence SET position = \'{"lat": 39.9, "lon": 116.4}\'', PROMISE),
        ("evidence SET visit_id = NULL, promised_item = NULL", GONE),
    ],
)
def test_a_visit_that_is_made_to_say_something_else_is_named(
    told: Told, change: str, alteration: tuple[str, str]
) -> None:
    typed(f"UPDATE {change}")

    assert alteration in named()


def test_a_visit_without_the_end_that_was_signed_is_named(told: Told) -> None:
    typed("UPDATE visits SET ended_item = NULL, left_earliest = NULL, left_latest = NULL, left_method = NULL")

    assert named() == {("what the phone signed of a visit is not there", "item")}


def test_a_promise_that_was_never_kept_and_is_made_undone_is_named(app: Flask, told: Told) -> None:
    body = evidence_body(told.phone, told.visit_id)
    told.phone.record("visit.evidence", body)
    push(app, told.phone)

    typed(f"DELETE FROM evidence WHERE id = '{body['evidence_id']}'")

    assert named() == {GONE}


def test_a_report_that_is_made_to_say_something_else_is_named(app: Flask, told: Told) -> None:
    told.phone.record("equipment.failed", {"visit_id": str(told.visit_id), "text": "no light"})
    push(app, told.phone)
    sequenced()
    assert named() == set()

    typed('UPDATE field_reports SET body = body || \'{"text": "all fine"}\'')

    assert named() == {("the report is not what was signed", "report")}


def test_a_visit_under_a_link_secret_that_was_changed_since_is_no_alteration(
    app: Flask, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = app.extensions["signer"]

    monkeypatch.setitem(app.extensions, "signer", dataclasses.replace(signer, secret=b"another"))

    assert named() == set()


def test_an_end_that_was_cut_off_back_to_an_earlier_head_is_named(app: Flask, told: Told) -> None:
    an_account(told.phone, told.visit_id, narrative="他答应明天还款。")
    push(app, told.phone)
    sequenced()
    assert named() == set()

    typed(
        "DELETE FROM log_checkpoints WHERE size = (SELECT max(size) FROM log_checkpoints)",
        "CREATE TEMP TABLE cut ON COMMIT DROP AS SELECT subject_id FROM log_leaves"
        " WHERE leaf_index >= (SELECT max(size) FROM log_checkpoints)",
        "DELETE FROM log_leaves WHERE leaf_index >= (SELECT max(size) FROM log_checkpoints)",
        "DELETE FROM accounts WHERE item_id IN (SELECT subject_id FROM cut)",
        "DELETE FROM items WHERE item_id IN (SELECT subject_id FROM cut)",
    )

    assert named() == {("the tile has hashes of leaves that are gone", "tile")}


def test_years_of_signed_heads_are_checked_in_little_memory(told: Told) -> None:
    """One a minute is half a million a year."""
    many = 6_000
    typed(
        "INSERT INTO log_checkpoints (size, root, note, signed_at)"
        f" SELECT 1000000 + n, sha256('x'), repeat('x', 600), now() FROM generate_series(1, {many}) AS n"
    )

    tracemalloc.start()
    try:
        heads = sum(one.where.startswith("checkpoint") for one in islice(alterations(), many))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert heads == many
    assert peak < 6 * 1024 * 1024
