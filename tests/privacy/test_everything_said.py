"""An erasure finds all that was said of a person, applied or not, and takes nothing of anybody else."""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from server import pii
from server.authority import Role
from server.database import db, transaction
from server.models.cases import Contact, Debtor
from server.models.dispatch import Assignment, Decision
from server.models.visits import ConflictingItem, Item, RawSubmission
from server.storage import current_store
from server.workflows.dispatch import assign
from server.workflows.exchange.overdue import apply_overdue_items
from server.workflows.replay import facts_of
from server.workflows.retention.erasing import erase_due
from server.workflows.retention.objects import remove_objects
from server.workflows.stopping import close_cases
from server.workflows.storage.collecting import collect_folder
from server.workflows.transparency.checking import alterations
from sync.protocol import uuid7
from sync.wire import write_pushed
from tests.api.tus import BYTES, metadata
from tests.builders import Cast
from tests.desk import correct, decide, desk
from tests.desk import told as said
from tests.office import NOW, Office, a_door, a_team, a_wish
from tests.phones import office as into
from tests.privacy.told import ANOTHER, PHOTO, SYSTEM, Told, everything, later, sequenced
from tests.pushing import account_body, begin, push, push_raw, resealed, waiting

SECRET = "王秘密在家"
Tell = Callable[[Flask, Told, Cast], None]


def raw_bytes_that_were_corrected(app: Flask, told: Told, cast: Cast) -> None:
    push_raw(app, told.phone, f"{{{SECRET}".encode(), path="/api/v1/sync/quarantine")
    supervisor = cast.person(Role.SUPERVISOR)
    (entry,) = desk(supervisor)
    said(correct(supervisor, entry, "visit.account", account_body(told.phone, told.visit_id)))


