"""What lies at the desk is released, accepted or set aside: once, with a reason, by somebody uninvolved."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.quarantine import DeskDecision
from server.models.visits import Account, Item, Visit
from sync.phone import Phone
from sync.protocol import ITEM, PushedItem, uuid7
from sync.wire import write_pushed
from tests.builders import Cast, Person, Role, a_person
from tests.desk import a_faulty_account, a_strangers_account, correct, decide, desk, look, the, told, unsigned
from tests.phones import a_phone
from tests.pushing import account_body, begin, push, push_raw, waiting


@pytest.fixture
def supervisor(cast: Cast) -> Person:
    return cast.person(Role.SUPERVISOR)


def test_an_item_is_tried_again_after_what_it_lacked_is_there(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person, tmp_path: Path
) -> None:
    item = a_strangers_account(app, phone, tmp_path, assignment)
    (entry,) = desk(supervisor)
    in_vain = told(decide(supervisor, entry, "retry"))
    with transaction() as session:
        colleague = session.scalars(sa.select(Item.device_id).where(Item.item_id == item.id)).one()
        session.execute(
            sa.text("UPDATE visits SET team = team || (SELECT staff_id FROM devices WHERE id = :id)"),
            {"id": colleague},
        )

    released = told(decide(supervisor, desk(supervisor)[0], "retry"))

    assert (in_vain["outcome"], in_vain["problem"]["slug"]) == ("quarantined", "not-your-visit")
    assert (released["outcome"], released["number"]) == ("applied", 2)
    assert the(item).outcome == "applied" and the(item).problem is None
    assert desk(supervisor) == []


def test_an_item_is_accepted_on_the_offices_word_and_says_so(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person, tmp_path: Path
) -> None:
    item = a_strangers_account(app, phone, tmp_path, assignment)
    receipt = the(item).receipt
    (entry,) = desk(supervisor)

    ruling = told(decide(supervisor, entry, "accept", reason="李四 was there, see the photo"))

    assert (ruling["outcome"], ruling["decided_by"]) == ("applied", str(supervisor.staff.id))
    assert "accepted_by_office" in the(item).flags
    assert the(item).receipt == receipt
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Account)) == 1
    kept = db.session.execute(sa.text("SELECT reason FROM desk_decisions")).scalar_one()
    assert "李四".encode() not in bytes(kept)


def test_an_item_whose_signature_is_wrong_may_be_accepted_but_never_by_trying_again(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    visit_id = begin(phone, assignment.id)
    phone.record("visit.account", account_body(phone, visit_id))
    check_in, account = waiting(phone)
    push(app, phone, [check_in, unsigned(phone, account)])
    (entry,) = desk(supervisor)
    shown = look(supervisor, entry["ref"])["signature"]

    again = told(decide(supervisor, entry, "retry"))
    accepted = told(decide(supervisor, desk(supervisor)[0], "accept"))

    assert (shown, again["problem"]["slug"], accepted["outcome"]) == ("wrong", "signature-wrong", "applied")
    item = the(account)
    assert (item.type, item.visit_id) == ("visit.account", visit_id)


def test_what_says_nothing_readable_cannot_be_accepted_and_stays(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    _, faulty = a_faulty_account(app, phone, assignment)
    before = (the(faulty).outcome, the(faulty).flags)
    (entry,) = desk(supervisor)

    refused = told(decide(supervisor, entry, "accept"), 409)

    assert refused["type"] == "/problems/cannot-be-accepted"
    assert refused["problem"]["pointer"] == "/body/narrative"
    assert (the(faulty).outcome, the(faulty).flags) == before
    assert before[0] == "quarantined" and "accepted_by_office" not in before[1]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(DeskDecision)) == 0


def test_a_held_item_need_not_wait_five_days_for_somebody_who_knows(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    visit_id = begin(phone, assignment.id)
    phone.record("visit.account", account_body(phone, visit_id))
    _, account = waiting(phone)
    push(app, phone, [account])
    (entry,) = desk(supervisor)

    told(decide(supervisor, entry, "accept"))

    assert {"parent_missing", "accepted_by_office"} <= set(the(account).flags)
    assert db.session.get_one(Visit, visit_id).started_item is None


def test_a_fork_is_looked_at_and_then_leaves_the_desk(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    begin(phone, assignment.id)
    (mine,) = waiting(phone)
    payload = mine.envelope.payload.replace(str(mine.id).encode(), str(other := uuid7()).encode())
    push(app, phone, [mine, PushedItem(other, 1, None, phone.key.seal(ITEM, payload))])
    both = desk(supervisor)

    told(decide(supervisor, both[0], "retry"), 409)
    for entry in both:
        told(decide(supervisor, entry, "accept", reason="phone was restored from a copy"))

    assert [entry["kind"] for entry in both] == ["fork", "fork"]
    assert desk(supervisor) == []
    assert the(mine).outcome == "applied" and "chain_fork" in the(mine).flags


def test_what_is_set_aside_is_told_to_the_phone_and_keeps_its_receipt(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    _, faulty = a_faulty_account(app, phone, assignment)
    first = the(faulty).receipt
    (entry,) = desk(supervisor)

    told(decide(supervisor, entry, "set_aside"))
    again = push(app, phone, [faulty])[0]
    headers = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}
    status = told(app.test_client().get("/api/v1/sync/status", headers=headers))

    assert desk(supervisor) == []
    assert (again["outcome"], again["problem"]["slug"], again["receipt"]) == (
        "quarantined",
        "set-aside",
        first,
    )
    assert (status["quarantined"], status["settled"]) == (
        [], [{"id": str(faulty.id), "outcome": "set_aside"}],
    )  # fmt: skip


def test_what_was_set_aside_by_mistake_can_still_be_released(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person, tmp_path: Path
) -> None:
    item = a_strangers_account(app, phone, tmp_path, assignment)
    (entry,) = desk(supervisor)
    told(decide(supervisor, entry, "set_aside"))

    told(decide(supervisor, entry, "accept", seen=1))

    assert the(item).outcome == "applied"
    after = told(decide(supervisor, entry, "accept", seen=2, reason="once more"), 409)
    assert after["type"] == "/problems/settled"


def test_clicks_at_the_same_moment_are_one_decision(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person, tmp_path: Path
) -> None:
    item = a_strangers_account(app, phone, tmp_path, assignment)
    (entry,) = desk(supervisor)

    with ThreadPoolExecutor(6) as pool:
        clicks = [pool.submit(decide, supervisor, entry, "accept") for _ in range(6)]
        answers = [told(click.result()) for click in clicks]

    assert len({answer["id"] for answer in answers}) == 1
    db.session.rollback()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(DeskDecision)) == 1
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Account)) == 1
    assert the(item).flags.count("accepted_by_office") == 1


def test_two_supervisors_do_not_decide_over_each_other(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person, cast: Cast
) -> None:
    a_faulty_account(app, phone, assignment)
    (entry,) = desk(supervisor)
    told(decide(supervisor, entry, "set_aside"))

    late = told(decide(cast.sign_in(a_person(Role.SUPERVISOR)), entry, "set_aside"), 409)
    blind = told(decide(supervisor, entry, "set_aside", seen=7), 422)

    assert late["type"] == "/problems/decided-meanwhile"
    assert (late["decision"], late["decided_by"]) == ("set_aside", str(supervisor.staff.id))
    assert blind["errors"][0]["pointer"] == "/seen"


def test_nobody_decides_about_a_visit_of_their_own(
    app: Flask, assignment: Assignment, cast: Cast, supervisor: Person, tmp_path: Path
) -> None:
    both = a_person(Role.VISITOR, Role.SUPERVISOR)
    mate = a_person(Role.VISITOR, Role.SUPERVISOR)
    phone = a_phone(both, tmp_path / "both")
    visit_id = begin(phone, assignment.id, team=[str(both.id), str(mate.id)])
    phone.record("visit.account", account_body(phone, visit_id, narrative=7))
    push(app, phone)
    push_raw(app, phone, b"garbage", path="/api/v1/sync/quarantine")
    item, raw = desk(supervisor)
    body = account_body(phone, visit_id)
    phone.close()

    refused = [
        decide(cast.sign_in(both), item, "set_aside"),
        decide(cast.sign_in(mate), item, "set_aside"),
        correct(cast.sign_in(both), item, "visit.account", body),
        decide(cast.sign_in(both), raw, "set_aside"),
        decide(cast.sign_in(both), raw, "retry"),
    ]

    assert [told(one, 403)["type"] for one in refused] == ["/problems/own-item"] * 5
    assert len(desk(supervisor)) == 2


@pytest.mark.parametrize("reason", ["", "   ", None])
def test_a_decision_needs_a_reason(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person, reason: str | None
) -> None:
    a_faulty_account(app, phone, assignment)
    (entry,) = desk(supervisor)

    refused = told(decide(supervisor, entry, "set_aside", reason=reason), 422)

    assert refused["errors"][0]["pointer"].endswith("/reason")


def test_raw_bytes_that_are_an_item_after_all_are_handed_in_for_their_phone(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    visit_id = begin(phone, assignment.id)
    push(app, phone)
    phone.record("visit.account", account_body(phone, visit_id))
    account = waiting(phone)[-1]
    push_raw(app, phone, json.dumps(write_pushed(account)).encode(), path="/api/v1/sync/quarantine")
    (entry,) = desk(supervisor)
    shown = look(supervisor, entry["ref"])

    released = told(decide(supervisor, entry, "retry"))
    repeated = told(decide(supervisor, entry, "retry"))

    assert (shown["signature"], shown["seq"]) == ("valid", account.seq)
    assert (released["outcome"], released["id"]) == ("applied", repeated["id"])
    assert the(account).outcome == "applied"
    assert desk(supervisor) == []


def test_raw_bytes_that_are_nothing_stay_until_somebody_sets_them_aside(
    app: Flask, phone: Phone, supervisor: Person
) -> None:
    push_raw(app, phone, b"\x00garbage", path="/api/v1/sync/quarantine")
    (entry,) = desk(supervisor)

    tried = told(decide(supervisor, entry, "retry"))
    (still,) = desk(supervisor)
    told(decide(supervisor, still, "set_aside"))

    assert (tried["outcome"], still["decisions"]) == ("unreadable", 1)
    assert desk(supervisor) == []
    kept = told(supervisor.get("/api/v1/quarantine/decisions"))["decisions"]
    assert [one["decision"] for one in kept] == ["set_aside", "retry"]
    assert look(supervisor, entry["ref"])["outcome"] == "set_aside"
