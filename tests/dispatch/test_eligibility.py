"""Which cases may be visited on a day? Set-based, and the same as judging one by one."""

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from server.database import db, transaction
from server.models.cases import Address, Contact, Debtor
from server.models.people import Absence, Qualification
from server.rules import pack as packs
from server.rules.local_time import at_local
from server.rules.situations import DayAnswer, day_visit, on_day
from server.workflows import eligibility_pages
from server.workflows.calendar import publish_year
from server.workflows.case_facts import load_case_facts
from server.workflows.dispatch import assign
from server.workflows.eligibility import Answer, which_cases, who
from sync.door import RULE_OF_STOP
from tests.builders import a_contact, a_handset, a_ledger_entry, a_visitor, an_address
from tests.crowd import a_crowd
from tests.office import NOW, Office, a_door, a_team, a_wish, china

TOMORROW = date(2026, 11, 24)
HOUSE = packs.load("cn.house", TOMORROW)
ONE_HOUR = timedelta(hours=1)


def best_address(case_id: UUID) -> UUID | None:
    """The address a person would take: one that may be visited, then one with a point, then the oldest."""
    rows = db.session.execute(
        sa.select(Address, Contact)
        .outerjoin(Contact, Contact.id == Address.contact_id)
        .where(Address.case_id == case_id)
    ).all()
    return min(
        (
            (
                not (a.status == "verified" and (k is None or (k.liable and not k.stop_contact))),
                a.latitude is None,
                a.id,
            )
            for a, k in rows
        ),
        default=(None, None, None),
    )[2]


def one_by_one(
    case_id: UUID, day: date, *, now: datetime = NOW, duration: timedelta = ONE_HOUR
) -> tuple[UUID | None, DayAnswer]:
    """Judge a single case with all its own facts."""
    address_id = best_address(case_id)
    opens = at_local(day, HOUSE.window_opens, HOUSE.zone)
    facts = load_case_facts(case_id=case_id, address_id=address_id, team=(), around=opens, now=now)
    wanted = day_visit(
        day, now=now, duration=duration, pack=HOUSE, case_id=case_id, address_id=address_id or case_id
    )
    return address_id, on_day(wanted, facts, HOUSE)


def said(address_id: UUID | None, answer: Answer | DayAnswer) -> tuple[Any, ...]:
    reasons = sorted((r.rule, r.slug, r.severity, r.quotation, str(r.allowed_from)) for r in answer.reasons)
    return (
        address_id,
        answer.status,
        answer.first_start,
        answer.allowed_from,
        answer.budget_left,
        answer.evidence_entry_id,
        reasons,
    )


@pytest.mark.parametrize("day", [date(2026, 11, 23), TOMORROW, date(2026, 11, 29)])
def test_two_thousand_cases_are_judged_as_one_by_one(office: Office, day: date):
    seed = 20261124
    print(f"seed {seed}")
    ids = a_crowd(700, seed=seed + day.toordinal(), now=NOW)

    answers = list(which_cases(day=day, now=NOW, pack=HOUSE, case_ids=ids))

    assert [answer.case_id for answer in answers] == sorted(ids)
    for answer in answers:
        assert said(answer.address_id, answer) == said(*one_by_one(answer.case_id, day))
    statuses = Counter(answer.status for answer in answers)
    rules = {reason.rule for answer in answers for reason in answer.reasons}
    assert min(statuses[status] for status in ("may", "approval", "blocked")) > 20
    assert rules >= {"A1", "A2", "A3", "A4", "A5", "A6", "A9", "A15", "A18", "B18", "C4", "D18", "D23", "D24"}
    assert len(rules & set(RULE_OF_STOP.values())) > 5


