"""What follows a check-in that never comes is waited for, then shown to the auditor, and later explained."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from server.database import db
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.people import Staff
from server.models.visits import Account, Item, Visit
from server.reconcile.engine import reconcile
from server.workflows.exchange.overdue import apply_overdue_items
from server.workflows.reconciliation import reconcile_visit
from server.workflows.reconciliation.gathering import LIMITS, gather
from sync.phone import Phone
from sync.protocol import PushedItem, uuid7
from tests.builders import Cast, Role, a_visitor, now
from tests.phones import Watch, a_phone
from tests.pushing import account_body, begin, evidence_body, pull, push, waiting

ALMOST = timedelta(days=5) - timedelta(minutes=10)
OVER = timedelta(days=5) + timedelta(minutes=1)


def a_visit(phone: Phone, assignment: Assignment) -> tuple[UUID, PushedItem, list[PushedItem]]:
    """A whole visit: its id, its check-in, and what follows it."""
    visit_id = begin(phone, assignment.id)
    phone.record("visit.evidence", evidence_body(phone, visit_id))
    phone.record("visit.ended", {"visit_id": str(visit_id), "position": None})
    phone.record("visit.account", account_body(phone, visit_id))
    check_in, *others = waiting(phone)
    return visit_id, check_in, others


def items() -> dict[str, Item]:
    db.session.rollback()
    return {item.type: item for item in db.session.scalars(sa.select(Item))}


def the(model: type[Any], key: UUID) -> Any:
    db.session.rollback()
    return db.session.get_one(model, key, populate_existing=True)


def amend(phone: Phone, visit_id: UUID, *, parent: UUID | str | None, **facts: Any) -> UUID:
    body = account_body(phone, visit_id, parent=None if parent is None else str(parent), **facts)
    phone.record("visit.account", body)
    return UUID(body["account_id"])


def test_what_waits_for_a_check_in_waits_five_days(app: Flask, phone: Phone, assignment: Assignment) -> None:
    _, _, others = a_visit(phone, assignment)
    push(app, phone, others)

    apply_overdue_items(now=now() + ALMOST)

    assert {item.outcome for item in items().values()} == {"held"}


def test_what_waited_is_placed_in_time_by_the_anchor_of_the_push_that_brought_it(
    app: Flask, visitor: Staff, assignment: Assignment, tmp_path: Path
) -> None:
    watch = Watch(skew=timedelta(hours=7))
    phone = a_phone(visitor, tmp_path / "phone", watch=watch)
    pull(app, phone)
    watch.boot, watch.booted = "boot-2", now()
    before = now()
    visit_id, check_in, others = a_visit(phone, assignment)
    after = now()
    pull(app, phone)
    push(app, phone, others)

    push(app, phone, [check_in])

    visit, evidence = the(Visit, visit_id), db.session.scalars(sa.select(Evidence)).one()
    assert (visit.arrived_method, visit.left_method) == ("anchored-later", "anchored-later")
    assert visit.left_earliest <= after and before <= visit.left_latest
    captured = evidence.captured_from_earliest, evidence.captured_from_latest
    assert captured[0] is not None and captured[1] is not None
    assert captured[0] <= after and before <= captured[1]
    assert "clock_low_trust" not in {flag for item in items().values() for flag in item.flags}
    phone.close()


def test_after_five_days_the_auditor_sees_all_that_came(
    app: Flask, phone: Phone, assignment: Assignment, visitor: Staff, cast: Cast
) -> None:
    visit_id, _, others = a_visit(phone, assignment)
    push(app, phone, others)

    apply_overdue_items(now=now() + OVER)
    apply_overdue_items(now=now() + OVER)

    assert {item.outcome for item in items().values()} == {"applied"}
    assert "parent_missing" in items()["visit.evidence"].flags
    visit = the(Visit, visit_id)
    assert (visit.started_item, visit.assignment_id, visit.staff_id) == (None, None, visitor.id)
    assert (visit.state, visit.flags, visit.ended_item is not None) == ("reported", ["parent_missing"], True)
    assert db.session.scalar(sa.select(Evidence.visit_id)) == visit_id
    seen = cast.person(Role.AUDITOR).get(f"/api/v1/visits/{visit_id}").get_json()
    assert (len(seen["items"]), len(seen["accounts"]), len(seen["evidence"])) == (3, 1, 1)


def test_a_visit_without_check_in_is_judged_like_any_other(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id, _, others = a_visit(phone, assignment)
    push(app, phone, others)
    apply_overdue_items(now=now() + OVER)

    reconcile_visit(now=now() + OVER, visit_id=str(visit_id))

    facts = gather(visit_id, now=now() + OVER)
    assert facts is not None and "parent_missing" in facts.flags
    assert reconcile(facts, LIMITS) is not None
    assert the(Visit, visit_id).reconciled_at is not None


def test_a_check_in_that_comes_later_still_takes_its_place(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id, check_in, others = a_visit(phone, assignment)
    push(app, phone, others)
    apply_overdue_items(now=now() + OVER)

    told = push(app, phone, [check_in])
    again = push(app, phone, [check_in])

    assert (told[0]["outcome"], again[0]["outcome"]) == ("applied", "duplicate")
    assert "check_in_late" in told[0]["flags"] and "visit_started_twice" not in told[0]["flags"]
    visit = the(Visit, visit_id)
    assert (visit.started_item, visit.assignment_id) == (check_in.id, assignment.id)
    assert (visit.state, visit.ended_item is not None) == ("reported", True)
    assert {"parent_missing", "check_in_late"} <= set(visit.flags)
    assert visit.arrived_earliest > now() - timedelta(days=1)
    explained = [item.flags for kind, item in items().items() if kind != "visit.started"]
    assert all({"parent_missing", "late_parent"} <= set(flags) for flags in explained)


def test_a_second_check_in_takes_nobodys_place(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id, check_in, others = a_visit(phone, assignment)
    push(app, phone, others)
    apply_overdue_items(now=now() + OVER)
    push(app, phone, [check_in])
    begin(phone, uuid7(), visit_id=visit_id)

    told = push(app, phone, waiting(phone)[-1:])

    assert "visit_started_twice" in told[0]["flags"]
    assert the(Visit, visit_id).assignment_id == assignment.id


def test_a_colleague_who_waited_for_the_same_check_in_is_heard_and_shown(
    app: Flask, phone: Phone, assignment: Assignment, visitor: Staff, tmp_path: Path
) -> None:
    visit_id, check_in, others = a_visit(phone, assignment)
    push(app, phone, others)
    colleague = a_visitor()
    other = a_phone(colleague, tmp_path / "other")
    amend(other, visit_id, parent=None)
    early = push(app, other)
    apply_overdue_items(now=now() + OVER)
    amend(other, visit_id, parent=None)
    late = push(app, other, waiting(other)[-1:])
    other.close()

    assert (early[0]["outcome"], late[0]["outcome"]) == ("held", "applied")
    assert sorted(the(Visit, visit_id).team) == sorted([visitor.id, colleague.id])
    push(app, phone, [check_in])
    visit = the(Visit, visit_id)
    assert visit.team == [visitor.id]
    assert "items_of_strangers" in visit.flags


def test_somebody_who_speaks_of_a_visit_without_check_in_only_now_waits_too(
    app: Flask, phone: Phone, assignment: Assignment, tmp_path: Path
) -> None:
    visit_id, _, others = a_visit(phone, assignment)
    push(app, phone, others)
    apply_overdue_items(now=now() + OVER)
    stranger = a_phone(a_visitor(), tmp_path / "stranger")
    amend(stranger, visit_id, parent=None)

    told = push(app, stranger)
    stranger.close()

    assert told[0]["outcome"] == "held"
    assert len(the(Visit, visit_id).team) == 1


def test_an_amendment_whose_parent_never_comes_is_shown_and_later_linked(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    first = amend(phone, visit_id, parent=None)
    second = amend(phone, visit_id, parent=first)
    check_in, parent, amending = waiting(phone)
    push(app, phone, [check_in, amending])
    apply_overdue_items(now=now() + OVER)
    alone = the(Account, second)
    shown = (alone.parent_id, alone.missing_parent_id)

    push(app, phone, [parent])

    linked = the(Account, second)
    assert shown == (None, first)
    assert (linked.parent_id, linked.missing_parent_id) == (first, None)
    told = db.session.scalars(sa.select(Item.flags).where(Item.item_id == amending.id)).one()
    assert {"parent_missing", "late_parent"} <= set(told)
    facts = gather(visit_id, now=now())
    assert facts is not None and facts.account is not None and facts.account.id == second


def test_forked_amendments_of_a_missing_account_are_both_kept(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    first = amend(phone, visit_id, parent=None)
    left, right = (amend(phone, visit_id, parent=first) for _ in range(2))
    check_in, parent, *amending = waiting(phone)
    push(app, phone, [check_in, *amending])
    apply_overdue_items(now=now() + OVER)

    push(app, phone, [parent])

    assert {the(Account, one).parent_id for one in (left, right)} == {first}


def a_line_written_backwards(phone: Phone, visit_id: UUID, *, length: int) -> list[PushedItem]:
    """Amendments each of which has a lower number than what it amends; what they rest on is last."""
    ids = [str(uuid7()) for _ in range(length)]
    for account_id, parent in zip(ids, [*ids[1:], None], strict=True):
        amend(phone, visit_id, parent=parent, account_id=account_id)
    return waiting(phone)[-length:]


def test_amendments_that_stand_before_what_they_amend_are_late_for_nothing_they_came_with(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = begin(phone, assignment.id)
    push(app, phone)

    told = push(app, phone, a_line_written_backwards(phone, visit_id, length=4))

    assert {one["outcome"] for one in told} == {"applied"}
    assert not [one for one in told if "late_parent" in one["flags"]]


def test_a_line_of_held_amendments_is_looked_at_as_often_as_a_short_one(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    looks: list[int] = []
    for length in (3, 12):
        visit_id = begin(phone, assignment.id)
        push(app, phone)
        *line, first = a_line_written_backwards(phone, visit_id, length=length)
        assert {one["outcome"] for one in push(app, phone, line)} == {"held"}

        with savepoints() as taken:
            push(app, phone, [first])

        looks.append(len(taken))
        db.session.rollback()
        assert db.session.query(Account).filter(Account.visit_id == visit_id).count() == length
    assert looks[0] == looks[1]


@contextmanager
def savepoints() -> Iterator[list[str]]:
    """Note each savepoint: stored items are applied within one."""
    taken: list[str] = []

    def note(connection: sa.Connection, name: str) -> None:
        taken.append(name)

    event.listen(db.engine, "savepoint", note)
    yield taken
    event.remove(db.engine, "savepoint", note)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_amendments_in_a_circle_are_shown_and_never_closed(
    app: Flask, phone: Phone, assignment: Assignment, length: int
) -> None:
    visit_id = begin(phone, assignment.id)
    ids = [uuid7() for _ in range(length)]
    for n, account_id in enumerate(ids):
        amend(phone, visit_id, parent=ids[(n + 1) % length], account_id=str(account_id))
    told = push(app, phone)

    apply_overdue_items(now=now() + OVER)

    assert [one["outcome"] for one in told[1:]] == ["held"] * length
    parents = {account_id: the(Account, account_id).parent_id for account_id in ids}
    assert None in parents.values()
    facts = gather(visit_id, now=now())
    assert facts is not None and facts.account is not None


def test_the_account_of_another_visit_is_no_parent(app: Flask, phone: Phone, assignment: Assignment) -> None:
    here, there = begin(phone, assignment.id), begin(phone, assignment.id)
    elsewhere = amend(phone, there, parent=None)
    odd = amend(phone, here, parent=elsewhere)
    told = push(app, phone)

    apply_overdue_items(now=now() + OVER)

    assert told[-1]["outcome"] == "held"
    assert (the(Account, odd).parent_id, the(Account, odd).missing_parent_id) == (None, elsewhere)


def test_a_complaint_about_a_visit_that_nobody_knows_goes_to_the_desk(app: Flask, phone: Phone) -> None:
    phone.record("complaint.raised", {"visit_id": str(uuid7()), "text": "要投诉"})
    push(app, phone)

    apply_overdue_items(now=now() + OVER)

    complaint = items()["complaint.raised"]
    assert complaint.problem is not None
    assert (complaint.outcome, complaint.problem["slug"]) == ("quarantined", "case-unknown")
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Visit)) == 0
