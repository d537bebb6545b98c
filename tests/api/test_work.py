"""Work lists: due, overdue, blocked and why (F1-F20)."""

import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db
from server.models.cases import Client, Debtor
from server.models.deadlines import CaseClock
from server.rules.catalogue import catalogue
from server.workflows import clocks
from sync.protocol import uuid7
from tests.api.worklists import a_bare_case
from tests.builders import a_ledger_entry
from tests.office import NOW, Office, Stopped, china


def listed(office: Office, *, by: Role = Role.DISPATCHER, **query: Any) -> dict[str, Any]:
    answer = office.person(by).get("/api/v1/work", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def rules(page: dict[str, Any]) -> list[str]:
    return [task["rule"] for task in page["tasks"]]


def at(office: Office, now: datetime) -> None:
    """Stop the office's clock at another moment and let the night's job run."""
    office.app.extensions["clock"] = Stopped(at=now)
    clocks.recount_all(now=now)


def test_what_is_due_today_is_listed_with_its_words(office: Office):
    case = a_bare_case()
    clocks.recount_all(now=NOW)

    page = listed(office)

    [task] = page["tasks"]
    assert (task["rule"], task["case_id"], task["due_at"]) == (
        "F4",
        str(case.id),
        "2026-11-23T13:00:00+00:00",
    )
    assert task["quotation"] == catalogue()["F4"].quotation
    assert (task["opened_by"], task["opened_on"], task["state"]) == ("allocation", "2026-11-20", "running")
    assert (task["case_reference"], task["hand"]) == (case.reference, "first")
    assert (page["next"], page["pause"]) == (None, None)


def test_what_was_not_done_is_overdue_the_oldest_first(office: Office):
    a_bare_case()

    at(office, china("2026-11-26 10:00"))

    assert rules(listed(office, list="overdue")) == ["F4", "F8", "F1"]
    assert rules(listed(office, list="due")) == ["F6"]


def test_a_deadline_that_passed_is_overdue_before_any_job_runs(office: Office):
    a_bare_case()
    clocks.recount_all(now=NOW)

    office.app.extensions["clock"] = Stopped(at=china("2026-11-23 21:01"))

    assert rules(listed(office, list="overdue")) == ["F4"]
    assert rules(listed(office, list="due")) == []


def test_blocked_says_why(office: Office):
    held = a_bare_case()
    office.ask(f"/cases/{held.id}/holds", {"reason": "other", "note": ""})
    clocks.recount_all(now=NOW)

    suspended = listed(office, list="suspended")

    assert {(task["case_id"], task["because"]) for task in suspended["tasks"]} == {
        (str(held.id), "hold: other")
    }
    assert set(rules(suspended)) == {"F1", "F2", "F4", "F6", "F8", "F10"}
    assert rules(listed(office)) == []


def test_provisional_deadlines_stand_in_a_list_of_their_own(office: Office):
    a_bare_case(allocated_on=date(2026, 12, 30))

    at(office, china("2026-12-30 10:00"))

    provisional = listed(office, list="provisional")
    assert {task["is_provisional"] for task in provisional["tasks"]} == {True}
    assert {"F1", "F2", "F6"} <= set(rules(provisional))
    assert rules(listed(office)) == []


def test_filters_by_rule_client_and_hand(office: Office):
    mine, other = a_bare_case(hand="second"), a_bare_case()
    bank = db.session.get_one(Client, mine.client_id).reference
    at(office, china("2026-11-30 10:00"))

    def cases(**query: Any) -> set[str]:
        return {task["case_id"] for task in listed(office, list="overdue", **query)["tasks"]}

    assert cases() == {str(mine.id), str(other.id)}
    assert cases(client=bank) == {str(mine.id)}
    assert cases(hand="second") == {str(mine.id)}
    assert cases(rule="F9") == {str(mine.id)}
    assert cases(rule="F8") == {str(other.id)}
    assert cases(rule="F8", client=bank) == set()


def test_f3_chooses_what_an_empty_month_opened(office: Office):
    a_bare_case()
    old = a_bare_case(allocated_on=date(2026, 3, 2))
    clocks.recount_all(now=NOW)

    page = listed(office, list="overdue", rule="F3")

    assert {task["case_id"] for task in page["tasks"]} == {str(old.id)}
    assert {"F1", "F2", "F4", "F8"} == set(rules(page))
    assert {task["opened_by"] for task in page["tasks"]} == {"month"}


def test_pages_meet_without_a_gap(office: Office):
    for _ in range(4):
        a_bare_case()
    at(office, china("2026-11-27 22:00"))
    whole = [(task["case_id"], task["rule"]) for task in listed(office, list="overdue")["tasks"]]

    found, after = [], None
    while True:
        query = {"list": "overdue", "limit": 3} | ({"after": after} if after else {})
        page = listed(office, **query)
        found += [(task["case_id"], task["rule"]) for task in page["tasks"]]
        after = page["next"]
        assert after is None or re.fullmatch(r"[A-Za-z0-9:._~-]+", after)  # needs no quoting in a query
        if after is None:
            break

    assert len(whole) == 20
    assert found == whole


def test_a_cursor_of_an_earlier_release_is_still_read(office: Office):
    a_bare_case()
    at(office, china("2026-11-27 22:00"))
    new = listed(office, list="overdue", limit=2)["next"]

    old = new.replace("Z~", "+00:00~")

    assert listed(office, list="overdue", after=old) == listed(office, list="overdue", after=new)
    assert old != new


@pytest.mark.parametrize("after", ["x", "2026-11-23~x~F1", "2026-11-23T10:00:00Z", "~~"])
def test_a_cursor_nobody_gave_out_is_refused(office: Office, after: str):
    answer = office.person(Role.DISPATCHER).get("/api/v1/work", query_string={"after": after})

    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/after")


def test_counts_are_those_of_the_lists(office: Office):
    a_bare_case()
    office.ask(f"/cases/{a_bare_case().id}/holds", {"reason": "other", "note": ""})
    clocks.recount_all(now=NOW)

    answer = office.person(Role.DISPATCHER).get("/api/v1/work/counts").get_json()

    weekly = answer.pop("weekly")
    assert answer == {
        name: len(listed(office, list=name, limit=200)["tasks"])
        for name in ("due", "overdue", "capped", "suspended", "provisional")
    }
    assert (answer["due"], answer["suspended"]) == (1, 6)
    assert (weekly["rule"], weekly["due_at"]) == ("F12", "2026-11-27T13:00:00+00:00")


def test_on_a_holiday_nothing_is_due_and_the_lists_say_until_when(office: Office):
    a_bare_case(allocated_on=date(2026, 9, 25))
    at(office, china("2026-10-03 10:00"))

    due, overdue = listed(office), listed(office, list="overdue")
    counts = office.person(Role.DISPATCHER).get("/api/v1/work/counts").get_json()

    assert (rules(due), rules(overdue)) == ([], [])
    assert due["pause"] == {"because": "National Day", "until": "2026-10-08"}
    assert (counts["due"], counts["overdue"]) == (0, 0)
    at(office, china("2026-10-08 10:00"))
    assert rules(listed(office, list="overdue")) != []


def test_one_cases_clocks_are_shown_with_what_was_met(office: Office):
    case = a_bare_case()
    a_ledger_entry(case, channel="call", at=NOW, effective=True, connected=True)
    clocks.recount_all(now=NOW)

    answer = office.person(Role.AUDITOR).get(f"/api/v1/cases/{case.id}/clocks").get_json()

    states = {clock["rule"]: clock["state"] for clock in answer["clocks"]}
    assert states == {
        "F1": "running", "F2": "running", "F4": "met", "F8": "met", "F10": "running", "F11": "running"
    }  # fmt: skip
    assert office.person(Role.AUDITOR).get(f"/api/v1/cases/{uuid7()}/clocks").status_code == 404


def test_the_plan_of_the_first_page_reads_an_index(app: Flask, office: Office):
    a_bare_case()
    clocks.recount_all(now=NOW)
    for way in ("seqscan", "bitmapscan", "sort"):  # else the choice is one of what other tests left behind
        db.session.execute(sa.text(f"SET LOCAL enable_{way} = off"))
    words = "case_clocks.state IN ('running', 'missed') AND NOT case_clocks.is_provisional"

    plan = "\n".join(
        db.session.scalars(
            sa.text(f"EXPLAIN SELECT * FROM {CaseClock.__tablename__} WHERE {words} AND due_at < now()"
                    " ORDER BY due_at, case_id, rule LIMIT 50")
        )
    )  # fmt: skip

    assert "ix_case_clocks_pushing" in plan and "Sort" not in plan


def test_a_debtor_of_two_cases_is_called_for_both_within_one_cap(office: Office):
    case = a_bare_case()
    other = a_bare_case(debtor=db.session.get_one(Debtor, case.debtor_id))
    for minute in range(3):
        a_ledger_entry(case, channel="call", at=NOW - timedelta(minutes=minute))
    clocks.recount_all(now=NOW)

    capped = listed(office, list="capped")["tasks"]

    assert {(task["case_id"], task["rule"], task["because"]) for task in capped} == {
        (str(other.id), "F4", "J18: 0 of 1 calls left")
    }
