"""Dispatch over HTTP: every gate with its reason, quotation and first permitted start; who may; bad input."""

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from server.authority import Role
from server.database import transaction
from server.models.cases import Hold
from server.models.people import Absence, Staff
from server.workflows.calendar import seed_calendar
from tests.builders import a_contact, a_handset, a_ledger_entry, a_visitor, an_address
from tests.office import NOW, Door, Office, a_body, a_door, a_team, china

READERS = (Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)


def held(reason: str, *, scope: str = "debtor") -> Door:
    door = a_door()
    hold = Hold(
        scope=scope, debtor_id=door.case.debtor_id, case_id=door.case.id, reason=reason, raised_at=NOW
    )
    with transaction() as session:
        session.add(hold)
    return door


def booked_out(office: Office) -> dict[str, Any]:
    door = a_door()
    for hour in (8, 9):
        body = a_body(door, *a_team(), start=f"2026-11-24 {hour:02}:00")
        assert office.ask("/assignments", body).status_code == 201
    return a_body(door, *a_team())


def in_hardship(office: Office) -> dict[str, Any]:
    door = a_door(hardship=("pregnancy",))
    a_ledger_entry(door.case, channel="visit", at=china("2026-11-20 09:30"))
    return a_body(door, *a_team())


def visited_then(office: Office) -> dict[str, Any]:
    door = a_door()
    assert office.ask("/assignments", a_body(door, *a_team())).status_code == 201
    return a_body(door, *a_team(), start="2026-11-24 10:30")


def elsewhere(office: Office) -> dict[str, Any]:
    team = a_team()
    assert office.ask("/assignments", a_body(a_door(), *team)).status_code == 201
    return a_body(a_door(), *team, start="2026-11-24 10:30")


def away(kind: str) -> dict[str, Any]:
    team = a_team()
    until = china("2026-11-24 18:00")
    with transaction() as session:
        session.add(Absence(staff_id=team[1].id, kind=kind, starts_at=NOW, ends_at=until))
    return a_body(a_door(), *team)


def at_address(**facts: Any) -> dict[str, Any]:
    door = a_door()
    return a_body(Door(door.case, an_address(door.case, **facts)), *a_team())


def at_contact(**facts: Any) -> dict[str, Any]:
    door = a_door()
    contact = a_contact(door.case, **facts)
    return a_body(Door(door.case, an_address(door.case, contact_id=contact.id)), *a_team())


def led_by(leader: Staff, *, phone: bool = True) -> dict[str, Any]:
    if phone:
        a_handset(leader)
    return a_body(a_door(), leader, a_visitor())


GATES: list[Any] = [
    (
        "T1",
        "block",
        "2026-11-24T00:00:00Z",
        lambda o: a_body(a_door(), *a_team(), start="2026-11-24 07:59"),
    ),
    (
        "T1",
        "block",
        "2026-11-25T00:00:00Z",
        lambda o: a_body(a_door(), *a_team(), start="2026-11-24 20:01"),
    ),
    ("T2", "block", "2026-11-25T00:00:00Z", lambda o: a_body(a_door(), *a_team(), start="2026-11-24 20:30")),
    ("X6", "block", None, lambda o: a_body(a_door(), *a_team(), start="2027-02-01 10:00")),
    ("A2", "block", None, lambda o: a_body(a_door(daily_visit_cap=0), *a_team())),
    ("A3", "block", "2026-11-25T00:00:00Z", booked_out),
    ("A9", "block", "2026-11-27T01:30:00Z", in_hardship),
    ("A10", "block", None, lambda o: a_body(a_door(hardship=("pregnancy",)), *a_team(3))),
    ("A10", "approval", "2026-11-24T02:00:00Z", lambda o: a_body(a_door(), *a_team(3))),
    ("X2", "block", "2026-11-24T03:00:00Z", elsewhere),
    ("X7", "block", "2026-11-24T03:00:00Z", visited_then),
    ("X3", "block", "2026-11-24T10:00:00Z", lambda o: away("leave")),
    ("G6", "block", "2026-11-24T10:00:00Z", lambda o: away("training")),
    ("A5", "block", None, lambda o: at_address(status="unverified")),
    ("A18", "block", None, lambda o: at_address(status="invalid")),
    ("D23", "block", None, lambda o: at_contact()),
    ("D24", "block", None, lambda o: at_contact(liable=True, stop_contact=True)),
    (
        "A4",
        "approval",
        "2026-11-24T02:00:00Z",
        lambda o: at_contact(liable=True, sensitive_occupation="press"),
    ),
    ("A7", "block", None, lambda o: a_body(held("do_not_collect"), *a_team())),
    ("D4", "block", None, lambda o: a_body(held("identity_disputed"), *a_team())),
    ("D8", "block", None, lambda o: a_body(held("transaction_denied", scope="case"), *a_team())),
    ("D11", "block", None, lambda o: a_body(held("amount_disputed", scope="case"), *a_team())),
    ("D25", "block", None, lambda o: a_body(held("complaint"), *a_team())),
    ("D18", "block", None, lambda o: a_body(a_door(state="closed"), *a_team())),
    ("A1", "block", None, lambda o: a_body(a_door(special_flags=["stolen_card"]), *a_team())),
    ("A6", "block", None, lambda o: a_body(a_door(special_note="ring twice"), *a_team())),
    ("C4", "block", None, lambda o: a_body(a_door(balance_as_of=date(2026, 11, 15)), *a_team())),
    ("B18", "approval", "2026-11-24T02:00:00Z", lambda o: a_body(a_door(outstanding_fen=49_999), *a_team())),
    ("G22", "block", None, lambda o: led_by(a_visitor(qualified=False))),
    ("X5", "block", None, lambda o: led_by(a_visitor(), phone=False)),
]


