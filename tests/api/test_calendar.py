"""From a pasted notice to the calendar everybody is judged by: two people, and no visit left on a holiday."""

from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.jobs import run_worker
from server.models.cases import LedgerEntry
from server.models.dispatch import Assignment
from server.workflows.calendar import published_days, seed_calendar
from server.workflows.case_facts import load_calendar
from server.workflows.provisional import calendar_alarm, envelope, foresee, statutory_days
from tests.builders import a_ledger_entry
from tests.intake.test_holiday_notice import OF_2026
from tests.office import NOW, Office, a_body, a_door, a_team

BANNED = date(2026, 11, 26)
AMENDED = OF_2026 + "八、纪念日:11月26日(周四)放假1天。\n"
# In the style of the notices; 2027's own was not published when this was written.
OF_2027 = """
一、元旦:2026年12月31日(周四)至2027年1月2日(周六)放假调休,共3天。
二、春节:2月5日(周五)至11日(周四)放假调休,共7天。
三、清明节:4月3日(周六)至5日(周一)放假,共3天。
四、劳动节:5月1日(周六)至5日(周三)放假调休,共5天。5月8日(周六)上班。
五、端午节:6月9日(周三)放假1天。
六、中秋节:9月15日(周三)放假1天。
七、国庆节:10月1日(周五)至7日(周四)放假调休,共7天。9月26日(周日)、10月9日(周六)上班。
"""


def entered(office: Office, text: str, *, year: int = 2026, **more: Any) -> dict[str, Any]:
    body = {"year": year, "reference": "国办发明电〔2025〕7号", "text": text, **more}
    answer = office.ask("/calendar/notices", body, by=Role.ADMIN)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()


def approved(office: Office, notice: dict[str, Any], *, by: Role = Role.SUPERVISOR) -> dict[str, Any]:
    answer = office.ask(f"/calendar/notices/{notice['id']}/approve", {}, by=by)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def test_a_notice_counts_when_a_second_person_approved_it(office: Office):
    notice = entered(office, OF_2026)
    assert not load_calendar(2026, 2026).is_holiday(date(2026, 2, 17))

    approved(office, notice)

    calendar = load_calendar(2026, 2026)
    assert calendar.is_holiday(date(2026, 2, 17))
    assert date(2026, 2, 28) in calendar.makeup
    versions = office.person(Role.AUDITOR).get("/api/v1/calendar/2026/versions").get_json()["years"]
    assert [one["version"] for one in versions] == [1, 2]


def test_nobody_approves_what_they_entered(office: Office):
    notice = entered(office, OF_2026)

    answer = office.ask(f"/calendar/notices/{notice['id']}/approve", {}, by=Role.ADMIN)

    assert (answer.status_code, answer.get_json()["type"].rsplit("/")[-1]) == (403, "second-person-needed")


def test_a_notice_is_decided_once(office: Office):
    notice = entered(office, OF_2026)
    rejected = office.ask(
        f"/calendar/notices/{notice['id']}/reject", {"reason": "wrong year"}, by=Role.SUPERVISOR
    )

    again = office.ask(f"/calendar/notices/{notice['id']}/approve", {}, by=Role.SUPERVISOR)

    assert rejected.get_json()["state"] == "rejected"
    assert again.status_code == 409
    assert not load_calendar(2026, 2026).is_holiday(date(2026, 2, 17))


def test_an_amendment_takes_back_the_visits_of_the_days_it_bans(office: Office):
    approved(office, entered(office, OF_2026))
    kept, lost = (
        office.ask("/assignments", a_body(a_door(), *a_team(), start=f"{day} 10:00")).get_json()["id"]
        for day in (BANNED - timedelta(days=1), BANNED)
    )

    shown = entered(office, AMENDED, is_dry_run=True)["effect"]
    done = approved(office, entered(office, AMENDED))["effect"]

    assert shown == done
    assert (done["newly_banned"], done["assignments"]) == ([BANNED.isoformat()], [lost])
    states = {name: db.session.get_one(Assignment, name).state for name in (kept, lost)}
    assert states == {kept: "issued", lost: "cancelled"}


