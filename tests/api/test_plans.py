"""Day plans over HTTP: asked for, watched, read page by page, accepted, and nothing breaks on bad input."""

from typing import Any

import pytest
from flask import Flask

from server.authority import Role
from server.jobs import run_worker
from tests.office import Office, a_door, a_team

DAY = "2026-11-24"
HERE = {"latitude": 39.9087, "longitude": 116.4605}


def a_crew(size: int = 2, **facts: Any) -> dict[str, Any]:
    team = [str(member.id) for member in a_team(size)]
    works = {"from": "09:00", "until": "18:00"}
    return {"members": team, "lead": team[0], "works": works, "start": HERE, **facts}


def asked(office: Office, **order: Any) -> dict[str, Any]:
    answer = office.ask("/plans", {"day": DAY, **order})
    assert answer.status_code == 202, answer.text
    return answer.get_json()


def got(office: Office, path: str, *, by: Role = Role.DISPATCHER) -> dict[str, Any]:
    answer = office.person(by).get(f"/api/v1/plans{path}")
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def paged(office: Office, path: str, name: str, limit: int) -> list[dict[str, Any]]:
    """Every row of a list, page by page."""
    rows: list[dict[str, Any]] = []
    after = ""
    while True:
        page = got(office, f"{path}{'&' if '?' in path else '?'}limit={limit}{after}")
        rows += page[name]
        if page["next"] is None:
            return rows
        after = f"&after={page['next']}"


def test_a_plan_is_asked_for_left_and_come_back_to(office: Office, app: Flask):
    doors = [a_door() for _ in range(4)]
    lunch = {"from": "12:00", "until": "13:00"}
    crew = a_crew(breaks=[lunch], end=HERE, most_stops=3)

    plan = asked(office, teams=[crew], case_ids=[str(door.case.id) for door in doors])

    assert (plan["state"], plan["sums"]) == ("waiting", None)
    assert plan["progress"] == {"phase": "judging", "done": 0, "total": 0}
    assert plan["travel"] == {"kmh": 15.0, "overhead_minutes": 5}
    run_worker(app, until_idle=True)
    ready = got(office, f"/{plan['id']}", by=Role.AUDITOR)
    assert (ready["state"], ready["progress"]) == ("ready", {"phase": "storing", "done": 4, "total": 4})
    assert (ready["sums"]["stops"], ready["sums"]["whys"]) == (3, {"days_full": 1})
    (team,) = ready["teams"]
    assert (team["members"], team["stops"], team["fault"]) == (crew["members"], 3, None)
    assert team["sets_out"] == "2026-11-24T01:00:00Z"
    assert [one["id"] for one in got(office, f"?day={DAY}")["plans"]] == [plan["id"]]
    assert got(office, "?day=2026-11-25")["plans"] == []


def test_stops_and_what_was_left_out_are_read_page_by_page(office: Office, app: Flask):
    doors = [a_door() for _ in range(5)] + [a_door(balance_as_of="2026-10-01") for _ in range(3)]
    crews = [a_crew(most_stops=2), a_crew(most_stops=2)]
    plan = asked(office, teams=crews, case_ids=[str(door.case.id) for door in doors])
    run_worker(app, until_idle=True)

    stops = paged(office, f"/{plan['id']}/stops", "stops", 3)
    left_out = paged(office, f"/{plan['id']}/left-out", "left_out", 2)
    blocked = paged(office, f"/{plan['id']}/left-out?why=blocked", "left_out", 2)

    assert [(stop["place"], stop["team_no"]) for stop in stops] == [(1, 0), (2, 0), (3, 1), (4, 1)]
    assert paged(office, f"/{plan['id']}/stops?team_no=1", "stops", 1) == stops[2:]
    assert [one["case_id"] for one in left_out] == sorted(one["case_id"] for one in left_out)
    assert {one["case_id"] for one in (*stops, *left_out)} == {str(door.case.id) for door in doors}
    assert [(one["rule"], one["slug"]) for one in blocked] == [("C4", "balance-stale")] * 3
    assert {one["why"]: one["explanation"] for one in left_out} == {
        "blocked": "A rule blocks it on this day.",
        "days_full": "Would fit alone, but the days are full of stops that fall due first or lie nearer.",
    }


