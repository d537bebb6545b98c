"""What comes of a person after their erasure: phones may be late, the office may not begin again."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError

from server import pii
from server.authority import Role
from server.database import db, transaction
from server.jobs import run_worker
from server.media.store import ObjectMissing, evidence_key
from server.models.cases import Address, Contact, Debtor
from server.models.casework import Complaint, Incident
from server.models.evidence import Evidence, Upload
from server.models.findings import Finding
from server.models.retention import Erasure
from server.models.visits import Item
from server.storage import current_store
from server.workflows.exchange.overdue import apply_overdue_items
from server.workflows.reconciliation import reconcile_due
from server.workflows.retention import due
from server.workflows.retention.erasing import erase_due
from server.workflows.retention.objects import remove_objects
from server.workflows.storage.collecting import collect_folder
from server.workflows.transparency.checking import alterations
from server.workflows.uploads import finishing
from sync.protocol import uuid7
from tests.api.tus import BYTES, metadata
from tests.builders import Cast, a_person, now
from tests.desk import decide, desk
from tests.phones import office as into
from tests.privacy.test_everything_said import A_VOID_LETTER_THAT_CAME_BACK
from tests.privacy.told import ANOTHER, PHOTO, Told, everything, later, sequenced
from tests.pushing import account_body, an_account, push, push_raw

SECRET = "王秘密在家"
LATE = PHOTO + b"late"


def an_account_of_a_visit(app: Flask, told: Told) -> None:
    an_account(told.phone, told.visit_id, narrative=SECRET)
    push(app, told.phone)


def a_hold(app: Flask, told: Told) -> None:
    told.phone.record("hold.requested", {"case_id": str(told.case.id), "reason": "other", "text": SECRET})
    push(app, told.phone)


def what_nobody_can_apply(app: Flask, told: Told) -> None:
    told.phone.record("visit.account", account_body(told.phone, told.visit_id, parent=7, narrative=SECRET))
    push(app, told.phone)


def what_waits_for_its_parent(app: Flask, told: Told) -> None:
    an_account(told.phone, told.visit_id, narrative=SECRET, amends=uuid7())
    push(app, told.phone)


def raw_bytes(app: Flask, told: Told) -> None:
    content = f'{{"case_id": "{told.case.id}", {SECRET}'.encode()
    push_raw(app, told.phone, content, path="/api/v1/sync/quarantine")


Tell = Callable[[Flask, Told], None]
LATECOMERS: tuple[Tell, ...] = (
    an_account_of_a_visit,
    a_hold,
    what_nobody_can_apply,
    what_waits_for_its_parent,
    raw_bytes,
)


@pytest.mark.parametrize("tell", LATECOMERS, ids=lambda tell: tell.__name__)
def test_what_phones_bring_late_is_erased_the_next_night(app: Flask, told: Told, tell: Tell) -> None:
    erase_due(now=later())
    tell(app, told)
    assert SECRET in everything()

    erase_due(now=later(days=1))
    apply_overdue_items(now=later(days=30))
    sequenced()

    assert SECRET not in everything()
    assert told.debtor().erased_at == later_than(told)
    assert [alteration.what for alteration in alterations()] == []


def later_than(told: Told) -> Any:
    """When the last of a debtor's erasures was."""
    return db.session.scalar(
        sa.select(sa.func.max(Erasure.erased_at)).where(Erasure.debtor_id == told.debtor_id)
    )


def test_whoever_nothing_came_of_is_erased_once(app: Flask, told: Told, tmp_path: Path) -> None:
    other = Told(app, tmp_path / "other", photo=PHOTO + b"other", whose=ANOTHER)
    other.close()
    erase_due(now=later())
    an_account_of_a_visit(app, told)

    for night in range(1, 4):
        erase_due(now=later(days=night))

    by_debtor = db.session.scalars(sa.select(Erasure.debtor_id)).all()
    assert sorted(by_debtor) == sorted([told.debtor_id, told.debtor_id, other.debtor_id])
    first, again = db.session.scalars(
        sa.select(Erasure).where(Erasure.debtor_id == told.debtor_id).order_by(Erasure.id)
    )
    assert (again.ended_at, again.kept_days, again.source) == (first.ended_at, first.kept_days, first.source)