def raw_bytes_with_an_item_in_them_cut_off(app: Flask, told: Told, cast: Cast) -> None:
    told.phone.record("hold.requested", {"case_id": str(told.case.id), "reason": "other", "text": SECRET})
    (item,) = waiting(told.phone)
    whole = json.dumps({"shouted": SECRET} | write_pushed(item), ensure_ascii=False)
    cut = whole[: whole.index('"payload"') + len('"payload": "') + 4 * len(item.envelope.payload) // 3]
    push_raw(app, told.phone, cut.encode(), path="/api/v1/sync/quarantine")


def a_hold_of_a_mistyped_case(app: Flask, told: Told, cast: Cast) -> None:
    body = {"case_id": str(uuid7()), "reason": "other", "text": SECRET}
    told.phone.record("hold.requested", body)
    push(app, told.phone)
    supervisor = cast.person(Role.SUPERVISOR)
    (entry,) = desk(supervisor)
    said(correct(supervisor, entry, "hold.requested", body | {"case_id": str(told.case.id)}))


def a_hold_of_a_reason_that_stands(app: Flask, told: Told, cast: Cast) -> None:
    for text in ("first", SECRET):
        told.phone.record("hold.requested", {"case_id": str(told.case.id), "reason": "other", "text": text})
        push(app, told.phone)


def a_refusal_that_names_only_a_contact(app: Flask, told: Told, cast: Cast) -> None:
    contact = db.session.scalars(sa.select(Contact.id).where(Contact.case_id == told.case.id)).one()
    body = {"case_id": None, "visit_id": None, "contact_id": str(contact), "why": "refused", "text": SECRET}
    told.phone.record("contact.refused", body | {"name": None, "relation": ""})
    push(app, told.phone)


def what_was_set_aside(app: Flask, told: Told, cast: Cast) -> None:
    body = {"case_id": str(told.case.id), "visit_id": None, "name": SECRET, "phone": 7, "relation": ""}
    told.phone.record("contact.learned", body)
    push(app, told.phone)
    supervisor = cast.person(Role.SUPERVISOR)
    (entry,) = desk(supervisor)
    said(decide(supervisor, entry, "set_aside"))


def what_still_lies_at_the_desk(app: Flask, told: Told, cast: Cast) -> None:
    told.phone.record("visit.account", account_body(told.phone, told.visit_id, parent=7, narrative=SECRET))
    push(app, told.phone)


def other_bytes_under_an_id_of_nobody_else(app: Flask, told: Told, cast: Cast) -> None:
    told.phone.record("equipment.taken", {"equipment": "recorder"})
    (item,) = waiting(told.phone)
    push(app, told.phone)
    payload = json.loads(item.envelope.payload)
    payload |= {"type": "gap.explained", "body": {"visit_id": str(told.visit_id), "text": SECRET}}
    other = resealed(told.phone, item, json.dumps(payload, ensure_ascii=False).encode())
    (outcome,) = push_raw(
        app,
        told.phone,
        json.dumps({"batch_id": str(uuid7()), "clock": payload["clock"], "items": [other]}).encode(),
    ).json()["outcomes"]
    assert outcome["outcome"] == "conflicting"


def an_assignment_that_was_declined(app: Flask, told: Told, cast: Cast) -> None:
    with transaction() as session:
        theirs = sa.update(Assignment).where(Assignment.case_id == told.case.id).values(state="issued")
        assignment = session.scalar(theirs.returning(Assignment.id))
    told.phone.record("assignment.declined", {"assignment_id": str(assignment), "reason": SECRET})
    push(app, told.phone)


def a_visit_whose_check_in_cannot_be_read(app: Flask, told: Told, cast: Cast) -> None:
    assignment = db.session.scalars(sa.select(Assignment.id).where(Assignment.case_id == told.case.id)).one()
    visit_id = begin(told.phone, assignment, team=7)
    told.phone.record("visit.account", account_body(told.phone, visit_id, narrative=SECRET))
    push(app, told.phone)


def the_same_once_the_wait_is_over(app: Flask, told: Told, cast: Cast) -> None:
    a_visit_whose_check_in_cannot_be_read(app, told, cast)
    apply_overdue_items(now=later())


TOLD: tuple[Tell, ...] = (
    raw_bytes_that_were_corrected,
    raw_bytes_with_an_item_in_them_cut_off,
    a_hold_of_a_mistyped_case,
    a_hold_of_a_reason_that_stands,
    a_refusal_that_names_only_a_contact,
    what_was_set_aside,
    what_still_lies_at_the_desk,
    other_bytes_under_an_id_of_nobody_else,
    an_assignment_that_was_declined,
    a_visit_whose_check_in_cannot_be_read,
    the_same_once_the_wait_is_over,
)


@pytest.mark.parametrize("tell", TOLD, ids=lambda tell: tell.__name__)
def test_nothing_that_was_said_of_a_person_is_overlooked(
    app: Flask, cast: Cast, tmp_path: Path, tell: Tell
) -> None:
    one = Told(app, tmp_path / "phone")
    tell(app, one, cast)
    one.close()
    sequenced()
    assert SECRET in everything()

    erase_due(now=later())
    sequenced()

    assert one.debtor().erased_at is not None
    assert SECRET not in everything()
    assert [alteration.what for alteration in alterations()] == []


@pytest.mark.parametrize("tell", TOLD, ids=lambda tell: tell.__name__)
def test_nothing_that_was_said_of_somebody_else_is_taken(
    app: Flask, cast: Cast, tmp_path: Path, tell: Tell
) -> None:
    put_nothing_aside()
    one = Told(app, tmp_path / "phone")
    other = Told(app, tmp_path / "other", photo=PHOTO + b"other", whose=ANOTHER)
    tell(app, other, cast)
    one.close()
    before = kept(one)

    erase_due(now=later())

    assert one.debtor().erased_at is not None and other.debtor().erased_at is None
    assert SECRET in everything()
    assert kept(one) == before


def kept(one: Told) -> list[str]:
    """Which bytes of other phones than this one's are there."""
    db.session.rollback()
    bytes_of = (Item.payload, ConflictingItem.payload, RawSubmission.content)
    rows = [
        row
        for column in bytes_of
        for row in db.session.scalars(
            sa.select(column).where(column.class_.device_id != one.phone.device_id, column != b"")
        )
    ]
    return sorted(row.hex() for row in rows)


def test_hardship_does_not_outlive_a_person_in_decisions(office: Office) -> None:
    door = a_door(hardship=("pregnancy",))
    assign(a_wish(door, *a_team()), actor=office.actor(), now=NOW)
    with transaction():
        close_cases([door.case.id], because="paid", actor=SYSTEM, now=NOW)
    sequenced()
    assert "pregnancy" in everything()

    erase_due(now=later())
    sequenced()

    assert db.session.get_one(Debtor, door.case.debtor_id, populate_existing=True).erased_at is not None
    assert "pregnancy" not in everything()
    decision = db.session.scalars(sa.select(Decision)).one()
    assert decision.allowed and decision.verdict["allowed"] and facts_of(decision) is None
    assert [alteration.what for alteration in alterations()] == []


def test_bytes_that_were_set_aside_go_too(app: Flask, tmp_path: Path) -> None:
    put_nothing_aside()
    one = Told(app, tmp_path / "phone")
    set_aside(app, one)
    one.close()

    erase_due(now=later())
    remove_objects(now=later())

    assert quarantined() == []


def test_bytes_set_aside_while_somebody_was_erased_are_collected_and_others_stay(
    app: Flask, tmp_path: Path
) -> None:
    put_nothing_aside()
    one = Told(app, tmp_path / "phone")
    other = Told(app, tmp_path / "other", photo=PHOTO + b"other", whose=ANOTHER)
    set_aside(app, one)
    set_aside(app, other)
    one.close()
    erase_due(now=later())
    assert len(quarantined()) == 2

    collect_folder(now=later() + timedelta(days=3), folder="quarantine")

    assert len(quarantined()) == 1


def set_aside(app: Flask, told: Told) -> None:
    """Send other bytes than were promised."""
    right, wrong = PHOTO + b"right", PHOTO + b"wrong"
    evidence = told.phone.capture(
        right, visit_id=told.visit_id, kind="photo", purpose="door", mime="image/jpeg"
    )
    push(app, told.phone)
    digest = hashlib.sha256(right).hexdigest()
    headers = {
        "Authorization": f"Bearer {told.phone.outbox.fact('token')}",
        "Tus-Resumable": "1.0.0",
        "Content-Type": BYTES,
        "Upload-Length": str(len(wrong)),
        "Upload-Metadata": metadata(
            evidence_id=str(evidence), sha256=digest, filename="a", filetype="image/jpeg"
        ),
    }
    with into(app) as http:
        assert http.post("/api/v1/files", headers=headers, content=wrong).status_code == 409


def put_nothing_aside() -> None:
    """Take away what other tests put aside: rows go with each test, the store stays."""
    for key in quarantined():
        current_store().remove(key)


def quarantined() -> list[str]:
    return [one.key for one in current_store().walk("quarantine")]


def test_what_the_office_wrote_on_letters_and_notices_goes_too(app: Flask, told: Told) -> None:
    hold = {"case_id": str(told.case.id), "reason": "other", "text": "calm"}
    told.phone.record("hold.requested", hold)
    push(app, told.phone)
    written = {
        "case": told.case.id,
        "said": SECRET,
        "content": pii.encrypt("letters.content", "a letter"),
        "body": pii.encrypt("client_notices.body", "a notice"),
    }
    with transaction() as session:
        session.execute(sa.text(A_VOID_LETTER_THAT_CAME_BACK), written)
        session.execute(sa.text(A_NOTICE), written)
    assert everything().count(SECRET) == 3

    erase_due(now=later())

    assert told.debtor().erased_at is not None
    assert SECRET not in everything()


A_NOTICE = """
    INSERT INTO client_notices (id, kind, case_id, client_id, hold_id, is_urgent, subject, body, drafted_at,
        due_at, state, sent_how, sent_reference)
    SELECT gen_random_uuid(), 'amount_disputed', cases.id, client_id, holds.id, false, :said, :body, now(),
           now(), 'drafted', '', ''
      FROM cases, holds WHERE cases.id = :case
"""
A_VOID_LETTER_THAT_CAME_BACK = """
    WITH template AS (
        INSERT INTO letter_templates (id, client_id, reference, version, kind, title, body, parts,
            agency_name, agency_phone, approved_by, approval_reference, approved_on, entered_by, entered_at)
        SELECT gen_random_uuid(), client_id, 'T', 1, 'field_letter', 't', 'b', '{}', 'a', '1', 'c', 'r',
               now(), (SELECT id FROM staff LIMIT 1), now()
          FROM cases WHERE id = :case RETURNING id
    ), letter AS (
        INSERT INTO letters (id, case_id, debtor_id, template_id, recipient, content, sha256, outstanding_fen,
            balance_as_of, pairing_code, state, issued_at, void_reason)
        SELECT gen_random_uuid(), cases.id, debtor_id, template.id, 'debtor', :content, '', 1, now(), 'P',
               'void', now(), :said
          FROM cases, template WHERE cases.id = :case RETURNING id
    )
    INSERT INTO deliveries (id, letter_id, method, at, posted_on, returned_on, proof, recorded_at)
    SELECT gen_random_uuid(), id, 'post', now(), now(), now(), :said, now() FROM letter
"""