def test_chosen_stops_are_accepted_and_shown_with_their_assignments(office: Office, app: Flask):
    doors = [a_door() for _ in range(2)]
    plan = asked(office, teams=[a_crew()], case_ids=[str(door.case.id) for door in doors])
    run_worker(app, until_idle=True)
    stops = got(office, f"/{plan['id']}/stops")["stops"]

    answer = office.ask(f"/plans/{plan['id']}/acceptances", {"stop_ids": [stops[0]["id"]]})
    again = office.ask(f"/plans/{plan['id']}/acceptances", {"stop_ids": [stops[0]["id"]]})

    assert answer.status_code == 200
    assert answer.get_json() == again.get_json()
    (outcome,) = answer.get_json()["outcomes"]
    assert (outcome["stop_id"], outcome["refusal"]) == (stops[0]["id"], None)
    shown = got(office, f"/{plan['id']}/stops")["stops"]
    assert [stop["assignment_id"] for stop in shown] == [outcome["assignment_id"], None]
    assignment = office.person(Role.DISPATCHER).get(f"/api/v1/assignments/{outcome['assignment_id']}")
    assert assignment.get_json()["window"] == {
        "start": stops[0]["arrives_at"],
        "end": stops[0]["leaves_at"],
    }


def test_a_refused_stop_carries_the_whole_verdict(office: Office, app: Flask):
    door = a_door()
    plan = asked(office, teams=[a_crew()], case_ids=[str(door.case.id)])
    run_worker(app, until_idle=True)
    office.ask(f"/cases/{door.case.id}/holds", {"reason": "complaint", "note": "rang the office"})

    answer = office.ask(f"/plans/{plan['id']}/acceptances", {})

    (outcome,) = answer.get_json()["outcomes"]
    assert (answer.status_code, outcome["assignment_id"]) == (200, None)
    assert outcome["refusal"]["slug"] == "visit-refused"
    assert [reason["rule"] for reason in outcome["refusal"]["reasons"]] == ["D25"]
    assert outcome["refusal"]["reasons"][0]["quotation"]


def test_a_plan_that_waits_is_cancelled_and_stays_so(office: Office, app: Flask):
    plan = asked(office, teams=[a_crew()])

    answers = [office.person(Role.DISPATCHER).post(f"/api/v1/plans/{plan['id']}/cancel") for _ in range(2)]
    run_worker(app, until_idle=True)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert got(office, f"/{plan['id']}")["state"] == "cancelled"
    assert office.ask(f"/plans/{plan['id']}/acceptances", {}).status_code == 409


@pytest.mark.parametrize(
    ("order", "pointers"),
    [
        ({"teams": []}, {"/teams"}),
        ({"teams": None}, {"/teams"}),
        ({"kmh": 0}, {"/kmh"}),
        ({"kmh": "NaN"}, {"/kmh"}),
        ({"minutes": 4}, {"/minutes"}),
        ({"most_candidates": 5_001}, {"/most_candidates"}),
        ({"day": "2026-11-22"}, {"/day"}),
        ({"client": "nobody"}, {"/client"}),
        ({"case_ids": ["01a21810-0000-7000-8000-000000000000"]}, {"/case_ids/0"}),
        ({"hours": [{"case_id": "x", "from": "25:00"}]}, {"/hours/0/case_id", "/hours/0/from"}),
    ],
)
def test_an_order_that_cannot_be_planned_says_where_it_is_wrong(
    office: Office, order: dict[str, Any], pointers: set[str]
):
    answer = office.ask("/plans", {"day": DAY, "teams": [a_crew()], **order})

    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.get_json()["errors"]} == pointers


def test_a_team_of_strangers_is_refused_at_its_place(office: Office):
    crew = a_crew()
    answer = office.ask(
        "/plans", {"day": DAY, "teams": [crew, crew | {"lead": str(office.actor().staff_id)}]}
    )

    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.get_json()["errors"]} == {
        *(f"/teams/{team}/members/{place}" for team in (0, 1) for place in (0, 1)),
        "/teams/1/lead",
    }