@pytest.mark.parametrize(
    ("day", "now", "hours", "rule"),
    [
        (date(2027, 1, 1), NOW, 1, "A12"),
        (date(2028, 1, 5), NOW, 1, "X6"),
        (date(2026, 11, 23), china("2026-11-23 20:15"), 0.5, "T2"),
        (date(2026, 11, 23), china("2026-11-23 19:45"), 1.5, "T1"),
        (TOMORROW, NOW, 13.5, "T1"),
    ],
)
def test_days_and_hours_nobody_may_visit_are_judged_as_one_by_one(
    office: Office, day: date, now: datetime, hours: float, rule: str
):
    publish_year(2027, days={date(2027, 1, 1): ("holiday", "New Year")}, notice="a test", now=NOW)
    ids = a_crowd(60, seed=day.toordinal(), now=NOW)
    length = timedelta(hours=hours)

    answers = list(which_cases(day=day, now=now, pack=HOUSE, case_ids=ids, duration=length))

    for answer in answers:
        alone = one_by_one(answer.case_id, day, now=now, duration=length)
        assert said(answer.address_id, answer) == said(*alone)
        assert answer.status == "blocked"
        assert rule in {reason.rule for reason in answer.reasons}


def test_all_open_cases_are_asked_about_when_none_is_named(office: Office):
    open_ones = [a_door().case.id for _ in range(3)]
    a_door(state="closed")

    answers = list(which_cases(day=TOMORROW, now=NOW, pack=HOUSE))

    assert [answer.case_id for answer in answers] == sorted(open_ones)
    assert {answer.status for answer in answers} == {"may"}
    assert {answer.first_start for answer in answers} == {china("2026-11-24 08:00")}


def test_a_page_goes_on_where_the_last_one_ended(office: Office):
    ids = sorted(a_door().case.id for _ in range(4))

    rest = [answer.case_id for answer in which_cases(day=TOMORROW, now=NOW, pack=HOUSE, after=ids[1])]

    assert rest == ids[2:]


def test_only_the_named_client_s_cases_are_asked_about(office: Office):
    mine, _ = a_door(), a_door()

    answers = which_cases(day=TOMORROW, now=NOW, pack=HOUSE, client_id=mine.case.client_id)

    assert [answer.case_id for answer in answers] == [mine.case.id]


def test_today_begins_now_and_not_when_the_window_opened(office: Office):
    door = a_door()

    (answer,) = which_cases(day=NOW.date(), now=NOW, pack=HOUSE)

    assert (answer.case_id, answer.first_start) == (door.case.id, NOW)


def test_a_hardship_week_that_ends_at_noon_frees_the_afternoon(office: Office):
    door = a_door(hardship=("pregnancy",))
    a_ledger_entry(door.case, channel="visit", at=china("2026-11-17 12:00"))

    (answer,) = which_cases(day=TOMORROW, now=NOW, pack=HOUSE)

    assert (answer.status, answer.first_start) == ("may", china("2026-11-24 12:00"))


def test_another_team_in_the_morning_leaves_the_hours_after_it(office: Office):
    door = a_door()
    other = a_door(debtor=db.session.get_one(Debtor, door.case.debtor_id))
    assign(a_wish(door, *a_team(), start="2026-11-24 08:00", hours=1.5), actor=office.actor(), now=NOW)

    answers = list(which_cases(day=TOMORROW, now=NOW, pack=HOUSE))

    assert {answer.case_id for answer in answers} == {door.case.id, other.case.id}
    for answer in answers:
        assert (answer.status, answer.first_start) == ("may", china("2026-11-24 09:30"))
        assert said(answer.address_id, answer) == said(*one_by_one(answer.case_id, TOMORROW))


def test_what_is_blocked_says_since_which_rule_and_from_when(office: Office):
    door = a_door()
    for hour in (9, 14):
        wish = a_wish(door, *a_team(), start=f"2026-11-24 {hour:02}:00")
        assign(wish, actor=office.actor(), now=NOW)

    (answer,) = which_cases(day=TOMORROW, now=NOW, pack=HOUSE)

    assert (answer.status, answer.first_start, answer.budget_left) == ("blocked", None, 0)
    assert [reason.rule for reason in answer.reasons] == ["A3"]
    assert answer.allowed_from == china("2026-11-25 08:00")


