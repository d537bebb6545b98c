"""Work lists: due, overdue, blocked and why; the Friday report; escalations (F1-F20, D15, D17, D30)."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.cases import Case, Client, Debtor
from server.models.deadlines import CaseClock, Payment, Promise
from server.models.escalations import Escalation
from server.rules.catalogue import catalogue
from server.workflows import clocks
from sync.protocol import uuid7
from tests.builders import a_case, a_ledger_entry, a_person, add
from tests.office import NOW, Office, Stopped, a_body, a_door, a_team, china


def a_bare_case(**facts: Any) -> Case:
    """A case without contacts, allocated on Friday 20 November 2026: day 1 is today, Monday."""
    facts = {"allocated_on": date(2026, 11, 20), "balance_as_of": date(2026, 11, 20), **facts}
    case = a_case(**facts)
    with transaction() as session:
        session.execute(sa.text("DELETE FROM ledger_entries WHERE case_id = :case"), {"case": case.id})
    return case


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
        if after is None:
            break

    assert len(whole) == 20
    assert found == whole


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
    db.session.execute(sa.text("SET LOCAL enable_seqscan = off"))
    words = "case_clocks.state IN ('running', 'missed') AND NOT case_clocks.is_provisional"

    plan = "\n".join(
        db.session.scalars(
            sa.text(f"EXPLAIN SELECT * FROM {CaseClock.__tablename__} WHERE {words} AND due_at < now()"
                    " ORDER BY due_at, case_id, rule LIMIT 50")
        )
    )  # fmt: skip

    assert "ix_case_clocks_pushing" in plan and "Sort" not in plan


# --- the week's report -------------------------------------------------------------------------------------


def money(case: Case, kind: Any, **facts: Any) -> Any:
    return add(kind(client_id=case.client_id, reference=str(uuid7()), case_id=case.id, **facts))


def test_the_friday_report_sums_the_week_per_client_and_team(office: Office):
    clerk = a_person(Role.DISPATCHER, branch="East")
    case, quiet = a_bare_case(overdue_since=date(2026, 10, 24)), a_bare_case()
    of_east = {"recorded_by": clerk.id, "source": "office"}
    for day, fen in ((23, 3_000), (29, 500), (22, 7_777), (30, 8_888)):
        month_day = date(2026, 11, day)
        money(case, Payment, amount_fen=fen, paid_on=month_day, recorded_at=NOW, **of_east)
    money(case, Payment, amount_fen=40, paid_on=date(2026, 11, 24), recorded_at=NOW, source="import")
    money(
        case,
        Promise,
        debtor_id=case.debtor_id,
        amount_fen=9_000,
        due_on=date(2026, 12, 8),
        made_at=NOW,
        **of_east,
    )
    a_ledger_entry(case, channel="call", at=NOW)
    a_ledger_entry(quiet, channel="call", at=NOW)

    answer = office.person(Role.SUPERVISOR).get("/api/v1/work/friday-report").get_json()

    bank = db.session.get_one(Client, case.client_id).reference
    nothing = {"promises_made": 0, "promised_fen": 0, "promises_kept": 0, "promises_broken": 0}
    assert answer["totals"] == [
        {"client": bank, "team": "", "payments": 1, "paid_fen": 40, **nothing},
        {"client": bank, "team": "East", "payments": 2, "paid_fen": 3_500, **nothing,
         "promises_made": 1, "promised_fen": 9_000},
    ]  # fmt: skip
    [line] = answer["lines"]
    assert line["case_id"] == str(case.id)
    assert (line["paid_fen"], line["promised_fen"], line["next_promised_on"]) == (3_540, 9_000, "2026-12-08")
    assert (line["days_overdue"], line["calls"], line["visits"]) == (30, 1, 0)
    assert line["debtor_name"] == "张**"
    assert answer["week"] == {
        "rule": "F12", "first": "2026-11-23", "last": "2026-11-29", "due_at": "2026-11-27T13:00:00+00:00",
        "is_provisional": False,
    }  # fmt: skip


def test_an_entry_that_the_statement_confirms_is_counted_once(office: Office):
    case = a_bare_case()
    line = money(case, Payment, amount_fen=300, paid_on=NOW.date(), recorded_at=NOW, source="import")
    money(
        case,
        Payment,
        amount_fen=300,
        paid_on=NOW.date(),
        recorded_at=NOW,
        source="office",
        confirmed_by=line.id,
    )

    answer = office.person(Role.SUPERVISOR).get("/api/v1/work/friday-report").get_json()

    assert [(total["payments"], total["paid_fen"]) for total in answer["totals"]] == [(1, 300)]


def test_the_report_of_another_week_and_client_is_paged(office: Office):
    cases = [a_bare_case() for _ in range(3)]
    for case in cases:
        money(case, Payment, amount_fen=10, paid_on=date(2026, 11, 18), recorded_at=NOW, source="import")
    ask = office.person(Role.SUPERVISOR).get
    path = "/api/v1/work/friday-report"

    first = ask(path, query_string={"week": "2026-11-16", "limit": 2}).get_json()
    rest = ask(path, query_string={"week": "2026-11-16", "limit": 2, "after": first["next"]}).get_json()
    bank = db.session.get_one(Client, cases[0].client_id).reference
    of_one = ask(path, query_string={"week": "2026-11-16", "client": bank}).get_json()

    found = [line["case_id"] for line in (*first["lines"], *rest["lines"])]
    assert found == sorted(str(case.id) for case in cases)
    assert [line["case_id"] for line in of_one["lines"]] == [str(cases[0].id)]
    assert ask(path).get_json()["lines"] == []


# --- queues and escalations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "queue"),
    [("2026-10-24", "branch"), ("2026-10-23", "headquarters"), (None, "branch")],
)
def test_more_than_thirty_days_overdue_is_the_headquarters_queue(
    office: Office, since: str | None, queue: str
):
    a_bare_case(overdue_since=since and date.fromisoformat(since))
    ask = office.person(Role.DISPATCHER).get

    [case] = ask("/api/v1/cases").get_json()["cases"]
    found = {
        name: len(ask(f"/api/v1/cases?queue={name}").get_json()["cases"])
        for name in ("headquarters", "branch")
    }

    assert case["queue"] == queue
    assert found == {name: int(name == queue) for name in found}


def escalated(office: Office, case: Case, ground: str = "evasive") -> dict[str, Any]:
    answer = office.ask(f"/cases/{case.id}/escalations", {"ground": ground, "words": "挂断电话,拒不配合"})
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def test_an_escalation_stands_once_in_the_fields_list_without_its_words(office: Office):
    case = a_bare_case()

    first, again = escalated(office, case), escalated(office, case)
    page = office.person(Role.DISPATCHER).get("/api/v1/escalations").get_json()

    assert first["id"] == again["id"]
    [row] = page["escalations"]
    assert (row["case_id"], row["ground"], row["case_reference"]) == (str(case.id), "evasive", case.reference)
    assert "words" not in row
    assert (
        office.person(Role.DISPATCHER).get("/api/v1/escalations?ground=bad_faith").get_json()["escalations"]
        == []
    )


def test_reading_its_words_is_logged(office: Office):
    escalation = escalated(office, a_bare_case())

    read = office.person(Role.AUDITOR).get(f"/api/v1/escalations/{escalation['id']}").get_json()

    assert read["words"] == "挂断电话,拒不配合"
    entry = db.session.scalars(sa.select(AccessEntry)).one()
    assert (str(entry.entity_id), entry.fields) == (escalation["id"], ["escalations.words"])
    stored = db.session.scalar(sa.select(sa.text("words")).select_from(Escalation.__table__))
    assert isinstance(stored, bytes) and "挂断".encode() not in stored


def test_a_closed_case_is_not_escalated_and_leaves_the_list(office: Office):
    case = a_bare_case()
    escalated(office, case)
    with transaction() as session:
        session.execute(sa.update(Case).where(Case.id == case.id).values(state="closed"))

    refused = office.ask(f"/cases/{case.id}/escalations", {"ground": "bad_faith", "words": "x"})

    assert refused.status_code == 409
    assert office.person(Role.DISPATCHER).get("/api/v1/escalations").get_json()["escalations"] == []


def test_an_evasive_debtor_is_visited_only_after_it_was_recorded(office: Office):
    door = a_door()
    with transaction() as session:
        session.execute(sa.text("DELETE FROM ledger_entries"))
    body = a_body(door, *a_team(), start="2026-11-24 10:00") | {"ground": "evasive"}

    def slugs() -> set[tuple[str, str, str]]:
        verdict = office.ask("/assignments/check", body).get_json()
        return {(one["rule"], one["slug"], one["severity"]) for one in verdict["reasons"]}

    before = slugs()
    escalation = escalated(office, door.case)
    recorded = slugs()
    office.ask(f"/escalations/{escalation['id']}/withdraw", {}, by=Role.SUPERVISOR)

    needs_approval = ("D15", "ground-not-reached", "approval")
    missing = ("D15", "escalation-not-recorded", "block")
    assert before == {needs_approval, missing}
    assert recorded == {needs_approval}
    assert slugs() == before


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
