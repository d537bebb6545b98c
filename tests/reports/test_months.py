"""Closing a month and showing it: proposals, never deductions (E1-E8)."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from server.authority import Role
from server.database import db, transaction
from server.models.assessments import MonthInput
from server.models.breaches import Breach, BreachEnding, BreachFinding
from server.rules.local_time import months_later
from sync.protocol import uuid7
from tests.builders import a_person, a_visitor
from tests.office import NOW, Office, china
from tests.reports.closing import OCTOBER, charged, close, read, slug
from tests.reports.stage import a_complaint, a_finding, a_visit, a_visit_without_times, at, auditor


def test_a_month_is_proposed_per_person_and_branch_with_its_evidence(office: Office) -> None:
    east, west = a_visitor(branch="East"), a_visitor(branch="West")
    forged = a_finding(a_visit(east), auditor(office), rule="C17", severity="severe")
    complaint = a_complaint(west)
    for day in range(11, 23):
        a_finding(a_visit(west, f"2026-10-{day} 09:00"), auditor(office))

    summary = read(office)
    people = read(office, f"{OCTOBER}/people")["people"]

    assert [(one["branch"], one["people"], one["most_fen"]) for one in summary["branches"]] == [
        ("East", 1, 20_000),
        ("West", 1, 51_000),
    ]
    assert summary["closed"] is None
    of = {one["staff_id"]: one for one in people}
    [proposal] = of[str(east.id)]["proposals"]
    assert (proposal["rule"], proposal["with_warning"]) == ("E3", True)
    assert proposal["evidence"] == [{"kind": "finding", "id": str(forged.id), "rule": "C17"}]
    assert "200元" in proposal["quotation"]
    assert charged(of[str(west.id)]) == [("E2", 500, 500), ("E2", 500, 500), ("E4", 50_000, 50_000)]
    assert of[str(west.id)]["proposals"][-1]["evidence"][0]["id"] == str(complaint.id)
    assert of[str(west.id)]["counted"] == 12


TURNS_OF_THE_MONTH = pytest.mark.parametrize(
    ("at", "counts"),
    [
        ("2026-09-30 23:59", False),
        ("2026-10-01 00:00", True),
        ("2026-10-31 23:59", True),
        ("2026-11-01 00:00", False),
    ],
)


@TURNS_OF_THE_MONTH
def test_a_breach_belongs_to_the_local_month_of_its_visit(office: Office, at: str, counts: bool) -> None:
    a_finding(a_visit(a_visitor(), at), auditor(office), rule="C14", severity="severe")

    assert len(read(office, f"{OCTOBER}/people")["people"]) == int(counts)


@TURNS_OF_THE_MONTH
def test_whoever_withholds_a_check_in_leaves_no_month(office: Office, at: str, counts: bool) -> None:
    visit = a_visit_without_times(a_visitor(), at)
    finding = a_finding(visit, auditor(office), rule="C14", severity="severe")

    people = read(office, f"{OCTOBER}/people")["people"]

    cited = [one["id"] for person in people for due in person["measures"] for one in due["evidence"]]
    assert cited == [str(finding.id)] * int(counts)


@pytest.mark.parametrize("state", ["open", "dismissed", "superseded"])
def test_what_no_auditor_confirmed_is_held_against_nobody(office: Office, state: str) -> None:
    decided = {} if state == "dismissed" else {"decided_by": None, "decided_at": None}
    a_finding(a_visit(a_visitor()), auditor(office), rule="C14", severity="severe", state=state, **decided)

    assert read(office, f"{OCTOBER}/people")["people"] == []


def test_what_a_second_look_overturned_counts_no_more_and_the_other_way_round(office: Office) -> None:
    overturned = {"rule": "C14", "severity": "severe", "overturned": True}
    a_finding(a_visit(a_visitor()), auditor(office), **overturned)
    dismissed = a_finding(a_visit(a_visitor()), auditor(office), state="dismissed", **overturned)

    people = read(office, f"{OCTOBER}/people")["people"]

    assert [one["proposals"][0]["evidence"][0]["id"] for one in people] == [str(dismissed.id)]


@pytest.mark.parametrize("facts", [{"merits": "undecided"}, {"merits": "not_upheld"}, {"level": "general"}])
def test_only_an_upheld_serious_complaint_is_charged(office: Office, facts: dict[str, Any]) -> None:
    a_complaint(a_visitor(), **facts)

    assert read(office, f"{OCTOBER}/people")["people"] == []


def test_nobody_answers_for_what_a_colleague_signed(office: Office) -> None:
    lead, second = a_visitor(), a_visitor()
    visit = a_visit(lead, team=[lead.id, second.id])
    a_finding(visit, auditor(office), rule="C14", severity="severe")

    people = read(office, f"{OCTOBER}/people")["people"]

    assert [one["staff_id"] for one in people] == [str(lead.id)]


def test_a_running_month_is_not_closed(office: Office) -> None:
    at(office, "2026-10-31 23:59")
    early = close(office)
    at(office, "2026-11-01 00:00")
    in_time = close(office)

    assert (early.status_code, slug(early)) == (409, "month-running")
    assert in_time.status_code == 201


def test_a_closed_month_says_the_same_whatever_becomes_known_later(office: Office) -> None:
    visitor = a_visitor(branch="East")
    visit = a_visit(visitor)
    a_finding(visit, auditor(office), rule="C14", severity="severe")
    close(office)
    before = read(office, f"{OCTOBER}/people")

    a_finding(a_visit(visitor, "2026-10-13 09:00"), auditor(office), rule="C14", severity="severe")
    a_complaint(visitor)
    with transaction() as session:
        session.execute(sa.text("UPDATE staff SET branch = 'West'"))

    assert read(office, f"{OCTOBER}/people") == before
    summary = read(office)
    assert [one["branch"] for one in summary["branches"]] == ["East"]
    assert (summary["is_intact"], summary["has_changed_since"]) == (True, True)


def test_closing_again_needs_a_reason_and_something_new_and_keeps_the_first(office: Office) -> None:
    visitor = a_visitor()
    a_finding(a_visit(visitor), auditor(office), rule="C14", severity="severe")
    first = close(office).get_json()

    without_reason = close(office)
    without_news = close(office, reason="看看")
    a_complaint(visitor)
    second = close(office, reason="投诉核实晚到").get_json()

    assert (without_reason.status_code, slug(without_reason)) == (422, "reason-missing")
    assert (without_news.status_code, slug(without_news)) == (409, "nothing-changed")
    assert [one["closed"]["revision"] for one in (first, second)] == [1, 2]
    assert first["closed"]["sha256"] != second["closed"]["sha256"]
    assert second["has_changed_since"] is False
    assert db.session.scalar(sa.select(sa.func.count()).select_from(MonthInput)) == 2


def test_the_same_facts_close_to_the_same_digest(office: Office) -> None:
    a_finding(a_visit(a_visitor()), auditor(office), rule="C14", severity="severe")
    first = close(office).get_json()["closed"]["sha256"]
    with transaction() as session:
        session.execute(sa.text("DELETE FROM month_inputs"))
        session.execute(sa.text("DELETE FROM closed_months"))

    assert close(office).get_json()["closed"]["sha256"] == first


def test_altered_inputs_of_a_closed_month_are_noticed(office: Office) -> None:
    a_finding(a_visit(a_visitor()), auditor(office), rule="C14", severity="severe")
    close(office)
    with transaction() as session:
        session.execute(sa.text("UPDATE month_inputs SET facts = jsonb_set(facts, '{breaches}', '[]')"))

    assert read(office)["is_intact"] is False


def test_the_limit_of_wage_law_needs_a_wage_on_record(office: Office) -> None:
    visitor = a_visitor()
    a_complaint(visitor)
    path = f"{OCTOBER}/people/{visitor.id}"
    unknown = read(office, path)["limit"]
    body = {"wage_fen": 200_000, "minimum_fen": 170_000}
    stored = office.person(Role.ADMIN).put(f"/api/v1/staff/{visitor.id}/wages/2026-10", json=body)

    known = read(office, path)["limit"]

    assert stored.status_code == 200, stored.text
    assert (unknown["most_fen"], unknown["because"]) == (None, "no-wage-on-record")
    assert (known["most_fen"], known["because"]) == (30_000, "minimum-wage")
    assert (known["lawful_least_fen"], known["lawful_most_fen"]) == (30_000, 30_000)


def a_coaching(*findings: Any, staff_id: Any, opened: str) -> Breach:
    """A breach as the desk opens the first of its kind."""
    supervisor = a_person()
    breach = Breach(
        id=uuid7(), staff_id=staff_id, measure="coaching", checks=sorted({one.check for one in findings}),
        finding_ids=[one.id for one in findings], complaint_ids=[], summary="", opened_by=supervisor.id,
        opened_at=china(opened), repeats=[],
    )  # fmt: skip
    with transaction() as session:
        session.add(breach)
        session.flush()
        for one in findings:
            session.add(BreachFinding(finding_id=one.id, staff_id=staff_id, breach_id=breach.id))
    return breach


def test_a_month_says_of_repeats_what_the_breach_desk_says(office: Office) -> None:
    visitor, other = a_visitor(), a_visitor()
    coached = a_finding(a_visit(visitor, "2026-09-02 10:00"), auditor(office), check="late")
    a_finding(a_visit(visitor), auditor(office), check="late")
    a_finding(a_visit(visitor), auditor(office), check="elsewhere")
    a_finding(a_visit(visitor, "2026-10-14 10:00"), auditor(office), check="elsewhere")
    a_finding(a_visit(other), auditor(office), check="late")
    before = a_finding(a_visit(other, "2026-10-12 10:00"), auditor(office), check="lost")
    a_finding(a_visit(other, "2026-10-13 10:00"), auditor(office), check="lost")
    first = a_coaching(coached, staff_id=visitor.id, opened="2026-09-09 10:00")
    a_coaching(before, staff_id=other.id, opened="2026-10-14 10:00")

    def measures() -> dict[tuple[str, str], str]:
        people = read(office, f"{OCTOBER}/people")["people"]
        return {(one["staff_id"], due["check"]): due["measure"] for one in people for due in one["measures"]}

    told = measures()
    with transaction() as session:
        long_before = sa.update(Breach).where(Breach.id == first.id)
        session.execute(long_before.values(opened_at=china("2025-10-31 23:59")))
    long_ago = measures()[str(visitor.id), "late"]
    supervisor = a_person()
    with transaction() as session:
        session.execute(long_before.values(opened_at=china("2025-11-01 00:00")))
        ending = {"staff_id": visitor.id, "outcome": "withdrawn", "reason": "x", "ended_at": NOW}
        session.add(BreachEnding(id=uuid7(), breach_id=first.id, ended_by=supervisor.id, **ending))

    assert told == {
        (str(visitor.id), "late"): "discipline",
        (str(visitor.id), "elsewhere"): "coaching",  # twice, and nobody told yet
        (str(other.id), "late"): "coaching",
        (str(other.id), "lost"): "coaching",  # the second time was before the first was told
    }
    assert (long_ago, measures()[str(visitor.id), "late"]) == ("coaching", "coaching")


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "now", "9999-12", "2026-10-01"])
def test_a_month_that_is_none_is_not_found(office: Office, month: str) -> None:
    answer = office.person(Role.SUPERVISOR).get(f"/api/v1/assessments/{month}")

    assert answer.status_code == 404


def test_months_are_counted_over_the_turn_of_the_year() -> None:
    assert [months_later(date(2026, 12, 31), step) for step in (-12, 0, 1)] == [
        date(2025, 12, 1),
        date(2026, 12, 1),
        date(2027, 1, 1),
    ]