@pytest.mark.parametrize(
    ("rule", "severity", "allowed_from", "wish"),
    GATES,
    ids=[f"{gate[0]} {n}" for n, gate in enumerate(GATES)],
)
def test_each_gate_refuses_with_its_rule_its_words_and_when(
    office: Office, rule: str, severity: str, allowed_from: str | None, wish: Any
):
    body = wish(office)

    checked = office.ask("/assignments/check", {**body})
    refused = office.ask("/assignments", body)

    assert checked.status_code == 200
    assert refused.status_code == 409
    assert refused.content_type == "application/problem+json"
    problem = refused.get_json()
    assert problem["type"].endswith("visit-refused")
    spoken = {said["rule"]: said for said in problem["reasons"]}
    rule = "G5" if rule == "G22" else rule
    assert rule in spoken
    assert spoken[rule]["severity"] == severity
    assert spoken[rule]["quotation"]
    assert problem["allowed_from"] == allowed_from
    assert problem["allowed"] is False
    assert problem["needs_approval"] == (severity == "approval")
    assert checked.get_json()["reasons"] == problem["reasons"]


def test_a_holiday_is_refused_until_the_break_ends(office: Office):
    body = a_body(a_door(), *a_team(), start="2026-11-24 10:00")
    seed_calendar(now=NOW)  # 2026 is there; 2025 and earlier are added
    holiday = {**body, "window": {"start": "2026-10-01T02:00:00Z", "end": "2026-10-01T03:00:00Z"}}
    office.app.extensions["clock"] = type(office.app.extensions["clock"])(at=china("2026-09-30 10:00"))

    verdict = office.ask("/assignments/check", holiday).get_json()

    spoken = {said["rule"]: said for said in verdict["reasons"]}
    assert spoken["A12"]["quotation"] == "确保在国家法定节假日严格遵守禁令,不得实施任何催收行为"
    assert spoken["A12"]["facts"]["days"] == ["2026-10-01"]
    assert verdict["allowed_from"] == "2026-10-08T00:00:00Z"


def test_a_granted_visit_is_shown_listed_and_counted(office: Office):
    door, team = a_door(), a_team()

    created = office.ask("/assignments", a_body(door, *team, start="2026-11-24 10:00"))
    assignment = created.get_json()

    assert created.status_code == 201
    assert assignment["team"] == [str(member.id) for member in team]
    assert assignment["permit"]["payloadType"] == "application/vnd.fieldvisit.permit+json"
    for role in READERS:
        shown = office.person(role).get(f"/api/v1/assignments/{assignment['id']}")
        listed = office.person(role).get(f"/api/v1/assignments?case_id={door.case.id}")
        budget = office.person(role).get(f"/api/v1/cases/{door.case.id}/budget?day=2026-11-24")
        assert shown.get_json() == assignment
        assert listed.get_json() == {"assignments": [assignment], "next": None}
        assert (budget.get_json()["visits"], budget.get_json()["left"]) == (1, 1)


def test_lists_are_paged_by_key_and_filtered(office: Office):
    team = a_team()
    ids = [
        office.ask("/assignments", a_body(a_door(), *team, start=f"2026-11-24 {hour}:00")).get_json()["id"]
        for hour in (10, 12, 14)
    ]
    clerk = office.person(Role.AUDITOR)

    first = clerk.get(f"/api/v1/assignments?limit=2&staff_id={team[0].id}").get_json()
    second = clerk.get(f"/api/v1/assignments?limit=2&after={first['next']}").get_json()

    assert [one["id"] for one in first["assignments"] + second["assignments"]] == ids
    assert second["next"] is None
    assert clerk.get("/api/v1/assignments?state=cancelled").get_json()["assignments"] == []


