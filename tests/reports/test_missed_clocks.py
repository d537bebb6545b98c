"""Clocks that were missed: written down in the evening, put down to somebody, paged."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from server.authority import Role
from server.database import db, transaction
from server.models.assessments import MissedClock
from server.models.deadlines import CaseClock
from server.models.people import Staff
from server.workflows import missed_clocks
from tests.builders import a_visitor
from tests.office import Office, china
from tests.reports.closing import OCTOBER, close, read, slug
from tests.reports.stage import a_clock


def missed_now() -> list[tuple[str, str]]:
    rows = db.session.execute(sa.select(MissedClock.rule, MissedClock.because).order_by(MissedClock.rule))
    return [(rule, because) for rule, because in rows]


def test_deadlines_that_passed_are_written_down_in_the_evening(office: Office) -> None:
    a_clock("F1", state="missed")
    a_clock("F2", state="met", because="late")
    a_clock("F4", state="running", due="2026-10-15 21:00")
    a_clock("F1", state="running", due="2026-10-16 21:00")
    a_clock("F2", state="met")
    a_clock("F1", state="missed", is_provisional=True)
    a_clock("F6", state="missed")

    missed_clocks.write_down(now=china("2026-10-15 23:50"))
    missed_clocks.write_down(now=china("2026-10-15 23:50"))

    assert missed_now() == [("F1", ""), ("F2", "late"), ("F4", "")]


def test_a_missed_clock_outlives_its_case_and_goes_when_it_was_met_in_time_after_all(office: Office) -> None:
    closed, proven = a_clock("F1"), a_clock("F2")
    missed_clocks.write_down(now=china("2026-10-15 23:50"))
    with transaction() as session:
        session.execute(sa.delete(CaseClock).where(CaseClock.case_id == closed.case_id))
        session.execute(sa.update(CaseClock).where(CaseClock.case_id == proven.case_id).values(state="met"))

    missed_clocks.write_down(now=china("2026-10-16 23:50"))

    assert missed_now() == [("F1", "")]


@pytest.mark.parametrize("stopped", ["suspended", "capped"])
def test_a_stop_after_the_deadline_excuses_nothing(office: Office, stopped: str) -> None:
    """Else whoever missed it had only to hold the case until the month was closed."""
    before, put_off = a_clock("F1"), a_clock("F2")
    missed_clocks.write_down(now=china("2026-10-15 23:50"))
    with transaction() as session:
        session.execute(sa.update(CaseClock).values(state=stopped, because="hold: other"))
        later = {"due_at": china("2026-10-20 21:00")}  # days on which a hold stood do not count
        session.execute(sa.update(CaseClock).where(CaseClock.case_id == put_off.case_id).values(later))

    missed_clocks.write_down(now=china("2026-10-16 23:50"))

    assert before.rule == "F1"
    assert missed_now() == [("F1", "")]


def test_a_missed_clock_is_nobodys_until_a_supervisor_puts_it_down_to_somebody(office: Office) -> None:
    visitor = a_visitor()
    clock = a_clock("F1")
    missed_clocks.write_down(now=china("2026-10-15 23:50"))
    path = f"{OCTOBER}/missed-clocks"
    before = read(office)

    [row] = read(office, path, unattributed=True)["clocks"]
    body = {name: row[name] for name in ("case_id", "rule", "opened_on")} | {"staff_id": str(visitor.id)}
    put = office.person(Role.SUPERVISOR).put(path, json=body)
    person = read(office, f"{OCTOBER}/people/{visitor.id}")
    close(office)
    too_late = office.person(Role.SUPERVISOR).put(path, json=body | {"staff_id": None})

    assert (before["days_looked"], len(before["unattributed_clocks"])) == (1, 1)
    assert (put.status_code, person["counted"], person["proposals"]) == (200, 1, [])
    assert read(office)["unattributed_clocks"] == []
    assert (row["case_id"], row["due_on"]) == (str(clock.case_id), "2026-10-15")
    assert (too_late.status_code, slug(too_late)) == (409, "month-closed")


def test_a_missed_clock_is_not_hidden_behind_somebody_who_was_not_there(office: Office) -> None:
    clock, people = a_clock("F1"), [a_visitor() for _ in range(3)]
    missed_clocks.write_down(now=china("2026-10-15 23:50"))
    with transaction() as session:
        for person, facts in zip(
            people,
            (
                {"left_at": china("2026-09-30 23:59")},
                {"joined_on": china("2026-10-16 12:00").date()},
                {"left_at": china("2026-10-01 00:00"), "joined_on": china("2026-10-15 12:00").date()},
            ),
            strict=True,
        ):
            session.execute(sa.update(Staff).where(Staff.id == person.id).values(facts))

    body = {"case_id": str(clock.case_id), "rule": "F1", "opened_on": clock.opened_on.isoformat()}
    gone, later, there = (
        office.person(Role.SUPERVISOR).put(
            f"{OCTOBER}/missed-clocks", json=body | {"staff_id": str(person.id)}
        )
        for person in people
    )

    assert [(one.status_code, slug(one)) for one in (gone, later)] == [(409, "not-here-then")] * 2
    assert there.status_code == 200


def test_missed_clocks_are_paged(office: Office) -> None:
    for rule in ("F1", "F2", "F4"):
        a_clock(rule)
    missed_clocks.write_down(now=china("2026-10-15 23:50"))

    first = read(office, f"{OCTOBER}/missed-clocks", limit=2)
    rest = read(office, f"{OCTOBER}/missed-clocks", limit=2, after=first["next"])

    assert len(first["clocks"]) == 2
    assert (len(rest["clocks"]), rest["next"]) == (1, None)
    assert not {one["case_id"] for one in first["clocks"]} & {one["case_id"] for one in rest["clocks"]}


def test_a_case_opened_again_before_its_deadline_is_on_a_page_for_each_opening(office: Office) -> None:
    clock = a_clock("F1")
    openings = [clock.opened_on, clock.opened_on + timedelta(days=1)]
    for opened_on in openings:
        with transaction() as session:
            again = sa.update(CaseClock).where(CaseClock.case_id == clock.case_id)
            session.execute(again.values(opened_on=opened_on))
        missed_clocks.write_down(now=china("2026-10-15 23:50"))

    first = read(office, f"{OCTOBER}/missed-clocks", limit=1)
    rest = read(office, f"{OCTOBER}/missed-clocks", limit=1, after=first["next"])

    shown = [one["opened_on"] for page in (first, rest) for one in page["clocks"]]
    assert shown == [day.isoformat() for day in openings]