@pytest.mark.parametrize(("received_on", "stands"), [(16, True), (17, False)])
def test_an_amendment_takes_back_a_visit_whose_letter_has_not_ripened_any_more(
    app: Flask, office: Office, received_on: int, stands: bool
):
    """The seventh working day after the 16th is the 25th, that after the 17th is the day it bans."""
    approved(office, entered(office, OF_2026))
    door = a_door()
    with transaction() as session:
        of_letters = (LedgerEntry.case_id == door.case.id, LedgerEntry.channel == "letter")
        session.execute(sa.delete(LedgerEntry).where(*of_letters))
    a_ledger_entry(door.case, channel="letter", at=NOW, received_on=date(2026, 11, received_on))
    body = a_body(door, *a_team(), start=f"{BANNED + timedelta(days=1)} 10:00")
    visit = office.ask("/assignments", body).get_json()["id"]

    approved(office, entered(office, AMENDED))
    run_worker(app, until_idle=True)

    stored = db.session.get_one(Assignment, visit, populate_existing=True)
    taken_back = ("cancelled", "no longer allowed: A15 ground-not-reached")
    assert (stored.state, stored.ended_reason) == (("issued", "") if stands else taken_back)


def test_a_dry_run_stores_nothing(office: Office):
    shown = entered(office, AMENDED, is_dry_run=True)

    assert BANNED.isoformat() in shown["effect"]["newly_banned"]
    listed = office.person(Role.ADMIN).get("/api/v1/calendar/notices").get_json()
    assert listed == {"notices": [], "next": None}


def test_new_year_s_days_of_december_are_added_to_their_own_year(office: Office):
    approved(office, entered(office, OF_2026))

    approved(office, entered(office, OF_2027, year=2027))

    calendar = load_calendar(2026, 2027)
    assert calendar.is_holiday(date(2026, 12, 31)) and calendar.is_holiday(date(2027, 1, 2))
    assert calendar.is_holiday(date(2026, 10, 1))
    assert calendar.is_working_day(date(2027, 1, 4))


def test_an_amendment_keeps_the_december_days_that_the_next_year_s_notice_marked(office: Office):
    approved(office, entered(office, OF_2026))
    approved(office, entered(office, OF_2027, year=2027))

    done = approved(office, entered(office, AMENDED))["effect"]

    assert (done["newly_banned"], done["newly_permitted"]) == ([BANNED.isoformat()], [])
    assert load_calendar(2026, 2026).is_holiday(date(2026, 12, 31))


def test_an_amendment_takes_back_the_december_days_that_its_forerunner_marked(office: Office):
    approved(office, entered(office, OF_2026))
    approved(office, entered(office, OF_2027, year=2027))
    later = OF_2027.replace("2026年12月31日(周四)至2027年1月2日(周六)放假调休,共3天", "1月1日(周五)放假1天")

    done = approved(office, entered(office, later, year=2027))["effect"]

    assert done["newly_permitted"] == ["2026-12-31", "2027-01-02"]
    calendar = load_calendar(2026, 2027)
    assert calendar.is_holiday(date(2026, 10, 1)) and calendar.is_holiday(date(2027, 1, 1))
    assert not calendar.is_holiday(date(2026, 12, 31))


def test_what_was_only_foreseen_of_december_gives_way_to_the_notice(office: Office):
    foresee(now=NOW)

    approved(office, entered(office, OF_2027, year=2027))

    assert not load_calendar(2027, 2027).is_holiday(date(2027, 12, 31))


def of_2028(new_year: str) -> list[dict[str, str]]:
    """A notice of 2028 day by day: the days by law, and these of its New Year's break."""
    days = {day.isoformat(): name for day, name in statutory_days(2028).items()} | {new_year: "元旦"}
    return [{"day": day, "kind": "holiday", "name": name} for day, name in days.items()]


def test_a_notice_out_of_turn_does_not_publish_the_year_before_by_its_december(office: Office):
    foresee(now=NOW)
    body = {"year": 2028, "reference": "2028", "days": of_2028("2027-12-31")}
    notice = office.ask("/calendar/notices", body, by=Role.ADMIN).get_json()

    early = office.ask(f"/calendar/notices/{notice['id']}/approve", {}, by=Role.SUPERVISOR)
    foreseen = load_calendar(2027, 2028)
    approved(office, entered(office, OF_2027, year=2027))
    approved(office, notice)

    assert (early.status_code, early.get_json()["type"]) == (409, "/problems/notice-out-of-turn")
    assert early.get_json()["missing"] == 2027
    assert not foreseen.published and foreseen.is_holiday(date(2027, 10, 1))
    calendar = load_calendar(2027, 2028)
    assert calendar.published == {2027, 2028}
    assert calendar.is_holiday(date(2027, 12, 31)) and calendar.is_holiday(date(2027, 10, 1))


