"""What an entered overlay does: it judges, is previewed, and takes open visits back."""

from datetime import date, datetime

from server.authority import Role
from server.database import db
from server.models.dispatch import Assignment, Decision
from server.workflows import overlays
from server.workflows.dispatch import assign
from server.workflows.eligibility import which_cases
from server.workflows.rejudging import rejudge
from server.workflows.standing_packs import active_pack, pack_of_case, packs_of_clients
from tests.api.overlays import CLOSES_AT_SIX, SOURCE, a_text, entered
from tests.office import NOW, Office, a_body, a_door, a_team, a_wish, china


def judge_open_ones_again(at: datetime = NOW) -> None:
    """What the worker does after an overlay was entered."""
    open_ones = db.session.query(Assignment.id).filter(Assignment.state == "issued").all()
    for (assignment_id,) in open_ones:
        rejudge(assignment_id, now=at)


def test_an_overlay_tightens_its_client_s_cases_and_nobody_else_s(office: Office) -> None:
    mine, other = a_door(), a_door()

    shown = entered(office, a_text(), door=mine)

    assert (shown["id"], shown["version"], shown["is_standing"]) == ("client.bank", 1, True)
    assert shown["pack"]["parameters"][0]["value"] == "18:00:00"
    refused = office.ask("/assignments", a_body(mine, *a_team(), start="2026-11-24 17:30"))
    assert refused.status_code == 409
    (reason,) = refused.get_json()["reasons"]
    assert (reason["rule"], reason["facts"]["source"]["pack"]) == ("T1", "client.bank@1")
    assert refused.get_json()["pack"].endswith("+client.bank@1+cn.cba.2026@1+cn.gbt.45251@1+cn.law@1")
    assert office.ask("/assignments", a_body(other, *a_team(), start="2026-11-24 17:30")).status_code == 201


def test_an_overlay_for_everybody_binds_every_client(office: Office) -> None:
    entered(office, a_text())

    for door in (a_door(), a_door()):
        assert (
            office.ask("/assignments", a_body(door, *a_team(), start="2026-11-24 17:30")).status_code == 409
        )


def test_a_draft_value_blocks_nobody(office: Office) -> None:
    door = a_door()
    entered(office, a_text(CLOSES_AT_SIX.replace(" }", ', status = "draft" }')), door=door)

    assert office.ask("/assignments", a_body(door, *a_team(), start="2026-11-24 17:30")).status_code == 201


def test_the_values_of_the_day_of_the_visit_judge_it(office: Office) -> None:
    door = a_door()
    entered(office, a_text(CLOSES_AT_SIX.replace(" }", ", effective_from = 2026-11-25 }")), door=door)

    granted = [
        office.ask("/assignments/check", a_body(door, *a_team(), start=f"2026-11-{day} 17:30")).get_json()
        for day in (24, 25)
    ]

    assert [one["allowed"] for one in granted] == [True, False]
    assert granted[1]["allowed_from"] == "2026-11-26T00:00:00Z"


def test_visitability_judges_each_client_by_its_own_overlay(office: Office) -> None:
    mine, other = a_door(balance_as_of=date(2026, 11, 18)), a_door(balance_as_of=date(2026, 11, 18))
    entered(office, a_text(f"balance_max_age_days = {{ value = 3, {SOURCE} }}"), door=mine)

    answers = which_cases(
        day=date(2026, 11, 24), now=NOW, pack=active_pack(NOW), of_clients=packs_of_clients(NOW)
    )
    asked = office.ask("/visitability", {"day": "2026-11-24", "with_counts": True}).get_json()

    said = {answer.case_id: answer.status for answer in answers}
    assert said == {mine.case.id: "blocked", other.case.id: "may"}
    assert {one["case_id"]: one["status"] for one in asked["cases"]} == {
        str(case_id): status for case_id, status in said.items()
    }
    assert asked["counts"]["rules"] == {"C4": 1}


