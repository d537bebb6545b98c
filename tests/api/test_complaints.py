"""Complaints: everything stops at once, one supervisor takes it over, the client hears what it must know."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError

from server.authority import Role
from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.cases import Debtor, Hold
from server.models.casework import CaseworkEvent, ClientNotice, Complaint
from server.models.dispatch import Assignment
from server.models.people import Staff
from tests.builders import a_case, a_visitor, an_address, an_assignment
from tests.complaining import (
    WORDS,
    another_supervisor,
    assess,
    complain,
    handle,
    read,
    resolve,
    slug,
    taken_over,
)
from tests.office import NOW, Office, Stopped, china


def notices() -> list[tuple[str, datetime]]:
    """What the client is to be told, and by when."""
    db.session.rollback()
    told = sa.select(ClientNotice.kind, ClientNotice.due_at).order_by(ClientNotice.id)
    return [(row.kind, row.due_at) for row in db.session.execute(told)]


def test_a_complaint_stops_all_the_debtors_cases_at_once(office: Office) -> None:
    case, lead = a_case(), a_visitor()
    sibling = a_case(debtor=db.session.get_one(Debtor, case.debtor_id))
    assignment = an_assignment(sibling, an_address(sibling), lead)

    raised = complain(office, case)

    hold = db.session.get_one(Hold, raised["hold_id"])
    assert (hold.reason, hold.scope, hold.released_at) == ("complaint", "debtor", None)
    assert db.session.scalar(sa.select(Assignment.state).where(Assignment.id == assignment.id)) == "cancelled"
    assert (raised["state"], raised["level"], raised["merits"], raised["is_calmed"]) == (
        "open",
        "general",
        "undecided",
        None,
    )


def test_what_people_wrote_is_no_part_of_lists_holds_or_the_database_in_clear(office: Office) -> None:
    raised = complain(office)

    listed = office.person(Role.DISPATCHER).get("/api/v1/complaints").get_data(as_text=True)
    stored = db.session.execute(sa.text("SELECT text FROM complaints")).scalar_one()
    hold = db.session.get_one(Hold, raised["hold_id"])

    assert raised["id"] in listed and WORDS not in listed
    assert WORDS.encode() not in bytes(stored)
    assert WORDS not in hold.note


def test_reading_a_complaint_is_logged(office: Office) -> None:
    raised = complain(office)

    assert read(office, raised)["text"] == WORDS

    entry = db.session.scalars(sa.select(AccessEntry).where(AccessEntry.action == "complaint.read")).one()
    assert (str(entry.entity_id), entry.staff_id) == (raised["id"], office.person(Role.SUPERVISOR).staff.id)


def test_a_double_tap_is_one_complaint_and_other_words_are_another_under_one_hold(office: Office) -> None:
    case = a_case()

    first, again, other = (
        complain(office, case),
        complain(office, case),
        complain(office, case, text="又来"),
    )

    assert first["id"] == again["id"] != other["id"]
    assert first["hold_id"] == other["hold_id"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/text"),
        ({"text": " "}, "/text"),
        ({"text": "x", "level": "grave"}, "/level"),
        ({"text": "x", "level": "serious"}, "/level"),
        ({"text": "x", "about_staff": ["01890000-0000-7000-8000-00000000dead"]}, "/about_staff/0"),
    ],
)
def test_a_faulty_complaint_is_refused_with_the_place_and_stops_nothing(
    office: Office, body: dict[str, Any], pointer: str
) -> None:
    answer = office.ask(f"/cases/{a_case().id}/complaints", body)

    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.get_json()["errors"]] == [pointer]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Hold)) == 0


def test_serious_means_that_the_client_pursues_it(office: Office) -> None:
    raised = complain(office, level="serious", client_pursues=True)
    other = taken_over(office)

    alone = assess(office, other, level="serious")
    both = assess(office, other, level="serious", client_pursues=True)

    assert raised["level"] == "serious"
    assert (alone.status_code, alone.get_json()["errors"][0]["pointer"]) == (422, "/level")
    assert (both.status_code, both.get_json()["level"]) == (200, "serious")
    with pytest.raises(IntegrityError), transaction() as session:
        session.execute(sa.update(Complaint).values(client_pursues=False))


@pytest.mark.parametrize(("seen", "is_overdue"), [("2026-11-23 23:59:59", False), ("2026-11-24 00:00", True)])
def test_a_supervisor_takes_it_over_on_its_day(
    office: Office, app: Flask, seen: str, is_overdue: bool
) -> None:
    waiting, handled = complain(office), taken_over(office)

    app.extensions["clock"] = Stopped(at=china(seen))
    listed = office.person(Role.SUPERVISOR).get(f"/api/v1/complaints?is_overdue={is_overdue}").get_json()

    assert datetime.fromisoformat(waiting["take_over_due_at"]) == china("2026-11-23 23:59:59")
    late = {one["id"]: one["is_overdue"] for one in listed["complaints"]}
    assert late == ({waiting["id"]: True} if is_overdue else {waiting["id"]: False, handled["id"]: False})


def test_one_supervisor_at_a_time_has_it(office: Office) -> None:
    raised = complain(office)
    other = another_supervisor(office)
    path = f"/api/v1/complaints/{raised['id']}"

    early = resolve(office, raised)
    first = handle(office, raised, "takeover")
    again = handle(office, raised, "takeover")
    second = other.post(f"{path}/takeover")
    meddling = other.post(f"{path}/resolve", json={"resolution": "x", "is_calmed": True})

    assert (early.status_code, slug(early)) == (409, "complaint-not-yours")
    assert (first.get_json()["state"], first.get_json()) == ("taken_over", again.get_json())
    assert (second.status_code, slug(second)) == (409, "complaint-taken")
    assert (meddling.status_code, slug(meddling)) == (409, "complaint-not-yours")


def test_what_a_supervisor_who_left_had_is_taken_over_by_another(office: Office) -> None:
    raised = taken_over(office)
    other = another_supervisor(office)
    with transaction() as session:
        gone = sa.update(Staff).where(Staff.id == office.person(Role.SUPERVISOR).staff.id)
        session.execute(gone.values(left_at=NOW))

    answer = other.post(f"/api/v1/complaints/{raised['id']}/takeover")

    assert answer.get_json()["supervisor_id"] == str(other.staff.id)


def test_a_dispatcher_takes_nothing_over(office: Office) -> None:
    raised = complain(office)

    assert office.ask(f"/complaints/{raised['id']}/takeover", {}).status_code == 403


@pytest.mark.parametrize(
    ("opinion", "told"),
    [
        ({"publicity_risk": True}, ["publicity_risk"]),
        ({"threatens_to_escalate": True}, []),  # perhaps they can be calmed
        ({"is_calmed": False}, []),
        ({"threatens_to_escalate": True, "is_calmed": True}, []),
        ({"threatens_to_escalate": True, "is_calmed": False}, ["complaint_escalated"]),
        (
            {"threatens_to_escalate": True, "is_calmed": False, "publicity_risk": True},
            ["publicity_risk", "complaint_escalated"],
        ),
    ],
)
def test_the_client_hears_at_once_of_what_goes_further_or_public(
    office: Office, opinion: dict[str, bool], told: list[str]
) -> None:
    raised = taken_over(office)

    answer = assess(office, raised, **opinion)
    assess(office, raised, **opinion)

    assert notices() == [(kind, NOW + timedelta(hours=2)) for kind in told]
    is_escalated = "complaint_escalated" in told
    assert answer.get_json()["state"] == ("escalated" if is_escalated else "taken_over")


def test_a_publicity_risk_seen_at_once_is_told_at_once(office: Office) -> None:
    complain(office, publicity_risk=True)

    assert notices() == [("publicity_risk", NOW + timedelta(hours=2))]


def test_escalating_waits_for_nobody_and_once_is_enough(office: Office) -> None:
    raised = complain(office)

    first, again = handle(office, raised, "escalate"), handle(office, raised, "escalate")

    assert (first.get_json()["state"], first.get_json()) == ("escalated", again.get_json())
    assert [kind for kind, _ in notices()] == ["complaint_escalated"]
    assert handle(office, raised, "takeover").get_json()["state"] == "escalated"


@pytest.mark.parametrize(
    ("calmed", "merits"), [(True, "upheld"), (True, "not_upheld"), (False, "upheld"), (False, "not_upheld")]
)
def test_calmed_is_one_thing_and_right_is_another(office: Office, calmed: bool, merits: str) -> None:
    raised = taken_over(office)
    lessons = {"cause": "语气", "education": "培训", "prevention": "抽检"}

    resolve(office, raised, calmed=calmed)
    closed = handle(office, raised, "close", merits=merits, **lessons)

    shown = closed.get_json()
    assert (shown["state"], shown["is_calmed"], shown["merits"]) == ("closed", calmed, merits)


def test_a_settlement_may_be_repeated_and_not_rewritten(office: Office) -> None:
    raised = taken_over(office)

    first, again, other = resolve(office, raised), resolve(office, raised), resolve(office, raised, "别的话")

    assert first.get_json() == again.get_json()
    assert (other.status_code, slug(other)) == (409, "complaint-over")
    assert read(office, raised)["resolution"] == "已致歉"


def test_resolving_does_not_release_the_hold(office: Office) -> None:
    raised = taken_over(office)

    resolve(office, raised)

    assert db.session.get_one(Hold, raised["hold_id"], populate_existing=True).released_at is None


@pytest.mark.parametrize("missing", ["cause", "education", "prevention"])
def test_a_complaint_that_was_right_closes_only_with_what_was_learned(office: Office, missing: str) -> None:
    raised = taken_over(office)
    resolve(office, raised)
    lessons = {"cause": "语气", "education": "培训", "prevention": "抽检"} | {missing: " "}

    upheld = handle(office, raised, "close", merits="upheld", **lessons)

    assert (upheld.status_code, upheld.get_json()["errors"][0]["pointer"]) == (422, f"/{missing}")
    assert handle(office, raised, "close", merits="not_upheld").status_code == 200


def test_what_nobody_resolved_cannot_be_closed(office: Office) -> None:
    raised = taken_over(office)

    answer = handle(office, raised, "close", merits="not_upheld")

    assert (answer.status_code, slug(answer)) == (409, "complaint-not-resolved")


def test_the_history_says_who_did_what_and_in_whose_words(office: Office) -> None:
    raised = taken_over(office)

    handle(office, raised, "events", kind="contacted", text="已电话致歉")
    resolve(office, raised)

    events = read(office, raised)["events"]
    assert [one["kind"] for one in events] == ["raised", "taken_over", "contacted", "resolved"]
    assert events[0]["by"] == str(office.person(Role.DISPATCHER).staff.id)
    assert (events[2]["text"], events[2]["by"]) == (
        "已电话致歉",
        str(office.person(Role.SUPERVISOR).staff.id),
    )
    written = db.session.execute(sa.text("SELECT text FROM casework_events WHERE text IS NOT NULL")).scalars()
    assert not any("致歉".encode() in bytes(text) for text in written)


def test_a_line_of_the_history_is_about_one_thing(office: Office) -> None:
    complain(office)

    with pytest.raises(IntegrityError), transaction() as session:
        session.execute(sa.update(CaseworkEvent).values(complaint_id=None))


def test_complaints_come_in_pages_and_by_state_level_and_case(office: Office) -> None:
    case = a_case()
    raised = [complain(office), complain(office, case, level="minor"), complain(office)]
    handle(office, raised[2], "takeover")
    desk = office.person(Role.DISPATCHER)

    def listed(query: str) -> list[str]:
        return [one["id"] for one in desk.get(f"/api/v1/complaints?{query}").get_json()["complaints"]]

    first = desk.get("/api/v1/complaints?limit=2").get_json()
    assert listed(f"limit=2&after={first['next']}") == [raised[2]["id"]]
    assert listed("state=taken_over") == [raised[2]["id"]]
    assert listed("level=minor") == listed(f"case_id={case.id}") == [raised[1]["id"]]


def test_a_hold_for_a_complaint_has_a_complaint_to_take_over(office: Office) -> None:
    case = a_case()

    for _ in range(2):
        office.ask(f"/cases/{case.id}/holds", {"reason": "complaint", "note": WORDS})

    complaint = db.session.scalars(sa.select(Complaint)).one()
    assert (complaint.text, complaint.state, complaint.case_id) == (WORDS, "open", case.id)
