"""An erasure covers what was its debtor's and is gone; one that somebody writes by hand hides nothing."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask

from server import pii
from server.authority import Role
from server.database import db, transaction
from server.ledger.bundle import verify
from server.schema import MIGRATIONS
from server.workflows.reconciliation import reconcile_visit
from server.workflows.retention.erasing import erase_due
from server.workflows.transparency.checking import alterations
from tests import desk
from tests.auditing.builders import decide
from tests.builders import Cast, a_case, now
from tests.bundles import bundle_of
from tests.privacy.test_everything_said import A_VOID_LETTER_THAT_CAME_BACK
from tests.privacy.told import ANOTHER, PHOTO, Told, everything, later, sequenced
from tests.pushing import an_account, push

GONE = "the leaf's record is gone, and no erasure took it"
UNSIGNED = "it is not what the office signed"
SAYS = "the row says something although it was erased"
FORGED = """
    WITH forged AS (
        INSERT INTO erasures (id, debtor_id, erased_at, ended_at, kept_days, source, counts, things_sha256,
                              seal)
        VALUES (gen_random_uuid(), :debtor, now(), now() - interval '800 days', 730, '{}', '{}', :things, '')
        RETURNING id)
    INSERT INTO erased_things SELECT id, :kind, :subject FROM forged
"""
FORGET = "UPDATE log_leaves SET record = NULL, salt = NULL WHERE kind = '{}'"
ERASED = "UPDATE debtors SET erased_at = now(), name = NULL WHERE id = '{}'"
REWRITE = "UPDATE findings SET reason = 'withdrawn by the bank', rule = 'Z1'"
BLANK = "UPDATE findings SET claim = '', observation = '{}', citation = '{}', reason = ''"


def typed(*statements: str, debtor: UUID | None = None, kind: str = "", subject: UUID | None = None) -> None:
    """What somebody types who has the database's password: of a debtor, an erasure of one thing first."""
    with transaction() as session:
        if debtor is not None:
            things = hashlib.sha256(f"{kind} {subject}\n".encode()).digest()
            forged = {"debtor": debtor, "things": things, "kind": kind, "subject": subject}
            session.execute(sa.text(FORGED), forged)
        for statement in statements:
            session.execute(sa.text(statement))
    sequenced()


def named() -> set[str]:
    """What does not fit beside the missing signature, which gives every forged erasure away."""
    return {one.what.partition(":")[0] for one in alterations()} - {UNSIGNED}


def only(table: str) -> UUID:
    return db.session.scalars(sa.text(f"SELECT id FROM {table}")).one()


@pytest.fixture
def told(app: Flask, tmp_path: Path) -> Iterator[Told]:
    """A visit with a confirmed finding; nobody is due yet."""
    one = Told(app, tmp_path / "phone")
    sequenced()
    assert named() == set()
    yield one
    one.phone.close()


def test_an_erasure_of_somebody_who_was_never_erased_is_named(told: Told) -> None:
    typed(FORGET.format("finding"), BLANK, debtor=told.debtor_id, kind="finding", subject=only("findings"))

    assert named() == {"its debtor was not erased then"}


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("finding", "SELECT id FROM findings"),
        ("evidence", "SELECT id FROM evidence"),
        ("item", "SELECT item_id FROM items WHERE type = 'visit.account'"),
    ],
)
def test_an_erasure_takes_nothing_of_somebody_elses_visit(told: Told, kind: str, subject: str) -> None:
    stranger = a_case().debtor_id
    taken = db.session.scalars(sa.text(subject)).one()

    typed(ERASED.format(stranger), FORGET.format(kind), debtor=stranger, kind=kind, subject=taken)

    assert "it took what is not its debtor's" in named()


def test_what_was_erased_says_nothing(told: Told) -> None:
    whose = {"debtor": told.debtor_id, "kind": "finding", "subject": only("findings")}
    typed(ERASED.format(told.debtor_id), FORGET.format("finding"), REWRITE, **whose)

    assert named() == {SAYS}


def test_an_erasure_takes_no_records_that_name_nobody(told: Told) -> None:
    whose = {"debtor": told.debtor_id, "kind": "hearing", "subject": only("hearings")}
    longer = "UPDATE hearings SET due_at = due_at + interval '1 day'"
    typed(ERASED.format(told.debtor_id), FORGET.format("hearing"), longer, **whose)

    assert named() == {GONE}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE findings SET reason = 'withdrawn'", SAYS),
        ("UPDATE evidence SET inspection = '{\"faces\": 0}'", SAYS),
        ("UPDATE items SET signatures = '[1]'", SAYS),
        ("UPDATE items SET payload = '{}'", SAYS),
        ("UPDATE items SET payload = '{}'", "the bytes are not those the phone signed"),
        ("UPDATE accounts SET narrative = 'all is well'", "the account is not what was signed"),
        ("UPDATE hearings SET due_at = due_at + interval '1 day'", "the row is not what was logged"),
    ],
)
def test_rows_of_somebody_who_was_erased_stay_as_they_are(told: Told, change: str, what: str) -> None:
    told.close()
    erase_due(now=later())
    sequenced()
    assert named() == set()

    typed(change)

    assert what in named()


