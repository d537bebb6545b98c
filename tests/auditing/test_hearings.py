"""The right of reply: the phone is told at its next sync, answers with a signed item, and has its time."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask import Flask

from server.auditing.hearing import Terms, current_terms, hearing_ends, reply_due, was_heard
from server.authority import Actor, Role
from server.database import db, transaction
from server.models.findings import FindingReply, Hearing, HearingTelling
from server.models.people import Staff
from server.models.visits import Item
from server.rules.calendar import Calendar
from server.workflows.auditing.hearings import clear_hearings, tell_phones
from server.workflows.exchange.pulling import pull
from sync.phone import Phone
from sync.protocol import uuid7
from tests.auditing.builders import a_judged_visit, decide, look_again, the_finding
from tests.builders import Person, a_visitor, now
from tests.phones import a_phone, office

CHINA = ZoneInfo("Asia/Shanghai")
SERIOUS = ("evidence-missing", "serious", 1.0)


def sync(app: Flask, phone: Phone) -> None:
    with office(app) as http:
        phone.sync(http)


def outcome_of(phone: Phone) -> dict[str, Any]:
    return phone.outbox.outcomes()[-1]


def replies() -> list[tuple[UUID, str, bool]]:
    db.session.rollback()
    rows = db.session.execute(
        sa.select(FindingReply.staff_id, FindingReply.text, FindingReply.in_time).order_by(FindingReply.id)
    )
    return [(row.staff_id, row.text, row.in_time) for row in rows]


def test_a_confirmed_finding_reaches_the_phone_and_its_reply_is_attached(
    app: Flask, phone: Phone, visitor: Staff, auditor: Person
) -> None:
    visit_id = a_judged_visit(visitor, SERIOUS)
    finding = the_finding(visit_id)
    sync(app, phone)
    assert phone.findings() == []
    decide(auditor, finding, "confirmed", "no photo of the badge")

    sync(app, phone)
    (told,) = phone.findings()
    phone.reply(told, "手机没电了,照片在另一台手机上。")
    sync(app, phone)

    assert (told["id"], told["visit_id"]) == (str(finding), str(visit_id))
    assert (told["check"], told["rule"], told["reason"]) == (
        "evidence-missing",
        "C14",
        "no photo of the badge",
    )
    assert (told["state"], told["has_reply"]) == ("stands", False)
    assert outcome_of(phone)["outcome"] == "applied"
    assert replies() == [(visitor.id, "手机没电了,照片在另一台手机上。", True)]
    assert phone.findings()[0]["has_reply"] is True
    file = auditor.get(f"/api/v1/findings/{finding}").get_json()
    assert [one["text"] for one in file["replies"]] == ["手机没电了,照片在另一台手机上。"]


def test_an_overturned_finding_says_so_on_the_phone(
    app: Flask, phone: Phone, visitor: Staff, auditor: Person, supervisor: Person
) -> None:
    finding = the_finding(a_judged_visit(visitor, SERIOUS))
    decide(auditor, finding)
    sync(app, phone)
    before = [one["state"] for one in phone.findings()]

    look_again(supervisor, finding, "overturned")
    sync(app, phone)

    assert (before, [one["state"] for one in phone.findings()]) == (["stands"], ["overturned"])


def test_only_whoever_it_was_told_may_reply(
    app: Flask, phone: Phone, visitor: Staff, auditor: Person, tmp_path: Path
) -> None:
    finding = the_finding(a_judged_visit(a_visitor(), SERIOUS))
    decide(auditor, finding)

    for finding_id in (finding, uuid7()):
        phone.reply({"id": str(finding_id), "visit_id": str(uuid7())}, "not mine")
        sync(app, phone)
        assert outcome_of(phone)["outcome"] == "quarantined"

    problems = db.session.scalars(sa.select(Item.problem).where(Item.type == "finding.replied")).all()
    assert [problem["slug"] for problem in problems if problem] == ["finding-unknown"] * 2
    assert replies() == []
    assert phone.findings() == []


def test_both_of_a_team_are_told_and_each_may_reply(
    app: Flask, phone: Phone, visitor: Staff, auditor: Person, tmp_path: Path
) -> None:
    partner = a_visitor()
    other = a_phone(partner, tmp_path / "other")
    finding = the_finding(a_judged_visit(visitor, SERIOUS, team=[partner]))
    decide(auditor, finding)

    for handset in (phone, other):
        sync(app, handset)
        handset.reply(handset.findings()[0], "we were both there")
        sync(app, handset)
    other.close()

    assert {staff_id for staff_id, _, _ in replies()} == {visitor.id, partner.id}


def test_a_reply_written_after_the_deadline_is_attached_and_flagged(
    app: Flask, phone: Phone, visitor: Staff, auditor: Person
) -> None:
    finding = the_finding(a_judged_visit(visitor, SERIOUS))
    decide(auditor, finding)
    sync(app, phone)
    with transaction() as session:
        past = {"opened_at": now() - timedelta(days=9), "due_at": now() - timedelta(days=1)}
        session.execute(sa.update(Hearing).values(past))

    phone.reply(phone.findings()[0], "sorry, late")
    sync(app, phone)

    assert replies() == [(visitor.id, "sorry, late", False)]
    assert outcome_of(phone)["flags"] == ["reply_late"]


def test_long_after_the_deadline_the_phone_forgets_it(
    app: Flask, phone: Phone, visitor: Staff, auditor: Person
) -> None:
    finding = the_finding(a_judged_visit(visitor, SERIOUS))
    decide(auditor, finding)
    sync(app, phone)
    due_at = db.session.scalars(sa.select(Hearing.due_at)).one()  # long after the visitor's own
    on_phone = current_terms().on_phone_after_due

    clear_hearings(now=due_at + on_phone - timedelta(seconds=1))
    sync(app, phone)
    kept = len(phone.findings())
    clear_hearings(now=due_at + on_phone)
    sync(app, phone)

    assert (kept, len(phone.findings())) == (1, 0)


@pytest.mark.parametrize(
    ("opened", "due"),
    [
        # Monday 23 November 2026: Tuesday, Wednesday, Thursday.
        (datetime(2026, 11, 23, 2, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=CHINA)),
        # Friday evening: Monday, Tuesday, Wednesday.
        (datetime(2026, 11, 27, 12, tzinfo=UTC), datetime(2026, 12, 3, tzinfo=CHINA)),
        # Before a break of the calendar below, its days do not count.
        (datetime(2026, 9, 30, 2, tzinfo=UTC), datetime(2026, 10, 14, tzinfo=CHINA)),
        # In a year nobody published: seven days.
        (datetime(2031, 5, 5, 2, tzinfo=UTC), datetime(2031, 5, 13, tzinfo=CHINA)),
    ],
)
def test_the_deadline_counts_working_days(opened: datetime, due: datetime) -> None:
    first = datetime(2026, 10, 1, tzinfo=CHINA).date()
    golden_week = {first + timedelta(days=n): "国庆节" for n in range(8)}
    calendar = Calendar(published=frozenset({2026}), holidays=golden_week, makeup=frozenset())
    terms = Terms(3, 7, never_told=timedelta(days=14), on_phone_after_due=timedelta(days=30))

    assert reply_due(opened, calendar=calendar, zone=CHINA, terms=terms) == due


def test_a_hearing_ends_for_whoever_was_never_told() -> None:
    opened = datetime(2026, 11, 23, 15, 59, tzinfo=UTC)  # 23:59 in China
    minute, day = timedelta(minutes=1), timedelta(days=1)

    ends = hearing_ends(opened, zone=CHINA, terms=current_terms())

    assert ends == datetime(2026, 12, 8, tzinfo=CHINA)
    assert hearing_ends(opened + minute, zone=CHINA, terms=current_terms()) == ends + day


def tellings() -> list[HearingTelling]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(HearingTelling).order_by(HearingTelling.told_at)))


def open_breach(auditor: Person, visitor: Staff, finding: UUID) -> Any:
    body = {"staff_id": str(visitor.id), "finding_ids": [str(finding)]}
    return auditor.post("/api/v1/breaches", json=body)


def test_the_time_to_reply_begins_when_the_phone_is_given_the_finding_not_when_the_office_decided(
    app: Flask, phone: Phone, visitor: Staff, auditor: Person
) -> None:
    finding = the_finding(a_judged_visit(visitor, SERIOUS))
    decide(auditor, finding)
    with transaction() as session:
        session.execute(sa.update(Hearing).values(opened_at=now() - timedelta(days=6)))

    sync(app, phone)
    refused = open_breach(auditor, visitor, finding)

    (telling,) = tellings()
    file = auditor.get(f"/api/v1/findings/{finding}").get_json()
    assert telling.told_at > now() - timedelta(minutes=5)
    assert telling.due_at >= telling.told_at + timedelta(days=3)
    assert datetime.fromisoformat(phone.findings()[0]["reply_due_at"]) == telling.due_at
    assert [one["staff_id"] for one in file["tellings"]] == [str(visitor.id)]
    assert telling.due_at.isoformat() in refused.get_json()["errors"][0]["detail"]


def test_whoever_was_told_late_keeps_their_time_past_the_end_of_the_hearing(
    app: Flask, phone: Phone, visitor: Staff, auditor: Person
) -> None:
    finding = the_finding(a_judged_visit(visitor, SERIOUS))
    decide(auditor, finding)
    sync(app, phone)
    told_at = tellings()[0].told_at
    for ends, status in ((told_at, 422), (told_at - timedelta(microseconds=1), 201)):
        with transaction() as session:
            session.execute(sa.update(Hearing).values(opened_at=ends - timedelta(days=14), due_at=ends))

        assert open_breach(auditor, visitor, finding).status_code == status


def test_a_page_that_was_lost_is_told_again_and_one_that_arrived_is_not(
    app: Flask, phone: Phone, visitor: Staff, auditor: Person
) -> None:
    finding = the_finding(a_judged_visit(visitor, SERIOUS))
    decide(auditor, finding)
    actor = Actor(staff_id=visitor.id, roles=frozenset({Role.VISITOR}), device_id=phone.device_id)
    begun = now()

    def given(cursor: str | None, hours: int) -> tuple[str, list[str]]:
        at = begun + timedelta(hours=hours)
        page = json.loads(pull(cursor=cursor, limit=100, log_size=None, actor=actor, now=at))
        bodies = [one["body"] for one in page["changes"] if one["kind"] == "finding"]
        return page["cursor"], [one["reply_due_at"] for one in bodies]

    given(None, 0)
    cursor, lost = given(None, 100)  # the answer never came: the phone asks from where it was
    with transaction() as session:
        tell_phones(session, finding)
    _, again = given(cursor, 200)

    assert [one.told_at for one in tellings()] == [begun, begun + timedelta(hours=100)]
    assert datetime.fromisoformat(lost[0]) == tellings()[-1].due_at
    assert again == lost


def test_somebody_was_heard_who_replied_or_whose_time_ran_out() -> None:
    due_at = now()
    second = timedelta(seconds=1)

    assert was_heard(has_reply=True, due_at=due_at, now=due_at - second)
    assert was_heard(has_reply=False, due_at=due_at, now=due_at)
    assert not was_heard(has_reply=False, due_at=due_at, now=due_at - second)