def test_of_very_many_who_were_erased_a_part_is_asked_about_each_night(
    app: Flask, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = [told]
    for number, whose in enumerate((ANOTHER, {"name": "赵四"}, {"name": "钱五"})):
        photo = PHOTO + b"%d" % number
        everybody.append(Told(app, tmp_path / f"other-{number}", photo=photo, whose=whose))
        everybody[-1].close()
    erase_due(now=later())
    for one in everybody:
        an_account_of_a_visit(app, one)
    monkeypatch.setattr(due, "ASKED_A_NIGHT", 1)

    left = [erased_again() for night in range(1, 5) if erase_due(now=later(days=night)) is None]

    assert left[0] < 4
    assert left[-1] == 4
    assert SECRET not in everything()


def erased_again() -> int:
    """How many were erased a second time."""
    db.session.rollback()
    return (db.session.scalar(sa.select(sa.func.count(Erasure.id))) or 0) - 4


def test_somebody_who_is_said_to_be_erased_by_no_erasure_stops_nobody(app: Flask, told: Told) -> None:
    with transaction() as session:
        session.execute(sa.update(Debtor).values(erased_at=now()))

    erase_due(now=later())

    assert db.session.scalars(sa.select(Erasure.id)).all() == []


def test_a_late_complaint_is_answered_first_and_erased_then(app: Flask, told: Told, cast: Cast) -> None:
    erase_due(now=later())
    told.phone.record("complaint.raised", {"case_id": str(told.case.id), "text": SECRET})
    push(app, told.phone)

    erase_due(now=later(days=1))
    assert SECRET in everything()
    settle()
    erase_due(now=later(days=2))

    assert SECRET not in everything()


def settle() -> None:
    """Close what would hold somebody's data."""
    lessons = {"closed_at": now(), "cause": "a", "education": "b", "prevention": "c", "state": "closed"}
    supervisor = a_person(Role.SUPERVISOR).id
    resolved = {"merits": "upheld", "resolved_at": now(), "resolution": "d", "ruled_by": supervisor}
    with transaction() as session:
        session.execute(sa.update(Complaint).values(lessons | resolved))
        session.execute(sa.update(Incident).values(lessons))


def test_what_an_auditor_writes_to_end_their_work_is_erased_the_next_night(told: Told, cast: Cast) -> None:
    erase_due(now=later())
    finding = db.session.scalars(sa.select(Finding.id).where(Finding.visit_id == told.visit_id)).one()
    auditor = cast.person(Role.AUDITOR)
    answer = auditor.post(f"/api/v1/findings/{finding}/comments", json={"text": SECRET})
    assert answer.status_code == 201

    erase_due(now=later(days=1))

    assert SECRET not in everything()


def test_a_visit_that_was_erased_before_it_was_judged_is_not_asked_for_for_ever(told: Told) -> None:
    def asked_for() -> list[str]:
        with transaction() as session:
            session.execute(sa.text("DELETE FROM procrastinate_jobs"))
        reconcile_due(now=later(days=2))
        db.session.rollback()
        return list(db.session.scalars(sa.text("SELECT args ->> 'visit_id' FROM procrastinate_jobs")))

    before = asked_for()
    erase_due(now=later())

    assert before == [str(told.visit_id)]
    assert asked_for() == []


def test_what_was_erased_is_not_decided_about(app: Flask, told: Told, cast: Cast) -> None:
    what_nobody_can_apply(app, told)
    supervisor = cast.person(Role.SUPERVISOR)
    (entry,) = desk(supervisor)
    erase_due(now=later())

    answer = decide(supervisor, entry, "retry")

    assert desk(supervisor) == []
    assert (answer.status_code, answer.get_json()["type"]) == (409, "/problems/entry-erased")
    assert set(db.session.scalars(sa.select(Item.outcome))) == {"applied", "set_aside"}


# ---- files


def a_late_file(app: Flask, folder: Path) -> tuple[Told, UUID]:
    """Somebody was erased while a file of theirs was still on its way."""
    one = Told(app, folder / "phone")
    evidence = one.phone.capture(LATE, visit_id=one.visit_id, kind="photo", purpose="door", mime="image/jpeg")
    push(app, one.phone)
    one.close()
    return one, evidence


def test_a_file_that_comes_late_is_not_kept_and_its_phone_offers_it_no_more(
    app: Flask, tmp_path: Path
) -> None:
    one, _ = a_late_file(app, tmp_path)
    erase_due(now=later())
    remove_objects(now=later())

    with into(app) as http:
        report = one.phone.sync(http)
        again = one.phone.sync(http)

    db.session.rollback()
    assert (report.uploaded, report.stuck, again.stuck) == (0, [], [])
    assert one.phone.outbox.files.count_waiting() == 0
    assert set(db.session.scalars(sa.select(Evidence.state))) == {"erased"}
    assert not is_kept(LATE) and not is_kept(PHOTO)


@pytest.mark.parametrize("content", [LATE, b""], ids=["with its bytes", "before its bytes"])
def test_a_creation_for_erased_evidence_is_told_that_it_is_gone(
    app: Flask, tmp_path: Path, content: bytes
) -> None:
    one, evidence = a_late_file(app, tmp_path)
    erase_due(now=later())

    answer = create(app, one, evidence, content)

    assert (answer.status_code, answer.json()["type"]) == (410, "/problems/evidence-erased")
    assert db.session.scalar(sa.select(sa.func.count()).where(Upload.evidence_id == evidence)) == 0
    assert not is_kept(LATE)


def test_an_upload_under_way_ends_with_the_erasure_and_nothing_of_it_stays(
    app: Flask, tmp_path: Path
) -> None:
    one, evidence = a_late_file(app, tmp_path)
    at = create(app, one, evidence, b"").headers["Location"]
    assert patch(app, one, at, 0, LATE[:100]).status_code == 204

    erase_due(now=later())
    rest = patch(app, one, at, 100, LATE[100:])
    run_worker(app, until_idle=True)

    assert (rest.status_code, rest.json()["type"]) == (410, "/problems/upload-terminated")
    assert create(app, one, evidence, b"").status_code == 410
    assert not is_kept(LATE) and staged(at) == []


def test_a_file_that_is_being_finished_while_its_person_is_erased_is_not_kept(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, evidence = a_late_file(app, tmp_path)
    at = create(app, one, evidence, b"").headers["Location"]
    assert patch(app, one, at, 0, LATE[:100]).status_code == 204
    record = finishing._record  # pyright: ignore[reportPrivateUsage]

    def erased_meanwhile(*args: Any, **more: Any) -> bool:
        erase_due(now=later())
        return record(*args, **more)

    monkeypatch.setattr(finishing, "_record", erased_meanwhile)
    answer = patch(app, one, at, 100, LATE[100:])
    run_worker(app, until_idle=True)
    collect_folder(now=later(days=3), folder="evidence")

    db.session.rollback()
    assert answer.status_code == 410
    assert set(db.session.scalars(sa.select(Evidence.state))) == {"erased"}
    assert not is_kept(LATE) and staged(at) == []


def test_the_database_lets_nothing_erased_come_back(told: Told) -> None:
    erase_due(now=later())

    for change in ({"state": "verified"}, {"storage_key": "evidence/ab"}):
        with pytest.raises(IntegrityError, match="does not come back"), transaction() as session:
            session.execute(sa.update(Evidence).values(change))


def create(app: Flask, told: Told, evidence: UUID, content: bytes) -> Any:
    named = metadata(
        evidence_id=str(evidence),
        sha256=hashlib.sha256(LATE).hexdigest(),
        filename="a",
        filetype="image/jpeg",
    )
    headers = {"Upload-Length": str(len(LATE)), "Upload-Metadata": named}
    if content:
        headers["Content-Type"] = BYTES
    with into(app) as http:
        return http.post("/api/v1/files", headers=headers | signed_in(told), content=content)


def patch(app: Flask, told: Told, at: str, offset: int, content: bytes) -> Any:
    headers = {"Upload-Offset": str(offset), "Content-Type": BYTES}
    with into(app) as http:
        return http.patch(at, headers=headers | signed_in(told), content=content)


def signed_in(told: Told) -> dict[str, str]:
    return {"Authorization": f"Bearer {told.phone.outbox.fact('token')}", "Tus-Resumable": "1.0.0"}


def is_kept(content: bytes) -> bool:
    try:
        return current_store().size(evidence_key(hashlib.sha256(content).digest())) > 0
    except ObjectMissing:
        return False


def staged(at: str) -> list[str]:
    upload = at.rpartition("/")[2]
    return [one.key for one in current_store().walk("uploads") if upload in one.key]


# ---- the office

WRITING: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a hold": ("post", "/cases/{case}/holds", {"reason": "other", "note": SECRET}),
    "a contact": (
        "post",
        "/cases/{case}/ledger",
        {"channel": "call", "at": "2026-11-01T00:00:00Z", "result": SECRET},
    ),
    "hardship": ("put", "/debtors/{debtor}/hardship", {"hardship": ["pregnancy"]}),
    "a complaint": ("post", "/cases/{case}/complaints", {"channel": "call", "text": SECRET}),
    "an incident": (
        "post",
        "/incidents",
        {"case_id": "{case}", "kind": "other", "occurred_at": "2026-11-01T00:00:00Z", "text": SECRET},
    ),
    "a refusal": ("post", "/contacts/{contact}/refusal", {"why": "refused", "words": SECRET}),
    "an address": (
        "post",
        "/addresses/{address}/verification",
        {"status": "verified", "source": SECRET},
    ),
}


@pytest.mark.parametrize("what", WRITING)
def test_nobody_writes_about_an_erased_person(told: Told, cast: Cast, what: str) -> None:
    method, path, body = WRITING[what]
    ids = {
        "case": told.case.id,
        "debtor": told.debtor_id,
        "contact": db.session.scalars(sa.select(Contact.id)).one(),
        "address": db.session.scalars(sa.select(Address.id)).one(),
    }
    body = {name: value.format(**ids) if value == "{case}" else value for name, value in body.items()}
    write = getattr(cast.person(Role.SUPERVISOR), method)
    before = write(f"/api/v1{path.format(**ids)}", json=body)
    settle()
    erase_due(now=later())

    answer = write(f"/api/v1{path.format(**ids)}", json=body)

    assert before.status_code in (200, 201), before.text
    assert (answer.status_code, answer.get_json()["type"]) == (409, "/problems/debtor-erased")
    assert SECRET not in everything()


def test_a_hold_on_an_erased_person_is_not_released_with_words(told: Told, cast: Cast) -> None:
    supervisor = cast.person(Role.SUPERVISOR)
    held = supervisor.post(f"/api/v1/cases/{told.case.id}/holds", json={"reason": "other", "note": "x"})
    erase_due(now=later())

    word = {"instruction": SECRET, "given_by": "supervisor"}
    answer = supervisor.post(f"/api/v1/holds/{held.get_json()['id']}/release", json=word)

    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("void", {"reason": SECRET}),
        ("deliveries", {"posted_on": "2026-01-01", "returned_on": "2026-01-02", "proof": SECRET}),
    ],
)
def test_nobody_writes_on_the_letters_of_an_erased_person(
    app: Flask, told: Told, cast: Cast, path: str, body: dict[str, str]
) -> None:
    written = {
        "case": told.case.id,
        "said": "it came back",
        "content": pii.encrypt("letters.content", "a letter"),
    }
    with transaction() as session:
        session.execute(sa.text(A_VOID_LETTER_THAT_CAME_BACK), written)
        session.execute(sa.text("UPDATE letters SET state = 'issued', void_reason = ''"))
    letter = db.session.scalars(sa.text("SELECT id FROM letters")).one()
    erase_due(now=later())

    answer = cast.person(Role.SUPERVISOR).post(f"/api/v1/letters/{letter}/{path}", json=body)

    assert (answer.status_code, answer.get_json()["type"]) == (409, "/problems/debtor-erased")
    assert SECRET not in everything()
