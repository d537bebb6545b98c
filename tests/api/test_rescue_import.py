"""A rescue bundle reaches the office by any hand: whole, once, in its own phone's name, or not at all."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.people import Device, Staff
from server.models.visits import Account, Item, Visit
from server.signing import current_signer
from server.storage import current_store
from sync.phone import Phone
from tests.builders import (
    Cast,
    Handset,
    Person,
    Role,
    a_handset,
    a_person,
    a_visitor,
    now,
)
from tests.phones import a_phone
from tests.pushing import account_body, begin, push

PHOTO = b"\xff\xd8\xff" + bytes(range(256)) * 6000  # more than one segment


@pytest.fixture
def phone(visitor: Staff, tmp_path: Path) -> Iterator[Phone]:
    handset = a_phone(visitor, tmp_path / "phone")
    handset.outbox.remember(rescue_key=current_signer().rescue_key)
    yield handset
    handset.close()


@pytest.fixture
def dispatcher(cast: Cast) -> Person:
    return cast.person(Role.DISPATCHER)


def a_day(phone: Phone, assignment: Assignment, *, content: bytes = PHOTO) -> tuple[UUID, UUID]:
    """A whole visit with a photo, all of it unsent; the ids of visit and photo."""
    visit_id = begin(phone, assignment.id)
    photo = phone.capture(content, visit_id=visit_id, kind="photo", purpose="door", mime="image/jpeg")
    phone.end_visit(visit_id, position=None)
    phone.record("visit.account", account_body(phone, visit_id))
    return visit_id, photo


def exported(phone: Phone, folder: Path, *, most_bytes: int | None = None) -> list[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    return [path.read_bytes() for path in phone.export_rescue(folder, most_bytes=most_bytes)]


def hand_in(carrier: Person | Handset, bundle: bytes, app: Flask) -> TestResponse:
    token = carrier.token
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
    return app.test_client().post("/api/v1/sync/rescue-bundles", data=bundle, headers=headers)


def told(answer: TestResponse, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    return json.loads(answer.text)


def nothing_was_kept() -> bool:
    db.session.rollback()
    return not any(
        db.session.scalar(sa.select(sa.func.count()).select_from(model)) for model in (Item, Visit, Evidence)
    )


def test_a_bundle_brings_the_whole_visit_with_its_files(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path
) -> None:
    visit_id, photo = a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")

    answer = told(hand_in(dispatcher, bundle, app))

    assert [one["outcome"] for one in answer["outcomes"]] == ["applied"] * 4
    assert answer["files"] == [{"evidence_id": str(photo), "outcome": "stored", "problem": None}]
    db.session.rollback()
    assert db.session.get_one(Visit, visit_id).state == "reported"
    evidence = db.session.get_one(Evidence, photo)
    assert (evidence.state, evidence.visit_id, evidence.device_id) == ("verified", visit_id, phone.device_id)
    assert evidence.storage_key is not None
    assert b"".join(current_store().read(evidence.storage_key)) == PHOTO
    jobs = "SELECT task_name FROM procrastinate_jobs WHERE task_name = 'inspect_evidence'"
    assert len(db.session.execute(sa.text(jobs)).all()) == 1


def test_a_file_that_its_phone_could_not_put_in_is_named_to_whoever_hands_the_bundle_in(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path
) -> None:
    _, photo = a_day(phone, assignment)
    (phone.media / str(photo)).unlink()
    (bundle,) = exported(phone, tmp_path / "out")

    answer = told(hand_in(dispatcher, bundle, app))

    problem = {"slug": "not-carried", "detail": "the file on this phone is gone or was cut"}
    assert answer["files"] == [{"evidence_id": str(photo), "outcome": "absent", "problem": problem}]
    db.session.rollback()
    (entry,) = db.session.scalars(sa.select(AccessEntry).where(AccessEntry.action == "rescue.import")).all()
    assert entry.request["absent"] == [str(photo)]


def test_the_receipts_free_the_phone_however_they_come_back(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path
) -> None:
    a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")
    answer = hand_in(dispatcher, bundle, app)

    freed = phone.take_receipts(answer.data)

    assert freed == 4
    assert phone.outbox.count_waiting()[0] == 0


def test_handing_it_in_twice_changes_nothing_and_is_answered_the_same(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path
) -> None:
    a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")

    first, again = told(hand_in(dispatcher, bundle, app)), told(hand_in(dispatcher, bundle, app))

    assert first == again
    db.session.rollback()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Account)) == 1


def test_several_hands_at_once_bring_it_once(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path
) -> None:
    a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")

    with ThreadPoolExecutor(4) as pool:
        answers = [
            told(one.result()) for one in [pool.submit(hand_in, dispatcher, bundle, app) for _ in range(4)]
        ]
    last = told(hand_in(dispatcher, bundle, app))

    receipts = {json.dumps([one["receipt"] for one in answer["outcomes"]]) for answer in answers}
    assert len(receipts) == 1
    assert [one["outcome"] for one in last["files"]] == ["stored"]
    db.session.rollback()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Item)) == 4


def test_what_the_network_brought_before_keeps_its_receipts(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path
) -> None:
    a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")
    pushed = push(app, phone)

    answer = told(hand_in(dispatcher, bundle, app))

    assert [one["receipt"] for one in answer["outcomes"]] == [one["receipt"] for one in pushed]
    assert {one["outcome"] for one in answer["outcomes"]} == {"applied"}


def test_volumes_come_in_any_order_and_a_file_is_whole_when_all_have_come(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path
) -> None:
    _, photo = a_day(phone, assignment, content=PHOTO * 2)
    volumes = exported(phone, tmp_path / "out", most_bytes=1024 * 1024)
    assert len(volumes) > 2

    backwards = [told(hand_in(dispatcher, volume, app)) for volume in reversed(volumes)]
    forwards = [told(hand_in(dispatcher, volume, app)) for volume in volumes]

    said = [file["outcome"] for answer in backwards for file in answer["files"]]
    assert said[0] == "waiting"
    assert forwards[-1]["files"][-1]["outcome"] == "stored"
    db.session.rollback()
    evidence = db.session.get_one(Evidence, photo)
    assert (evidence.state, evidence.sha256) == ("verified", hashlib.sha256(PHOTO * 2).digest())


@pytest.mark.parametrize("roles", [(Role.VISITOR,), (Role.VISITOR, Role.SUPERVISOR)])
def test_a_colleagues_phone_may_carry_it_and_learns_only_that_it_arrived(
    app: Flask, phone: Phone, assignment: Assignment, visitor: Staff, tmp_path: Path, roles: tuple[Role, ...]
) -> None:
    visit_id = begin(phone, assignment.id)
    phone.record("visit.account", account_body(phone, visit_id, narrative=7))
    (bundle,) = exported(phone, tmp_path / "out")
    colleague = a_handset(a_person(*roles))

    answer = told(hand_in(colleague, bundle, app))

    assert [one["outcome"] for one in answer["outcomes"]] == ["applied", "quarantined"]
    assert all(one["flags"] == [] and one["problem"] is None for one in answer["outcomes"])
    db.session.rollback()
    items = db.session.scalars(sa.select(Item)).all()
    assert {item.device_id for item in items} == {phone.device_id}
    assert db.session.get_one(Visit, visit_id).staff_id == visitor.id
    (entry,) = db.session.scalars(sa.select(AccessEntry).where(AccessEntry.action == "rescue.import")).all()
    assert (entry.staff_id, entry.entity_id) == (colleague.device.staff_id, phone.device_id)
    assert entry.request["carried_by_device"] == str(colleague.device.id)


def test_a_revoked_phones_bundle_is_taken_in_and_flagged(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path
) -> None:
    a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")
    with transaction() as session:
        session.execute(sa.update(Device).where(Device.id == phone.device_id).values(revoked_at=now()))

    answer = told(hand_in(dispatcher, bundle, app))

    assert all("key_revoked" in one["flags"] for one in answer["outcomes"])
    assert answer["files"][0]["outcome"] == "stored"


def spoiled(bundle: bytes, how: str) -> bytes:
    if how == "cut":
        return bundle[:-1000]
    if how == "empty":
        return b""
    if how == "longer":
        return bundle + b"x"
    if how == "not a bundle":
        return b"PK\x03\x04" + bundle
    place = {"bit in the head": 20, "bit in the middle": len(bundle) // 2, "bit at the end": len(bundle) - 3}[
        how
    ]
    return bundle[:place] + bytes([bundle[place] ^ 1]) + bundle[place + 1 :]


@pytest.mark.parametrize(
    "how",
    ["cut", "empty", "longer", "not a bundle", "bit in the head", "bit in the middle", "bit at the end"],
)
def test_a_spoiled_bundle_is_refused_and_nothing_of_it_is_kept(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path, how: str
) -> None:
    a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")

    refused = told(hand_in(dispatcher, spoiled(bundle, how), app), 422)

    assert refused["type"].removeprefix("/problems/").startswith(("bundle-", "not-a-bundle"))
    assert refused["detail"]
    assert nothing_was_kept()


def no_room(**_: str) -> BinaryIO:
    return Path("/dev/full").open("w+b", 0)


def test_a_bundle_for_which_the_disk_has_no_room_may_be_handed_in_later(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")

    with monkeypatch.context() as full:
        full.setattr("server.api.phones.tempfile.TemporaryFile", no_room)
        refused = hand_in(dispatcher, bundle, app)

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert told(refused, 503)["type"] == "/problems/disk-full"
    assert nothing_was_kept()
    told(hand_in(dispatcher, bundle, app))


def test_a_bundle_of_a_phone_nobody_knows_or_that_did_not_seal_it_is_refused(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path
) -> None:
    a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")
    other = a_phone(a_visitor(), tmp_path / "other")
    with transaction() as session:
        key = session.scalar(sa.select(Device.public_key).where(Device.id == other.device_id))
        session.execute(sa.text("DELETE FROM tokens WHERE device_id IS NOT NULL"))
        session.execute(sa.delete(Device).where(Device.id == other.device_id))
        session.execute(sa.update(Device).where(Device.id == phone.device_id).values(public_key=key))
    other.close()

    unproven = told(hand_in(dispatcher, bundle, app), 422)
    with transaction() as session:
        session.execute(sa.delete(Device).where(Device.id == phone.device_id))
    unknown = told(hand_in(dispatcher, bundle, app), 422)

    assert [unproven["type"], unknown["type"]] == ["/problems/sender-unproven", "/problems/sender-unknown"]
    assert nothing_was_kept()


def test_a_file_that_is_not_what_was_promised_is_refused_alone(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path
) -> None:
    visit_id, photo = a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")
    push(app, phone)
    with transaction() as session:
        session.execute(sa.update(Evidence).where(Evidence.id == photo).values(sha256=b"\x01" * 32))

    answer = told(hand_in(dispatcher, bundle, app))

    assert [one["outcome"] for one in answer["outcomes"]] == ["applied"] * 4
    assert (answer["files"][0]["outcome"], answer["files"][0]["problem"]["slug"]) == (
        "refused", "digest-not-promised",
    )  # fmt: skip
    db.session.rollback()
    assert db.session.get_one(Evidence, photo).storage_key is None
    assert db.session.get_one(Visit, visit_id).state == "reported"


def test_a_file_that_its_phone_is_sending_at_the_same_time_is_not_refused(
    app: Flask, phone: Phone, assignment: Assignment, dispatcher: Person, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _, photo = a_day(phone, assignment)
    (bundle,) = exported(phone, tmp_path / "out")
    store = current_store()
    keep = store.keep

    def overtaken(content: memoryview, *, expected: bytes | None) -> bytes | None:
        """The phone asks HEAD while the office works on the same file."""
        with db.engine.begin() as connection:
            connection.execute(sa.text("UPDATE uploads SET fence = fence + 1"))
        return keep(content, expected=expected)

    with monkeypatch.context() as beside:
        beside.setattr(store, "keep", overtaken)
        answer = told(hand_in(dispatcher, bundle, app))
    again = told(hand_in(dispatcher, bundle, app))

    assert answer["files"] == [{"evidence_id": str(photo), "outcome": "begun", "problem": None}]
    assert again["files"][0]["outcome"] == "stored"


def test_nobody_reads_a_bundle_on_its_way(
    app: Flask, phone: Phone, assignment: Assignment, tmp_path: Path
) -> None:
    a_day(phone, assignment)

    (bundle,) = exported(phone, tmp_path / "out")

    assert "已告知还款渠道".encode() not in bundle and PHOTO[:64] not in bundle