def test_a_second_click_hears_each_rule_once(office: Office):
    body = a_body(a_door(), *a_team())

    _, again = (office.ask("/assignments", body) for _ in range(2))

    assert again.status_code == 409
    assert again.get_json()["detail"].startswith(
        "Blocked now: X7 another-team-then, X2 double-booked. The first start"
    )


def test_cancel_and_reassign(office: Office):
    door, team, other = a_door(), a_team(), a_team()
    assignment = office.ask("/assignments", a_body(door, *team)).get_json()
    takeover = {"team": [str(m.id) for m in other], "lead": str(other[0].id), "reason": "ill"}

    moved = office.ask(f"/assignments/{assignment['id']}/reassign", takeover)
    cancelled = office.ask(f"/assignments/{moved.get_json()['id']}/cancel", {"reason": "debtor paid"})
    again = office.ask(f"/assignments/{moved.get_json()['id']}/cancel", {"reason": "twice"})

    assert moved.status_code == 201
    assert moved.get_json()["replaces_id"] == assignment["id"]
    assert (cancelled.status_code, cancelled.get_json()["state"]) == (200, "cancelled")
    assert (again.status_code, again.get_json()["type"]) == (409, "/problems/assignment-not-open")


def test_a_supervisor_approves_what_needs_approval(office: Office):
    body = a_body(a_door(outstanding_fen=100), *a_team())

    assert office.ask("/assignments", body | {"approval_reason": "me too"}).status_code == 409
    approved = office.ask("/assignments", body | {"approval_reason": "agreed by phone"}, by=Role.SUPERVISOR)

    assert approved.status_code == 201


@pytest.mark.parametrize("role", [Role.VISITOR, Role.AUDITOR, Role.ADMIN])
def test_only_dispatchers_and_supervisors_dispatch(office: Office, role: Role):
    body = a_body(a_door(), *a_team())
    assignment = office.ask("/assignments", body).get_json()
    takeover = {"team": body["team"], "lead": body["lead"], "reason": "x"}

    for path, sent in (
        ("/assignments/check", body),
        ("/assignments", body),
        (f"/assignments/{assignment['id']}/cancel", {"reason": "x"}),
        (f"/assignments/{assignment['id']}/reassign", takeover),
    ):
        assert office.ask(path, sent, by=role).status_code == 403
    if role not in READERS:
        assert office.person(role).get("/api/v1/assignments").status_code == 403
        assert office.person(role).get(f"/api/v1/assignments/{assignment['id']}").status_code == 403
        assert office.person(role).get(f"/api/v1/cases/{uuid4()}/budget").status_code == 403


def test_a_stranger_learns_nothing(office: Office, app: Flask):
    stranger = app.test_client()

    for path in ("/assignments/check", "/assignments", f"/assignments/{uuid4()}/cancel", "/rules/replay"):
        assert stranger.post(f"/api/v1{path}", json={}).status_code == 401
    for path in ("/assignments", f"/cases/{uuid4()}/budget", "/rules", "/rules/packs", "/calendar"):
        assert stranger.get(f"/api/v1{path}").status_code == 401


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        pytest.param({"case_id": "nonsense"}, "/case_id", id="not a uuid"),
        pytest.param({"case_id": str(uuid4())}, "/case_id", id="unknown case"),
        pytest.param({"address_id": str(uuid4())}, "/address_id", id="unknown address"),
        pytest.param({"team": []}, "/team", id="nobody"),
        pytest.param({"team": [str(uuid4())]}, "/team/0", id="unknown visitor"),
        pytest.param({"team": "everybody"}, "/team", id="team is no list"),
        pytest.param({"lead": None}, "/lead", id="no lead"),
        pytest.param({"ground": "because"}, "/ground", id="unknown ground"),
        pytest.param(
            {"window": {"start": "2026-11-24T10:00:00", "end": "2026-11-24T11:00:00+08:00"}},
            "/window/start",
            id="time without offset",
        ),
        pytest.param(
            {"window": {"start": "2026-11-24T11:00:00+08:00", "end": "2026-11-24T10:00:00+08:00"}},
            "/window/end",
            id="ends before it starts",
        ),
        pytest.param(
            {"window": {"start": "2026-11-22T10:00:00+08:00", "end": "2026-11-22T11:00:00+08:00"}},
            "/window/end",
            id="in the past",
        ),
        pytest.param(
            {"window": {"start": "9999-12-31T23:00:00Z", "end": "9999-12-31T23:59:59Z"}},
            "/window/start",
            id="at the end of time",
        ),
        pytest.param(
            {"window": {"start": "0001-01-01T00:00:00+14:00", "end": "0001-01-01T00:00:01+14:00"}},
            "/window/end",
            id="before the beginning of time",
        ),
        pytest.param(
            {"window": {"start": "0001-01-01T00:00:00+08:00", "end": "2026-11-24T10:00:00+08:00"}},
            "/window/start",
            id="since the beginning of time",
        ),
        pytest.param(
            {"window": {"start": "2026-11-24T10:00:00+08:00", "end": "9999-12-31T23:59:59-10:00"}},
            "/window/end",
            id="until the end of time",
        ),
        pytest.param({"window": None}, "/window", id="no window"),
        pytest.param({"surprise": 1}, "/surprise", id="unknown field"),
    ],
)
@pytest.mark.parametrize("path", ["/assignments/check", "/assignments"])
def test_faulty_wishes_are_answered_with_pointers(
    office: Office, path: str, change: dict[str, Any], pointer: str
):
    answer = office.ask(path, a_body(a_door(), *a_team()) | change)

    assert answer.status_code == 422
    assert pointer in [fault["pointer"] for fault in answer.get_json()["errors"]]