def test_a_notice_that_marks_only_its_own_year_waits_for_no_other(office: Office):
    foresee(now=NOW)
    body = {"year": 2028, "reference": "2028", "days": of_2028("2028-01-02")}
    notice = office.ask("/calendar/notices", body, by=Role.ADMIN).get_json()

    approved(office, notice)

    assert load_calendar(2027, 2028).published == {2028}


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"text": OF_2026.replace("共7天", "共8天")}, "/text", "国庆节: Says 8 days and names 7"),
        ({"text": OF_2026.replace("10月1日(周四)", "10月1日(周五)")}, "/text", "not a 周五"),
        (
            {"text": OF_2026.replace("五、端午节:6月19日(周五)至21日(周日)放假,共3天。", "")},
            "/text",
            "Dragon Boat",
        ),
        ({"days": [{"day": "2026-11-26", "kind": "makeup"}]}, "/days", "worked anyway"),
        ({"days": [{"day": "2026-02-30", "kind": "holiday"}]}, "/days/0/day", "Must be a day"),
        ({"days": [{"day": "2026-10-01", "kind": "holiday", "name": n} for n in "ab"]}, "/days", "twice"),
        ({"days": [{"day": "2027-10-01", "kind": "holiday"}]}, "/days", "lie in 2026"),
        ({"text": "一、", "days": [{"day": "2026-10-01", "kind": "holiday"}]}, "/text", "not both"),
        ({}, "/text", "not both"),
    ],
)
def test_a_faulty_notice_is_refused_with_place_and_reason_and_the_calendar_stands(
    office: Office, body: dict[str, Any], pointer: str, words: str
):
    before = load_calendar(2026, 2026)

    answer = office.ask("/calendar/notices", {"year": 2026, "reference": "x", **body}, by=Role.ADMIN)

    faults = answer.get_json()["errors"]
    assert answer.status_code == 422
    assert any(fault["pointer"] == pointer and words in fault["detail"] for fault in faults), faults
    assert load_calendar(2026, 2026) == before


def test_coming_years_are_provisional_until_their_notice_is_approved(office: Office):
    assert foresee(now=NOW) == [2027, 2028]
    assert foresee(now=NOW) == []
    foreseen = load_calendar(2027, 2027)
    assert foreseen.is_holiday(date(2027, 2, 6)) and not foreseen.published

    approved(office, entered(office, OF_2027, year=2027))

    published = load_calendar(2027, 2027)
    assert published.published == {2027}
    assert not published.is_holiday(date(2027, 2, 12))


def test_a_provisional_year_never_permits_a_visit(office: Office):
    foresee(now=NOW)

    answer = office.ask("/assignments", a_body(a_door(), *a_team(), start="2027-03-02 10:00"))

    assert answer.status_code == 409
    assert "X6" in {reason["rule"] for reason in answer.get_json()["reasons"]}


def test_the_envelope_covers_every_break_since_2010_but_one(office: Office):
    """The parade of September 2015 was one of a kind."""
    shipped = {day for day, kind, _ in published_days() if kind == "holiday" and 2010 <= day.year <= 2026}

    missed = {day for day in shipped if day not in envelope(day.year)}

    assert missed == {date(2015, 9, 4), date(2015, 9, 5)}
    assert all(40 <= len(envelope(year)) <= 52 for year in range(2010, 2027))


@pytest.mark.parametrize(
    ("today", "published", "alarm"),
    [
        ("2026-10-31", {2026}, "none"),
        ("2026-11-01", {2026}, "notice"),
        ("2026-11-30", {2026}, "notice"),
        ("2026-12-01", {2026}, "urgent"),
        ("2026-12-24", {2026}, "urgent"),
        ("2026-12-25", {2026}, "blocking"),
        ("2026-12-25", {2026, 2027}, "none"),
        ("2026-05-01", {2025}, "blocking"),
    ],
)
def test_a_missing_notice_alarms_louder_every_month(today: str, published: set[int], alarm: str):
    assert calendar_alarm(date.fromisoformat(today), published=frozenset(published)) == alarm


def test_the_alarm_is_shown_with_the_calendar(office: Office):
    shown = office.person(Role.DISPATCHER).get("/api/v1/calendar").get_json()

    assert shown["alarm"] == "notice"
    assert [(one["year"], one["status"]) for one in shown["years"]] == [(2026, "published")]


def test_the_calendar_of_another_country_is_its_own(app: Flask):
    seed_calendar(now=NOW, region="AU")

    calendar = load_calendar(2026, 2026)

    assert calendar.is_holiday(date(2026, 1, 26))
    assert not calendar.is_holiday(date(2026, 10, 1))
    assert calendar.makeup == frozenset()
