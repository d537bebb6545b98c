"""Whatever somebody with the database password alters afterwards is named; an honest day names nothing."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.ledger.bundle import verify
from server.models.transparency import LogCheckpoint, LogLeaf
from server.workflows.inspection.inspecting import settle_evidence
from server.workflows.transparency.checking import BATCH, alterations
from server.workflows.transparency.sequencing import sequence
from sync.phone import Phone
from sync.protocol import uuid7
from tests.api.tus import CONTENT, Uploader
from tests.builders import Cast, a_case, a_handset, a_visitor, an_address, an_assignment, now
from tests.bundles import bundle_of
from tests.phones import a_phone, office
from tests.security.hostile import Forger

# An item like the first, under an id of its own.
COPY = """
    INSERT INTO items SELECT (jsonb_populate_record(one, jsonb_build_object(
        'item_id', gen_random_uuid(){}))).* FROM items AS one WHERE seq = 1
"""
LEAVES = """
    INSERT INTO log_leaves (kind, subject_id, entry)
    SELECT 'erasure', gen_random_uuid(), sha256(convert_to(n::text, 'UTF8')) FROM generate_series(1, :count) n
"""


UNNAMED_LEAVES = {("the leaf's record is gone, and no erasure took it", "erasure")}
"""What is to be said of leaves that were written without any record."""


def sql(statement: str, **values: object) -> None:
    """What somebody types who has the database's password."""
    with transaction() as session:
        session.execute(sa.text(statement), values)


def named() -> set[tuple[str, str]]:
    return {(one.what, one.where.partition(" ")[0]) for one in alterations()}


@pytest.fixture
def phone(app: Flask, tmp_path: Path) -> Iterator[Phone]:
    """A phone that told of two visits, after which the log was sequenced."""
    visitor = a_visitor()
    case = a_case()
    assignment = an_assignment(case, an_address(case), visitor)
    handset = a_phone(visitor, tmp_path / "phone")
    for _ in range(2):
        handset.record(
            "visit.started",
            {
                "visit_id": str(uuid7()), "assignment_id": str(assignment.id), "permit_id": None,
                "position": None, "team": [str(visitor.id)], "checklist": {},
            },
        )  # fmt: skip
    with office(app) as http:
        handset.sync(http)
    while sequence(now=now()):
        pass
    yield handset
    handset.close()


def test_an_honest_day_has_every_item_and_decision_in_the_log_and_nothing_to_name(phone: Phone):
    kinds = db.session.execute(sa.select(LogLeaf.kind, sa.func.count()).group_by(LogLeaf.kind)).all()

    assert dict(kinds) | {"item": 2, "decision": 1} == dict(kinds)  # type: ignore[arg-type]
    assert named() == set()


@pytest.mark.parametrize(
    ("attack", "what", "where"),
    [
        (
            "UPDATE items SET payload = set_byte(payload, 40, get_byte(payload, 40) # 1) WHERE seq = 1",
            "the bytes are not those the phone signed",
            "item",
        ),
        (
            "UPDATE items SET received_at = received_at - interval '1 day' WHERE seq = 1",
            "the row is not what was logged",
            "item",
        ),
        (
            "UPDATE items SET later_anchor = '{}' WHERE seq = 1",
            "the row is not what was logged",
            "item",
        ),
        ("DELETE FROM items WHERE seq = 2", "the row was deleted", "item"),
        (
            "UPDATE decisions SET verdict = jsonb_set(verdict, '{allowed}', 'false')",
            "the row is not what was logged",
            "decision",
        ),
        ("DELETE FROM log_leaves WHERE leaf_index = 1", "a leaf was deleted", "leaf"),
        (
            "DELETE FROM log_leaves WHERE leaf_index = (SELECT max(leaf_index) FROM log_leaves)",
            "leaves at the end of the signed log are missing",
            "leaf",
        ),
        (
            "UPDATE log_leaves SET record = record || 'x' WHERE kind = 'item'",
            "the leaf's record was altered",
            "item",
        ),
        (
            "UPDATE log_leaves SET entry = sha256('x') WHERE leaf_index = 0",
            "the tile is not the hash of its leaves",
            "tile",
        ),
        (
            "UPDATE log_tiles SET hashes = set_byte(hashes, 3, get_byte(hashes, 3) # 1) WHERE level = 0",
            "the tree is not the one whose head was signed",
            "checkpoint",
        ),
        (
            "UPDATE log_checkpoints SET root = sha256('x')",
            "the head stands beside another's signature",
            "checkpoint",
        ),
        (
            "UPDATE log_checkpoints SET note = replace(note, size || E'\\n', (size + 1) || E'\\n')",
            "the signed head is not ours: the log's signature does not verify",
            "checkpoint",
        ),
        (
            "UPDATE access_log SET staff_id = NULL",
            "the row is not what was logged",
            "access",
        ),
    ],
)  # fmt: skip
def test_one_alteration_is_named(phone: Phone, attack: str, what: str, where: str):
    sql(attack)

    assert (what, where) in named()


def test_two_leaves_that_changed_places_are_named(phone: Phone):
    sql("UPDATE log_leaves SET leaf_index = leaf_index + 1000")
    sql(
        "UPDATE log_leaves SET leaf_index ="
        " CASE leaf_index WHEN 1000 THEN 1 WHEN 1001 THEN 0 ELSE leaf_index - 1000 END"
    )

    assert ("the tile is not the hash of its leaves", "tile") in named()