def test_unknown_assignments_and_cases_are_not_found(office: Office):
    clerk = office.person(Role.DISPATCHER)

    assert clerk.get(f"/api/v1/assignments/{uuid4()}").status_code == 404
    assert clerk.get("/api/v1/assignments/nonsense").status_code == 404
    assert clerk.get(f"/api/v1/cases/{uuid4()}/budget").status_code == 404
    assert office.ask(f"/assignments/{uuid4()}/cancel", {"reason": "x"}).status_code == 404
    takeover = {"team": [str(uuid4())], "lead": str(uuid4()), "reason": "x"}
    assert office.ask(f"/assignments/{uuid4()}/reassign", takeover).status_code == 404


def test_a_day_at_the_end_of_time_is_no_fault_of_ours(office: Office):
    door = a_door()

    for day in ("0001-01-01", "9999-12-31"):
        answer = office.person(Role.DISPATCHER).get(f"/api/v1/cases/{door.case.id}/budget?day={day}")
        assert answer.status_code == 422


def test_the_rules_can_be_read_by_everybody_who_works_here(office: Office):
    visitor = office.person(Role.VISITOR)

    rules = visitor.get("/api/v1/rules").get_json()["rules"]
    packs = visitor.get("/api/v1/rules/packs").get_json()["packs"]
    years = visitor.get("/api/v1/calendar?year=2026").get_json()["years"]

    assert len(rules) == 253
    assert {"id": "A9", "line": 63, "quotation": "外访次数应限制在每周不超过一次"}.items() <= next(
        rule for rule in rules if rule["id"] == "A9"
    ).items()
    assert [pack["id"] for pack in packs] == ["au.accc", "cn.cba.2026", "cn.gbt.45251", "cn.house", "cn.law"]
    assert {"name": "window_opens", "value": "08:00:00", "rule": "T1"}.items() <= packs[3]["parameters"][
        0
    ].items()
    assert years[0]["days"][0] == {"day": "2026-10-01", "kind": "holiday", "name": "National Day"}
    assert visitor.get("/api/v1/calendar?year=x").status_code == 422
    assert visitor.get("/api/v1/rules?class=Z").status_code == 422


def test_a_refusal_can_be_replayed_by_those_who_audit(office: Office):
    problem = office.ask("/assignments", a_body(a_door(balance_as_of=None), *a_team())).get_json()
    wish = {"decision_id": problem["decision_id"], "pack": "cn.house@2"}

    replayed = office.ask("/rules/replay", wish, by=Role.AUDITOR)
    month = office.ask("/rules/replay", {"month": "2026-11", "pack": "cn.house"}, by=Role.SUPERVISOR)

    assert replayed.status_code == 200
    assert replayed.get_json()["decisions"][0]["would_be"]["reasons"] == problem["reasons"]
    assert month.get_json()["differing"] == 0
    assert office.ask("/rules/replay", wish).status_code == 403
    for faulty in (
        {"pack": "x"},
        {"pack": "cn.house", "month": "0001-01"},
        wish | {"month": "2026-11"},
        wish | {"pack": "cn.nowhere"},
    ):
        assert office.ask("/rules/replay", faulty, by=Role.AUDITOR).status_code == 422
    unknown = wish | {"decision_id": str(uuid4())}
    assert office.ask("/rules/replay", unknown, by=Role.AUDITOR).status_code == 404


def test_what_is_not_json_is_answered_plainly(office: Office):
    dispatcher = office.person(Role.DISPATCHER)

    for raw in (
        b"{",
        b"\xff\xfe",
        b'{"case_id": NaN}',
        b'{"case_id": 1, "case_id": 2}',
        b'{"ground": "\\u0000"}',
    ):
        answer = dispatcher.post("/api/v1/assignments", data=raw, content_type="application/json")
        assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    for body in ([], "visit", 7):
        answer = dispatcher.post("/api/v1/assignments", json=body)
        assert answer.status_code == 422
