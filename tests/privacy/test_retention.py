"""Data are kept as long as the pack says, longer while something holds them, and then they are gone.

What is proven about everybody else, and that something was there, stays proven.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.ledger.bundle import verify
from server.media.disk import DiskStore
from server.media.store import ObjectLocked, ObjectMissing
from server.models.cases import Client, Debtor
from server.models.evidence import Evidence
from server.models.feed import FeedRow
from server.models.findings import Finding
from server.models.retention import ErasedObject, RetentionHold
from server.storage import current_store
from server.workflows.rekeying import encrypted_tables
from server.workflows.retention.belongings import OF_STAFF, OWNED
from server.workflows.retention.erasing import ErasureFailed, erase_due
from server.workflows.retention.objects import remove_objects
from server.workflows.transparency.checking import alterations
from tests.builders import (
    Cast,
    a_case,
)
from tests.bundles import bundle_of
from tests.desk import correct, desk
from tests.desk import told as said
from tests.privacy.told import (
    ANOTHER,
    ID_NUMBER,
    NAME,
    NARRATIVE,
    PHONE,
    PHOTO,
    STREET,
    WHOSE,
    Told,
    everything,
    later,
    sequenced,
)
from tests.pushing import account_body, push


def test_nothing_is_left_of_a_person_and_everything_else_stays_proven(
    app: Flask, told: Told, cast: Cast, tmp_path: Path
) -> None:
    other = Told(
        app,
        tmp_path / "other",
        photo=PHOTO + b"other",
        whose=ANOTHER,
        street="海淀区",
        narrative="无人应门。",
    )
    sequenced()
    auditor = cast.person(Role.AUDITOR)
    before = bundle_of(told.visit_id, auditor, tmp_path / "before.zip")
    key = db.session.scalars(sa.select(Evidence.storage_key).where(Evidence.visit_id == told.visit_id)).one()
    searched = (NAME, PHONE, ID_NUMBER, STREET, NARRATIVE, "pregnancy")
    assert key is not None and all(words in everything() for words in searched)
    with transaction() as session:
        session.get_one(Debtor, other.debtor_id).hardship = []

    erase_due(now=later())
    remove_objects(now=later())
    sequenced()

    assert [words for words in searched if words in everything()] == []
    assert told.debtor().erased_at is not None
    assert all(words in everything() for words in (*ANOTHER.values(), "无人应门。"))
    with pytest.raises(ObjectMissing):
        current_store().size(key)
    assert [one.what for one in alterations()] == []
    after = bundle_of(told.visit_id, auditor, tmp_path / "after.zip")
    others = bundle_of(other.visit_id, auditor, tmp_path / "others.zip")
    reports = [verify(path) for path in (before, after, others)]
    assert [report.faults for report in reports] == [[], [], []]
    assert [report.checked["items"] > 3 for report in reports] == [True, False, True]
    assert reports[1].checked["erasure records"] == 1


def test_an_erasure_says_when_and_by_which_rule(told: Told, cast: Cast) -> None:
    erase_due(now=later())

    (one,) = cast.person(Role.AUDITOR).get("/api/v1/erasures").get_json()["erasures"]
    assert one["debtor_id"] == str(told.debtor_id)
    assert one["kept_days"] == 730 and one["source"]["article"] == "Art. 68"
    assert one["counts"]["accounts"] == 1 and one["objects"] == {"waiting": 1}


@pytest.mark.parametrize("attack", ["erased_things", "erasures"])
def test_an_erasure_cannot_be_stretched_to_hide_something(
    app: Flask, told: Told, tmp_path: Path, attack: str
) -> None:
    other = Told(app, tmp_path / "other", photo=PHOTO + b"other")
    erase_due(now=later())
    sequenced()
    with transaction() as session:
        hide = (
            "UPDATE log_leaves SET record = NULL, salt = NULL WHERE kind = 'finding' AND record IS NOT NULL"
        )
        session.execute(sa.text(hide))
        if attack == "erased_things":
            add = (
                "INSERT INTO erased_things SELECT erasures.id, 'finding', findings.id FROM erasures, findings"
            )
            session.execute(sa.text(f"{add} WHERE visit_id = :visit"), {"visit": other.visit_id})
        else:
            session.execute(sa.text("UPDATE erasures SET kept_days = 1"))

    found = {one.what for one in alterations()}

    expected = {
        "erased_things": "what it erased is not what was logged",
        "erasures": "the row is not what was logged",
    }
    assert expected[attack] in found


def test_somebody_who_took_a_part_later_stops_no_erasure(app: Flask, cast: Cast, tmp_path: Path) -> None:
    one = Told(app, tmp_path / "phone")
    supervisor = cast.person(Role.SUPERVISOR)
    finding = db.session.scalars(sa.select(Finding.id).where(Finding.visit_id == one.visit_id)).one()
    look = {"outcome": "upheld", "reason": "I heard it too"}
    said(supervisor.post(f"/api/v1/findings/{finding}/second-look", json=look))
    one.phone.record("visit.account", account_body(one.phone, one.visit_id, narrative=7))
    push(app, one.phone)
    (entry,) = desk(supervisor)
    said(correct(supervisor, entry, "visit.account", account_body(one.phone, one.visit_id)))
    one.close()

    erase_due(now=later())

    assert one.debtor().erased_at is not None
    assert "I heard it too" not in everything()


def test_whoever_cannot_be_erased_stops_nobody_else_and_the_job_says_so(
    app: Flask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, other = (
        Told(app, tmp_path / name, photo=PHOTO + name.encode(), whose=whose)
        for name, whose in (("first", WHOSE), ("other", ANOTHER))
    )
    first.close()
    other.close()
    forbid = (
        f"ALTER TABLE accounts ADD CONSTRAINT stays CHECK (visit_id <> '{first.visit_id}' OR narrative <> '')"
    )
    with transaction() as session:
        session.execute(sa.text(forbid))

    try:
        with pytest.raises(ErasureFailed, match="1 debtors could not be erased"):
            erase_due(now=later())
    finally:
        with transaction() as session:
            session.execute(sa.text("ALTER TABLE accounts DROP CONSTRAINT stays"))

    assert first.debtor().erased_at is None and first.debtor().name == NAME
    assert other.debtor().erased_at is not None
    assert str(first.debtor_id) in caplog.text and "stays" in caplog.text
    assert [words for words in (NAME, NARRATIVE, STREET) if words in caplog.text] == []


def test_a_day_too_early_nothing_is_erased(told: Told, cast: Cast) -> None:
    erase_due(now=later(days=-1))
    one = due_of(cast)

    assert told.debtor().erased_at is None and told.debtor().name == NAME
    assert one["debtor_id"] == str(told.debtor_id) and one["held_by"] == []
    assert cast.person(Role.SUPERVISOR).get("/api/v1/erasures/due").get_json()["debtors"] == []


def test_an_open_case_keeps_everything(app: Flask, told: Told) -> None:
    a_case(debtor=told.debtor())

    erase_due(now=later())

    assert told.debtor().erased_at is None


def test_a_hold_keeps_them_until_a_supervisor_releases_it(told: Told, cast: Cast) -> None:
    supervisor = cast.person(Role.SUPERVISOR)
    body = {"kind": "litigation", "reason": "court file 12/2026"}
    set_ = supervisor.post(f"/api/v1/debtors/{told.debtor_id}/retention-holds", json=body)
    erase_due(now=later())
    held = told.debtor().erased_at, due_of(cast)["held_by"]

    hold = set_.get_json()["id"]
    released = supervisor.post(f"/api/v1/retention-holds/{hold}/release", json={"reason": "judged"})
    erase_due(now=later())

    assert (set_.status_code, released.status_code) == (201, 200)
    assert held == (None, ["litigation"])
    assert told.debtor().erased_at is not None
    assert db.session.scalars(sa.select(RetentionHold.reason)).all() == [""]
    again = supervisor.post(f"/api/v1/debtors/{told.debtor_id}/retention-holds", json=body)
    assert again.status_code == 409


def test_an_open_complaint_holds_by_itself(told: Told, cast: Cast) -> None:
    body = {"channel": "call", "text": "they shouted"}
    filed = cast.person(Role.SUPERVISOR).post(f"/api/v1/cases/{told.case.id}/complaints", json=body)
    assert filed.status_code == 201, filed.text

    erase_due(now=later())

    assert told.debtor().erased_at is None
    assert due_of(cast)["held_by"] == ["open complaint"]


def test_bytes_that_somebody_else_has_too_stay_until_theirs_go(
    app: Flask, told: Told, tmp_path: Path
) -> None:
    other = Told(app, tmp_path / "other")
    erase_due(now=later())
    remove_objects(now=later())
    shared = states()
    other.close()

    erase_due(now=later(days=1))
    remove_objects(now=later(days=1))

    assert shared == {"shared"}
    assert states() == {"removed"}


def test_what_the_store_keeps_under_a_lock_is_tried_again_until_it_lets_go(
    app: Flask, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = current_store()
    monkeypatch.setitem(app.extensions, "media_store", Locking(Path(app.extensions["config"].media_store)))
    with transaction() as session:
        thumbnail = sa.func.concat("thumbnails/", Evidence.id)
        session.execute(sa.update(Evidence).values(thumbnail_key=thumbnail))
    erase_due(now=later())
    remove_objects(now=later())
    locked, there = states(), objects()
    monkeypatch.setitem(app.extensions, "media_store", store)

    remove_objects(now=later(days=1))

    assert locked == {"refused"}
    assert {key.partition("/")[0] for key in there} == {"evidence", "thumbnails"}
    assert states() == {"removed"}


class Locking(DiskStore):
    """A folder as a bucket whose every object is locked."""

    def remove(self, key: str) -> None:
        raise ObjectLocked(key, until=None)


def objects() -> list[str]:
    """What was erased and should leave the store."""
    return list(db.session.scalars(sa.select(ErasedObject.key)))


def test_phones_let_go_of_what_is_still_in_their_feed(told: Told) -> None:
    with transaction() as session:
        session.execute(sa.update(FeedRow).values(op="put"))

    erase_due(now=later())

    ops = db.session.scalars(sa.select(FeedRow.op).where(FeedRow.kind == "assignment")).all()
    assert ops and set(ops) == {"remove"}


def test_a_file_cannot_bring_an_erased_person_back(told: Told, cast: Cast) -> None:
    debtor = told.debtor()
    bank = db.session.get_one(Client, debtor.client_id).reference
    erase_due(now=later())
    of_debtor = {"client_reference": bank, "reference": debtor.reference, "name": NAME}
    of_case = {"client_reference": bank, "reference": "N1", "case_reference": told.case.reference}
    rows = [
        {"kind": "debtors", **of_debtor},
        {"kind": "cases", **of_case, "debtor_reference": debtor.reference, "account_number": "622200001"},
        {"kind": "contacts", **of_case, "name": NAME},
        {"kind": "addresses", **of_case, "text": STREET},
    ]
    del rows[1]["case_reference"]

    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    answer = cast.person(Role.DISPATCHER).post(
        "/api/v1/imports", data=content, headers={"Content-Type": "application/jsonl"}
    )

    assert answer.get_json()["rejected"] == len(rows), answer.text
    assert answer.text.count("erased") == len(rows)
    assert told.debtor().name is None


def test_an_erased_case_says_so_and_its_evidence_is_gone(told: Told, cast: Cast) -> None:
    evidence_id = db.session.scalars(sa.select(Evidence.id).where(Evidence.visit_id == told.visit_id)).one()
    erase_due(now=later())

    case = cast.person(Role.SUPERVISOR).get(f"/api/v1/cases/{told.case.id}").get_json()
    link = cast.person(Role.AUDITOR).get(f"/api/v1/evidence/{evidence_id}/link")
    visit = cast.person(Role.AUDITOR).get(f"/api/v1/visits/{told.visit_id}")

    assert case["debtor"]["erased_at"] is not None and case["debtor"]["name"] is None
    assert (link.status_code, link.get_json()["type"].rpartition("/")[2]) == (410, "evidence-erased")
    assert visit.status_code == 200 and NARRATIVE not in visit.text


def test_every_encrypted_table_is_somebodys(app: Flask) -> None:
    assert {table.name for table in encrypted_tables()} == {*OWNED, *OF_STAFF}


def states() -> set[str]:
    db.session.rollback()
    return set(db.session.scalars(sa.select(ErasedObject.state)))


def due_of(cast: Cast) -> Any:
    answer = cast.person(Role.SUPERVISOR).get("/api/v1/erasures/due", query_string={"within_days": 731})
    (one,) = answer.get_json()["debtors"]
    return one
