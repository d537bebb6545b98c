"""Items: what becomes of those that come early, late, twice, or tell of somebody else."""

import json
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.people import Device, Staff
from server.models.visits import Account, Item, Visit
from server.workflows.exchange.waiting import look_at_held_again, reconcile_visits
from sync.client import Report
from sync.phone import Phone
from sync.protocol import ITEM, uuid7
from tests.builders import a_visitor, now
from tests.office import Stopped
from tests.phones import Watch, a_phone, office
from tests.pushing import an_account, begin, outcomes, pushed
from tests.stored import stored


def test_an_amendment_waits_for_its_parent(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = begin(phone, assignment.id)
    parent = an_account(phone, visit_id)
    amendment = an_account(phone, visit_id, amends=parent)
    started, parent_item, amending = phone.outbox.next_batch(3)
    pushed(app, phone, [started])

    early = pushed(app, phone, [amending])
    pushed(app, phone, [parent_item])

    assert outcomes(early) == ["held"]
    db.session.rollback()
    assert db.session.get_one(Account, amendment).parent_id == parent
    item = db.session.scalars(sa.select(Item).where(Item.item_id == amending.id)).one()
    assert (item.outcome, "late_parent" in item.flags) == ("applied", True)


def test_an_account_before_its_check_in_is_held_and_then_applied(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    account = an_account(phone, visit_id)
    started, told = phone.outbox.next_batch(2)

    early = pushed(app, phone, [told])
    pushed(app, phone, [started])

    assert outcomes(early) == ["held"]
    db.session.rollback()
    assert db.session.get(Account, account) is not None


def test_pushes_that_cross_do_not_leave_an_item_waiting(
    app: Flask, phone: Phone, assignment: Assignment, visitor: Staff, tmp_path: Path
) -> None:
    other = a_phone(visitor, tmp_path / "other")
    visit_id = begin(phone, assignment.id)
    account = an_account(other, visit_id)
    held = pushed(app, other)
    with transaction() as session:  # as if the check-in's push had not seen it
        session.execute(sa.update(Item).values(outcome="applied"))
    pushed(app, phone)
    with transaction() as session:
        session.execute(sa.update(Item).where(Item.type == "visit.account").values(outcome="held"))

    waiting = "SELECT args FROM procrastinate_jobs WHERE task_name = 'look_at_held_again'"
    (asked,) = db.session.scalars(sa.text(waiting)).all()
    look_at_held_again(now=now(), **asked)

    other.close()
    assert outcomes(held) == ["held"]
    assert db.session.get_one(Account, account).visit_id == visit_id


def test_a_cloned_phone_shows_as_a_fork(app: Flask, phone: Phone, assignment: Assignment) -> None:
    begin(phone, assignment.id)
    mine = phone.outbox.next_batch(1)[0]
    forked_payload = mine.envelope.payload.replace(str(mine.id).encode(), str(other := uuid7()).encode())
    clone = type(mine)(id=other, seq=1, prev=None, envelope=phone.key.seal(ITEM, forked_payload))
    pushed(app, phone, [mine])

    answer = pushed(app, phone, [clone])

    assert "chain_fork" in answer["outcomes"][0]["flags"]


def test_a_visit_without_a_known_assignment_is_stored_and_flagged(app: Flask, phone: Phone) -> None:
    visit_id = begin(phone, uuid7())

    answer = pushed(app, phone)

    assert "assignment_unknown" in answer["outcomes"][0]["flags"]
    db.session.rollback()
    assert db.session.get_one(Visit, visit_id).assignment_id is None


def test_a_wrong_signature_is_quarantined_with_a_receipt(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    begin(phone, assignment.id)
    item = phone.outbox.next_batch(1)[0]
    spoiled = item.envelope.signatures[0].sig[:-1] + bytes([item.envelope.signatures[0].sig[-1] ^ 1])
    signature = type(item.envelope.signatures[0])(keyid="x", sig=spoiled)
    envelope = type(item.envelope)(item.envelope.payload_type, item.envelope.payload, (signature,))

    answer = pushed(app, phone, [type(item)(item.id, item.seq, item.prev, envelope)])

    one = answer["outcomes"][0]
    assert (one["outcome"], one["problem"]["slug"]) == ("quarantined", "signature-wrong")
    assert one["receipt"]["item_id"] == str(item.id)


def test_a_revoked_phone_may_hand_in_but_not_pull(app: Flask, phone: Phone, assignment: Assignment) -> None:
    begin(phone, assignment.id)
    with transaction() as session:
        session.execute(sa.update(Device).values(revoked_at=now()))

    answer = pushed(app, phone)
    with office(app) as http:
        headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
        pulled = http.get("/api/v1/sync/pull", headers=headers)

    assert outcomes(answer) == ["applied"]
    assert "key_revoked" in answer["outcomes"][0]["flags"]
    assert (pulled.status_code, pulled.json()["type"]) == (403, "/problems/device-revoked")


def test_a_clock_five_years_wrong_does_not_move_the_visit(
    app: Flask, visitor: Staff, assignment: Assignment, tmp_path: Path
) -> None:
    at = now()
    app.extensions["clock"] = Stopped(at=at)
    watch = Watch(real=lambda: at, skew=timedelta(days=5 * 365))
    phone = a_phone(visitor, tmp_path / "wrong", watch=watch)
    with office(app) as http:
        phone.connect(http).pull(Report())
    visit_id = begin(phone, assignment.id)

    pushed(app, phone)

    db.session.rollback()
    visit = db.session.get_one(Visit, visit_id)
    assert visit.arrived_method == "anchored"
    assert visit.arrived_earliest <= at <= visit.arrived_latest
    assert visit.arrived_latest - visit.arrived_earliest < timedelta(seconds=5)


def test_two_items_with_one_visit_or_account_id_keep_the_first_and_flag_the_second(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    first = an_account(phone, visit_id, narrative="first")
    sent = json.loads(phone.outbox.next_batch(2)[1].envelope.payload)["body"]
    phone.record("visit.account", {**sent, "narrative": "second"})
    phone.record("visit.started", json.loads(phone.outbox.next_batch(1)[0].envelope.payload)["body"])

    flags = [one["flags"] for one in pushed(app, phone)["outcomes"]]

    assert "account_written_twice" not in flags[1] and "account_written_twice" in flags[2]
    assert "visit_started_twice" not in flags[0] and "visit_started_twice" in flags[3]
    db.session.rollback()
    assert db.session.get_one(Account, first).narrative == "first"


def test_a_push_asks_once_for_all_its_visits_to_be_judged_again(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visits = sorted(str(begin(phone, assignment.id)) for _ in range(3))
    pushed(app, phone)
    pushed(app, phone)

    waiting = (
        "SELECT task_name, args FROM procrastinate_jobs WHERE task_name LIKE 'reconcile_visit%' ORDER BY id"
    )
    (asked,) = db.session.execute(sa.text(waiting)).all()
    reconcile_visits(now=now(), visit_ids=asked.args["visit_ids"])
    reconcile_visits(now=now(), visit_ids=asked.args["visit_ids"])

    jobs = db.session.execute(sa.text(waiting)).all()[1:]
    assert (asked.task_name, asked.args["visit_ids"]) == ("reconcile_visits", visits)
    assert [(job.task_name, job.args["visit_id"]) for job in jobs] == [
        ("reconcile_visit", visit_id) for visit_id in visits
    ]


def test_a_stranger_cannot_amend_somebody_elses_account(
    app: Flask, phone: Phone, assignment: Assignment, tmp_path: Path
) -> None:
    visit_id = begin(phone, assignment.id)
    original = an_account(phone, visit_id)
    pushed(app, phone)
    other = a_phone(a_visitor(), tmp_path / "stranger")
    an_account(other, visit_id, amends=original, narrative="一切正常。")

    answer = pushed(app, other)
    other.close()

    one = answer["outcomes"][0]
    assert (one["outcome"], one["problem"]["slug"]) == ("quarantined", "not-your-visit")
    assert one["receipt"] is not None
    assert stored(Account) == 1


def test_an_item_that_names_another_person_counts_for_the_phones_owner(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment
) -> None:
    somebody = a_visitor()
    owner = phone.outbox.fact("staff_id")
    phone.outbox.remember(staff_id=str(somebody.id))
    visit_id = begin(phone, assignment.id)
    phone.outbox.remember(staff_id=owner)

    answer = pushed(app, phone)

    assert "staff_mismatch" in answer["outcomes"][0]["flags"]
    db.session.rollback()
    assert db.session.get_one(Visit, visit_id).staff_id == visitor.id
