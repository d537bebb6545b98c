"""The queue: worst first, always of this moment, and every look at it is written down."""

from datetime import date, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.auditing.weighing import current_weights
from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.auditing import QueuedCheck, QueuedVisit
from server.models.cases import Client
from server.models.findings import Finding
from server.workflows.auditing.scoring import weigh_outdated
from server.workflows.calendar import seed_calendar
from server.workflows.reconciliation import reconcile_visit
from tests.auditing.builders import DAY, a_judged_visit, decide
from tests.builders import Person, a_case, a_visitor, now

SEVERE = ("check-in-elsewhere", "severe", 1.0)
SERIOUS = ("evidence-missing", "serious", 1.0)
MINOR = ("stay-differs", "minor", 1.0)


def queue(person: Person, query: str = "") -> list[str]:
    """The ids of all waiting visits, page by page."""
    seen: list[str] = []
    after = ""
    while True:
        page = person.get(f"/api/v1/audit/queue?{query}{after}").get_json()
        seen += [visit["visit_id"] for visit in page["visits"]]
        if page["next"] is None:
            return seen
        after = f"&after={page['next']}"


def test_the_worst_waits_first_and_says_why(app: Flask, auditor: Person) -> None:
    visitor = a_visitor()
    sound, minor = a_judged_visit(visitor), a_judged_visit(visitor, MINOR)
    worst = a_judged_visit(visitor, SERIOUS, SEVERE)

    page = auditor.get("/api/v1/audit/queue").get_json()

    assert [visit["visit_id"] for visit in page["visits"]] == [str(worst), str(minor), str(sound)]
    first = page["visits"][0]
    assert (first["score"], first["checks"]) == (140, ["check-in-elsewhere", "evidence-missing"])
    assert [(part["because"], part["points"]) for part in first["parts"]] == [
        ("severe: check-in-elsewhere", 100),
        ("serious: evidence-missing", 40),
    ]


def test_pages_hold_every_visit_once_also_where_scores_are_equal(app: Flask, auditor: Person) -> None:
    visitor = a_visitor()
    made = [a_judged_visit(visitor, *([MINOR] if n % 3 else [SEVERE])) for n in range(9)]

    seen = queue(auditor, "limit=2")

    assert len(seen) == 9 and set(seen) == set(map(str, made))
    scores = [queue_row(name).score for name in seen]
    assert scores == sorted(scores, reverse=True)


def queue_row(visit_id: str) -> QueuedVisit:
    return db.session.get_one(QueuedVisit, UUID(visit_id))


def test_it_is_filtered_by_branch_visitor_client_check_and_date(app: Flask, auditor: Person) -> None:
    north, south = a_visitor(branch="north"), a_visitor(branch="south")
    case = a_case()
    client = db.session.get_one(Client, case.client_id).reference
    old = str(a_judged_visit(north, MINOR, day=date(2026, 10, 1)))
    theirs = str(a_judged_visit(south, SERIOUS, case=case))
    new = str(a_judged_visit(north, SEVERE))

    assert queue(auditor, "branch=north") == [new, old]
    assert queue(auditor, f"staff_id={south.id}") == [theirs]
    assert queue(auditor, f"client={client}") == [theirs]
    assert queue(auditor, "check=stay-differs") == [old]
    assert queue(auditor, "first=2026-11-01") == [new, theirs]
    assert queue(auditor, "last=2026-10-31") == [old]
    assert queue(auditor, "branch=north&check=stay-differs&first=2026-11-01") == []
    assert auditor.get("/api/v1/audit/queue?client=nobody").status_code == 422


@pytest.mark.parametrize("cursor", ["", "x", "1", "1~x", "9" * 40 + "~" + str(UUID(int=1))])
def test_a_cursor_that_no_page_gave_is_refused(app: Flask, auditor: Person, cursor: str) -> None:
    answer = auditor.get("/api/v1/audit/queue", query_string={"after": cursor})

    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/after")


def by_check() -> set[tuple[str, int, str]]:
    """What pages of one check are read from."""
    db.session.rollback()
    rows = db.session.execute(sa.select(QueuedCheck.check, QueuedCheck.score, QueuedCheck.visit_id))
    return {(row.check, row.score, str(row.visit_id)) for row in rows}