def test_the_preview_counts_what_would_differ_and_stores_nothing(office: Office) -> None:
    mine, other = a_door(), a_door()
    early, late, elsewhere = (
        assign(a_wish(door, *a_team(), start=f"2026-11-24 {hour}"), actor=office.actor(), now=NOW)
        for door, hour in ((mine, "10:00"), (mine, "17:30"), (other, "17:30"))
    )

    body = {"toml": a_text(), "client_id": str(mine.case.client_id)}
    shown = office.ask("/rules/overlays/preview", body, by=Role.SUPERVISOR).get_json()
    for_all = office.ask("/rules/overlays/preview", {"toml": a_text()}, by=Role.SUPERVISOR).get_json()

    assert shown["changes"] == [{"parameter": "window_closes", "was": "21:00:00", "becomes": "18:00:00"}]
    assert (shown["decisions"], shown["differing"], shown["newly_blocked"]) == (2, 1, 1)
    assert (shown["rules"], shown["is_complete"]) == ({"T1": 1}, True)
    assert (shown["assignments"], shown["refused"]) == (2, [str(late.id)])
    assert sorted(for_all["refused"]) == sorted([str(late.id), str(elsewhere.id)])
    assert db.session.get_one(Assignment, early.id).state == "issued"
    assert office.person(Role.ADMIN).get("/api/v1/rules/overlays").get_json()["overlays"] == []


def test_a_value_that_begins_later_is_previewed_as_if_it_had_begun(office: Office) -> None:
    door = a_door()
    assign(a_wish(door, *a_team(), start="2026-11-24 17:30"), actor=office.actor(), now=NOW)
    later = a_text(CLOSES_AT_SIX.replace(" }", ", effective_from = 2027-01-01 }"))

    shown = office.ask("/rules/overlays/preview", {"toml": later}, by=Role.ADMIN).get_json()

    assert (shown["as_of"], shown["differing"], len(shown["refused"])) == ("2027-01-01", 1, 1)


def test_open_visits_that_the_new_rule_blocks_are_cancelled_and_say_why(office: Office) -> None:
    door = a_door()
    early, late = (
        assign(a_wish(door, *a_team(), start=f"2026-11-24 {hour}"), actor=office.actor(), now=NOW)
        for hour in ("10:00", "17:30")
    )
    entered(office, a_text(), door=door)

    judge_open_ones_again()

    listed = office.person(Role.DISPATCHER).get("/api/v1/assignments?state=cancelled").get_json()
    (lost,) = listed["assignments"]
    assert (lost["id"], lost["ended_reason"]) == (str(late.id), "no longer allowed: T1 visit-window")
    assert db.session.get_one(Assignment, early.id, populate_existing=True).state == "issued"
    newest = db.session.query(Decision).order_by(Decision.id.desc()).first()
    assert newest is not None and "client.bank@1" in newest.pack


def test_a_visit_that_newly_needs_approval_is_cancelled_and_an_approved_one_is_kept(office: Office) -> None:
    """Nobody may make a visit that a supervisor has to approve and did not."""
    small = a_door(outstanding_fen=40_000)
    plain = a_door(outstanding_fen=60_000)
    approved = assign(
        a_wish(small, *a_team()), actor=office.actor(Role.SUPERVISOR), now=NOW, approval_reason="agreed"
    )
    granted = assign(a_wish(plain, *a_team()), actor=office.actor(), now=NOW)
    text = a_text(f"small_balance_fen = {{ value = 100000, {SOURCE} }}")
    shown = office.ask("/rules/overlays/preview", {"toml": text}, by=Role.ADMIN).get_json()
    entered(office, text)

    judge_open_ones_again()

    states = {
        one.id: db.session.get_one(Assignment, one.id, populate_existing=True).state
        for one in (approved, granted)
    }
    assert states == {approved.id: "issued", granted.id: "cancelled"}
    assert shown["needing_approval"] == [str(granted.id)]


def test_entering_has_the_open_visits_judged_again_by_the_worker(office: Office) -> None:
    door = a_door()
    assign(a_wish(door, *a_team(), start="2026-11-24 17:30"), actor=office.actor(), now=NOW)
    entered(office, a_text(), door=door)

    overlays.sweep(now=NOW, client_id=str(door.case.client_id))

    query = db.text("SELECT task_name, count(*) FROM procrastinate_jobs GROUP BY 1")
    jobs = dict(map(tuple, db.session.execute(query)))
    assert (jobs["dispatch.rejudge"], jobs["overlays.sweep"]) == (1, 2)
    assert jobs["clocks.recount_all"] == 2  # one of them is that of the office's calendar


def test_a_visit_is_not_judged_by_an_overlay_that_came_after_it(office: Office) -> None:
    door = a_door()
    entered(office, a_text(), door=door)

    before, after = (pack_of_case(door.case.id, at) for at in (china("2026-11-23 09:59"), NOW))

    assert (before.window_closes.hour, after.window_closes.hour) == (21, 18)