def test_of_several_addresses_the_one_that_may_be_visited_is_judged(office: Office):
    door = a_door()
    with transaction() as session:
        session.get_one(Address, door.address.id).status = "invalid"
    refused = a_contact(door.case, liable=True, stop_contact=True)
    an_address(door.case, contact_id=refused.id)
    good = an_address(door.case)

    (answer,) = which_cases(day=TOMORROW, now=NOW, pack=HOUSE)

    assert (answer.address_id, answer.status) == (good.id, "may")


def test_the_number_of_statements_does_not_grow_with_the_cases(office: Office):
    counted: list[int] = []
    for _ in range(2):
        a_crowd(60, seed=len(counted), now=NOW)
        statements = 0

        def count(*_: Any) -> None:
            nonlocal statements
            statements += 1

        event.listen(db.engine, "before_cursor_execute", count)
        list(which_cases(day=TOMORROW, now=NOW, pack=HOUSE))
        event.remove(db.engine, "before_cursor_execute", count)
        counted.append(statements)

    assert counted[0] == counted[1] < 10


def test_every_page_is_planned_for_its_own_cases(office: Office, monkeypatch: pytest.MonkeyPatch):
    """PostgreSQL would try one plan for all after ten pages, and it is many times slower."""
    monkeypatch.setattr(eligibility_pages, "PAGE", 2)
    monkeypatch.setattr(eligibility_pages, "FIRST_PAGE", 2)
    a_crowd(60, seed=3, now=NOW)
    planned: list[tuple[int, int]] = []

    def look(connection: sa.Connection) -> None:
        of_pages = "FROM pg_prepared_statements WHERE position('json_build_array' IN statement) > 0"
        row = connection.exec_driver_sql(f"SELECT sum(custom_plans), sum(generic_plans) {of_pages}").one()
        planned.append((row[0], row[1]))

    event.listen(db.engine, "rollback", look)
    list(which_cases(day=TOMORROW, now=NOW, pack=HOUSE))
    event.remove(db.engine, "rollback", look)

    of_both = [each for each in planned if each != (None, None)]  # cases and debtors are read side by side
    assert max(own for own, _ in of_both) > 20
    assert sum(for_all for _, for_all in of_both) == 0


def test_who_can_go_and_when_each_is_free(office: Office, app: Flask):
    lead, second = a_team()
    trainee = a_visitor(qualified=False)
    without_phone = a_visitor()
    gone = a_visitor(left_at=NOW)
    assign(a_wish(a_door(), lead, second, start="2026-11-24 10:00"), actor=office.actor(), now=NOW)
    leave = Absence(
        staff_id=second.id,
        kind="leave",
        starts_at=china("2026-11-24 13:00"),
        ends_at=china("2026-11-26 00:00"),
    )
    with transaction() as session:
        session.add(leave)

    visitors = {visitor.staff_id: visitor for visitor in who(day=TOMORROW, now=NOW, pack=HOUSE)}

    assert gone.id not in visitors
    opens, closes = china("2026-11-24 08:00"), china("2026-11-24 21:00")
    assert visitors[lead.id].free == (
        (opens, china("2026-11-24 10:00")),
        (china("2026-11-24 11:00"), closes),
    )
    assert visitors[second.id].free == (
        (opens, china("2026-11-24 10:00")),
        (china("2026-11-24 11:00"), china("2026-11-24 13:00")),
    )
    assert [visitors[one.id].can_lead for one in (lead, without_phone, trainee)] == [True, False, False]
    assert not visitors[trainee.id].is_trainee
    assert visitors[lead.id].is_free(china("2026-11-24 11:00"), china("2026-11-24 21:00"))
    assert not visitors[lead.id].is_free(china("2026-11-24 09:30"), china("2026-11-24 10:30"))


def test_a_trainee_with_a_signed_nda_can_be_the_second_member(office: Office):
    trainee = a_visitor(qualified=False)
    with transaction() as session:
        session.add(Qualification(staff_id=trainee.id, kind="nda", obtained_on=date(2026, 1, 5)))
    a_handset(trainee)

    (visitor,) = who(day=TOMORROW, now=NOW, pack=HOUSE)

    assert (visitor.is_trainee, visitor.is_qualified, visitor.can_lead) == (True, False, False)