def test_a_row_that_was_slipped_in_past_the_log_is_named(phone: Phone):
    sql("ALTER TABLE items DISABLE TRIGGER log_new")
    try:
        sql(COPY.format(""))
    finally:
        sql("ALTER TABLE items ENABLE TRIGGER log_new")

    assert ("the row was slipped in: no leaf", "item") in named()


def test_a_backdated_item_gets_a_late_place_that_betrays_it(phone: Phone):
    """Somebody writes an item as if it had come yesterday: its place is after what came since."""
    sql(COPY.format(", 'received_at', one.received_at - interval '1 day'"))
    sequence(now=now())

    newest = db.session.scalars(sa.select(LogLeaf).order_by(LogLeaf.leaf_index.desc())).first()

    assert newest is not None and newest.kind == "item"
    heads = db.session.scalars(sa.select(LogCheckpoint).order_by(LogCheckpoint.size)).all()
    assert newest.leaf_index is not None and newest.leaf_index >= heads[-2].size


def test_a_record_that_is_gone_without_an_erasure_is_named(phone: Phone):
    """Real erasures are in `tests/privacy/test_retention.py`: of those nothing is named."""
    sql("UPDATE log_leaves SET salt = NULL, record = NULL WHERE kind = 'item'")
    sql("UPDATE items SET payload = ''")

    assert named() == {
        ("the leaf's record is gone, and no erasure took it", "item"),
        ("the bytes are not those the phone signed", "item"),
    }


def test_a_log_of_many_batches_is_checked_whole(app: Flask):
    sql(LEAVES, count=BATCH + 700)
    while sequence(now=now()):
        pass

    assert named() == UNNAMED_LEAVES

    sql(
        "UPDATE log_leaves SET entry = sha256('x') WHERE leaf_index = :late",
        late=BATCH + 300,
    )
    assert ("the tile is not the hash of its leaves", "tile") in named()


def test_leaves_that_commit_late_are_taken_in_the_next_round(app: Flask):
    add = (
        "INSERT INTO log_leaves (kind, subject_id, entry) VALUES ('erasure', gen_random_uuid(), sha256('{}'))"
    )
    with db.engine.connect() as early:
        early.execute(sa.text(add.format("early")))
        sql(add.format("late"))
        assert sequence(now=now()) == 1

        early.commit()

    assert sequence(now=now() + timedelta(minutes=1)) == 1
    assert named() == UNNAMED_LEAVES


@pytest.fixture
def loose(app: Flask) -> UUID:
    """A file that came without any promise of it, after which the log was sequenced."""
    uploader = Uploader(app, a_handset(a_visitor()))
    assert uploader.create(CONTENT, body=CONTENT).status_code == 201
    while sequence(now=now()):
        pass
    return uploader.evidence_id


@pytest.mark.parametrize(
    ("attack", "what"),
    [
        ("DELETE FROM evidence WHERE id = :id", "the row was deleted"),
        (
            "UPDATE evidence SET loose_sha256 = sha256('x') WHERE id = :id",
            "the row is not what was logged",
        ),
        (
            "UPDATE evidence SET storage_key = 'evidence/' || encode(sha256('x'), 'hex') WHERE id = :id",
            "its file is not the one that was logged",
        ),
        (
            "UPDATE evidence SET device_id = (SELECT id FROM devices WHERE id <> device_id LIMIT 1)"
            " WHERE id = :id",
            "its file is not the one that was logged",
        ),
        (
            "UPDATE evidence SET state = 'uploading', storage_key = NULL WHERE id = :id",
            "its file is not the one that was logged",
        ),
    ],
)
def test_a_file_that_nobody_promised_cannot_vanish_or_change_unnoticed(loose: UUID, attack: str, what: str):
    a_handset(a_visitor())
    assert named() == set()

    sql(attack, id=loose)

    assert what in {said for said, _ in named()}


def test_a_loose_file_that_is_promised_later_is_no_alteration(app: Flask, cast: Cast, tmp_path: Path):
    phone = Forger.with_a_visit(app)
    body = phone.evidence_body(sha256=hashlib.sha256(CONTENT).hexdigest(), size_bytes=len(CONTENT))
    uploader = Uploader(app, a_handset(phone.staff), evidence_id=UUID(body["evidence_id"]))
    assert uploader.create(CONTENT, body=CONTENT).status_code == 201

    phone.must_apply([phone.next_item("visit.evidence", body)])
    before = named()
    settle_evidence(now=now(), evidence_id=body["evidence_id"])
    while sequence(now=now()):
        pass

    kinds = db.session.scalars(sa.select(LogLeaf.kind).where(LogLeaf.subject_id == uploader.evidence_id))
    assert sorted(kinds) == ["evidence", "loose"]
    assert before == named() == set()
    report = verify(bundle_of(phone.visit_id, cast.person(Role.AUDITOR), tmp_path / "visit.zip"))
    assert {one.part for one in report.faults} == {"permit.json"}  # which the builder has sealed by nobody
    assert report.checked["evidence"] == 1