def test_an_erasure_hides_nothing_that_was_written_after_it(told: Told) -> None:
    told.close()
    erase_due(now=later())
    typed(
        "CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT * FROM evidence",
        "DELETE FROM picture_prints",
        "DELETE FROM evidence",
        "UPDATE moved SET state = 'verified'",
        "INSERT INTO evidence SELECT * FROM moved",
        "UPDATE evidence SET state = 'erased'",
        FORGET.format("evidence"),
    )

    assert named() == {GONE}


def test_what_was_told_at_one_door_of_somebody_else_goes_with_them_and_is_no_alteration(
    app: Flask, told: Told, cast: Cast, tmp_path: Path
) -> None:
    other = Told(app, tmp_path / "other", photo=PHOTO + b"other", whose=ANOTHER)
    reconcile_visit(now=now(), visit_id=str(told.visit_id))
    heard = {"visit_id": str(told.visit_id), "case_id": str(other.case.id), "name": "邻居"}
    told.phone.record("contact.learned", heard | {"phone": "13900000000", "relation": "", "address": None})
    an_account(told.phone, told.visit_id, narrative="邻居说他搬走了。")
    push(app, told.phone)
    reconcile_visit(now=now() + timedelta(hours=30), visit_id=str(told.visit_id))
    other.close()

    erase_due(now=later())
    sequenced()

    taken = "SELECT kind FROM erased_things JOIN items ON item_id = subject_id WHERE visit_id = :visit"
    assert db.session.scalars(sa.text(taken), {"visit": told.visit_id}).all() == ["item"]
    assert named() == set()
    assert verify(bundle_of(told.visit_id, cast.person(Role.AUDITOR), tmp_path / "visit.zip")).faults == []


def test_a_finding_that_was_raised_before_and_decided_after_an_erasure_is_no_alteration(
    told: Told, cast: Cast
) -> None:
    auditor = cast.person(Role.AUDITOR)
    reconcile_visit(now=now() + timedelta(hours=30), visit_id=str(told.visit_id))
    raised = {"rule": "C7", "severity": "serious", "words": "the voice is not the debtor's"}
    finding = desk.told(auditor.post(f"/api/v1/audit/visits/{told.visit_id}/findings", json=raised), 201)
    told.close()
    erase_due(now=later())

    answer = decide(auditor, UUID(finding["id"]))
    sequenced()

    assert answer.status_code == 200, answer.text
    assert named() == set()


def test_an_erasure_that_looks_real_and_was_written_by_hand_is_named(told: Told) -> None:
    """Everything as the product leaves it behind, of somebody whose time is not over."""
    told.close()
    erase_due(now=later())
    sequenced()
    assert list(alterations()) == []

    typed(
        "CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT * FROM erasures",
        "DELETE FROM log_leaves WHERE kind = 'erasure'",
        "UPDATE moved SET id = gen_random_uuid()",
        "UPDATE erased_objects SET erasure_id = (SELECT id FROM erasures)",
        "INSERT INTO erasures SELECT * FROM moved",
        "UPDATE erased_things SET erasure_id = (SELECT id FROM moved)",
        "UPDATE erased_objects SET erasure_id = (SELECT id FROM moved)",
        "DELETE FROM erasures WHERE id <> (SELECT id FROM moved)",
    )

    assert UNSIGNED in {one.what for one in alterations()}


@pytest.mark.parametrize("change", ["kept_days = 30", "ended_at = ended_at - interval '9 days'", "seal = ''"])
def test_an_erasure_that_was_changed_is_named(told: Told, change: str) -> None:
    told.close()
    erase_due(now=later())
    sequenced()

    typed(f"UPDATE erasures SET {change}")

    assert UNSIGNED in {one.what for one in alterations()}


def test_what_was_erased_before_erasures_were_signed_is_signed_by_the_migration(
    told: Told, app: Flask
) -> None:
    told.close()
    erase_due(now=later())
    sequenced()
    content = pii.encrypt("letters.content", "")
    with transaction() as session:
        left = {"case": told.case.id, "said": "in tears", "content": content}
        session.execute(sa.text(A_VOID_LETTER_THAT_CAME_BACK), left)
    flask_migrate.Migrate(app, db, directory=str(MIGRATIONS))

    flask_migrate.downgrade(revision="0033")
    flask_migrate.upgrade()

    assert list(alterations()) == []
    assert "in tears" not in everything()