def test_pages_of_one_check_follow_every_change_of_the_queue(app: Flask, auditor: Person) -> None:
    both, other = a_judged_visit(a_visitor(), SEVERE, MINOR), a_judged_visit(a_visitor(), MINOR)
    named = db.session.execute(sa.select(Finding.check, Finding.id).where(Finding.visit_id == both))
    ids = {row.check: row.id for row in named}

    begun = by_check()
    pages = queue(auditor, "check=stay-differs&limit=1")
    decide(auditor, ids["check-in-elsewhere"], "dismissed")
    lighter = by_check()
    decide(auditor, ids["stay-differs"], "dismissed")
    auditor.post(f"/api/v1/audit/visits/{both}/conclusion", json={"note": "all of it"})
    with transaction() as session:
        session.execute(sa.update(QueuedVisit).values(score=7))

    points = current_weights().severity
    heavy, light = points["severe"] + points["minor"], points["minor"]
    assert begun == {
        ("check-in-elsewhere", heavy, str(both)),
        ("stay-differs", heavy, str(both)),
        ("stay-differs", light, str(other)),
    }
    assert pages == [str(both), str(other)]
    assert lighter == {("stay-differs", light, str(both)), ("stay-differs", light, str(other))}
    assert by_check() == {("stay-differs", 7, str(other))}
    assert queue(auditor, "check=check-in-elsewhere") == []


def test_reconciliation_moves_a_visit_in_the_transaction_in_which_it_finds_something(app: Flask) -> None:
    seed_calendar(now=now())
    visit_id = a_judged_visit(a_visitor(), SEVERE)

    reconcile_visit(now=now() + timedelta(days=30), visit_id=str(visit_id))

    db.session.expire_all()
    row = queue_row(str(visit_id))
    assert row.checks == ["account-missing"]  # what the builder wrote is superseded
    assert row.score == sum(part["points"] for part in row.parts) > 0


def test_a_standing_finding_of_the_same_visitor_and_check_makes_the_next_one_a_repeat(app: Flask) -> None:
    visitor, other = a_visitor(), a_visitor()
    before = a_judged_visit(visitor, SERIOUS, day=DAY - timedelta(days=200))
    decide_all(before, "confirmed")

    scores = [
        queue_row(str(visit)).score
        for visit in (
            a_judged_visit(visitor, SERIOUS),
            a_judged_visit(visitor, ("team-differs", "serious", 1.0)),
            a_judged_visit(other, SERIOUS),
            a_judged_visit(visitor, SERIOUS, day=DAY + timedelta(days=200)),
            a_judged_visit(visitor, SERIOUS, day=DAY - timedelta(days=300)),
        )
    ]

    assert scores == [80, 40, 40, 40, 40]


def decide_all(visit_id: UUID, state: str) -> None:
    """What an auditor decided, written straight into the table."""
    from_office = a_visitor()
    with transaction() as session:
        session.execute(
            sa.update(Finding)
            .where(Finding.visit_id == visit_id)
            .values(state=state, decided_by=from_office.id, decided_at=now(), reason="seen")
        )


def test_visits_weighed_with_other_weights_are_weighed_again(app: Flask) -> None:
    visit_id = a_judged_visit(a_visitor(), SEVERE)
    with transaction() as session:
        session.execute(sa.update(QueuedVisit).values(weights="", score=0, parts=[]))

    weigh_outdated(now=now())

    db.session.expire_all()
    assert queue_row(str(visit_id)).score == 100


def test_every_look_at_the_queue_is_logged_with_what_was_shown(app: Flask, auditor: Person) -> None:
    visit_id = a_judged_visit(a_visitor(branch="north"), SEVERE)

    auditor.get("/api/v1/audit/queue?branch=north")

    (entry,) = db.session.scalars(sa.select(AccessEntry).where(AccessEntry.action == "audit.queue"))
    assert (entry.staff_id, entry.request) == (
        auditor.staff.id,
        {"wanted": {"branch": "north"}, "visits": [str(visit_id)]},
    )
