"""Notices: the client is told in time, orally first where that is due, and with evidence."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError

from server.authority import Role
from server.database import db, transaction
from server.models.cases import Case, Hold
from server.models.casework import ClientNotice
from server.workflows import holds
from tests.builders import a_case
from tests.office import NOW, Office, Stopped, china


def held(office: Office, reason: str, *, at: datetime = NOW, case: Case | None = None) -> Hold:
    """Hold a case at some moment."""
    case = case or a_case()
    return holds.raise_on_case(case.id, reason=reason, note="said so", actor=office.actor(), now=at)


def the_notice() -> ClientNotice:
    return db.session.scalars(sa.select(ClientNotice)).one()


def show(office: Office, notice: ClientNotice) -> dict[str, Any]:
    return office.person(Role.DISPATCHER).get(f"/api/v1/notices/{notice.id}").get_json()


def send(office: Office, notice: ClientNotice, reference: str = "<1@agency>", how: str = "email") -> Any:
    return office.ask(f"/notices/{notice.id}/sent", {"how": how, "reference": reference})


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("identity_disputed", "身份异议"),
        ("transaction_denied", "交易异议"),
        ("activation_denied", "激活异议"),
        ("amount_disputed", "金额异议"),
    ],
)
def test_a_dispute_drafts_its_notice_with_the_reference_and_nothing_that_identifies(
    office: Office, reason: str, said: str
) -> None:
    case = a_case(reference="CASE-88")

    held(office, reason, case=case)

    notice = the_notice()
    assert said in notice.subject and "CASE-88" in notice.subject and "CASE-88" in notice.body
    assert "2026年11月23日10时00分" in notice.body
    assert not any(secret in notice.body for secret in ("张小明", "110101199003070011", "13812345678"))
    assert (notice.kind, notice.state, notice.is_urgent) == (reason, "drafted", False)


@pytest.mark.parametrize(
    "reason", ["do_not_collect", "deceased", "imprisoned", "stop_requested", "paid", "other", "complaint"]
)
def test_other_holds_draft_nothing(office: Office, reason: str) -> None:
    held(office, reason)

    assert db.session.scalar(sa.select(sa.func.count()).select_from(ClientNotice)) == 0


@pytest.mark.parametrize(
    ("raised", "due"),
    [
        ("2026-11-23 00:00", "2026-11-23 23:59:59"),
        ("2026-11-23 23:59", "2026-11-23 23:59:59"),
        ("2026-11-28 09:00", "2026-11-30 23:59:59"),  # a Saturday
        ("2026-10-10 09:00", "2026-10-10 23:59:59"),  # a Saturday that is worked to make up
        ("2026-10-01 09:00", "2026-10-08 23:59:59"),  # the first day of a public holiday
        ("2031-03-01 09:00", "2031-03-01 23:59:59"),  # no calendar tells: rather early than late
    ],
)
def test_the_notice_is_due_within_the_working_day(office: Office, raised: str, due: str) -> None:
    held(office, "identity_disputed", at=china(raised))

    assert the_notice().due_at == china(due)


def test_a_disputed_amount_is_told_orally_first(office: Office) -> None:
    held(office, "amount_disputed")
    notice = the_notice()
    assert notice.oral_report_due_at == NOW + timedelta(hours=2)

    too_soon = send(office, notice)
    spoken = office.ask(f"/notices/{notice.id}/oral-report", {})
    again = office.ask(f"/notices/{notice.id}/oral-report", {}, by=Role.SUPERVISOR)
    sent = send(office, notice)

    assert (too_soon.status_code, too_soon.get_json()["type"]) == (409, "/problems/oral-report-missing")
    assert spoken.get_json() == again.get_json()
    assert spoken.get_json()["oral_reported_by"] == str(office.person(Role.DISPATCHER).staff.id)
    assert (sent.status_code, sent.get_json()["state"]) == (200, "sent")


def test_a_sent_notice_shows_on_its_hold_and_may_be_repeated(office: Office) -> None:
    hold = held(office, "identity_disputed")
    notice = the_notice()

    first, again, other = send(office, notice), send(office, notice), send(office, notice, "<2@agency>")

    assert first.get_json() == again.get_json()
    assert (other.status_code, other.get_json()["type"]) == (409, "/problems/notice-not-a-draft")
    listed = office.person(Role.SUPERVISOR).get("/api/v1/holds").get_json()["holds"]
    assert [(one["id"], one["client_notified_at"]) for one in listed] == [
        (str(hold.id), first.json["sent_at"])
    ]


@pytest.mark.parametrize(
    "body", [{}, {"how": "email"}, {"how": "pigeon", "reference": "x"}, {"how": "email", "reference": " "}]
)
def test_nothing_counts_as_sent_without_evidence(office: Office, body: dict[str, Any]) -> None:
    held(office, "identity_disputed")
    notice = the_notice()

    assert office.ask(f"/notices/{notice.id}/sent", body).status_code == 422
    assert show(office, notice)["state"] == "drafted"


def test_the_database_itself_refuses_a_notice_that_was_sent_without_evidence(office: Office) -> None:
    held(office, "amount_disputed")
    notice = the_notice()

    for values in (
        {"state": "sent"},
        {"state": "sent", "sent_at": NOW, "sent_how": "email", "sent_reference": "x"},
    ):
        with pytest.raises(IntegrityError), transaction() as session:
            session.execute(sa.update(ClientNotice).values(**values))
    assert show(office, notice)["state"] == "drafted"


def rewrite(office: Office, notice: ClientNotice, **changed: str) -> Any:
    text = {"subject": "关于案件的通报", "body": "请核实。"} | changed
    return office.person(Role.DISPATCHER).put(f"/api/v1/notices/{notice.id}", json=text)


def test_a_draft_may_be_rewritten_until_it_is_sent(office: Office) -> None:
    held(office, "identity_disputed")
    notice = the_notice()

    rewritten = rewrite(office, notice, body="债务人称已搬离,请核实。")
    send(office, notice)
    late = rewrite(office, notice)

    assert rewritten.get_json()["body"] == "债务人称已搬离,请核实。"
    assert late.status_code == 409
    assert show(office, notice)["body"] == "债务人称已搬离,请核实。"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("卡号 6222 0212 3456 7890", 422),
        ("证件 11010119900307001X", 422),
        ("6222-0212-3456-7", 422),  # thirteen digits, as few as a card has
        ("电话 138-1234-5678", 200),
        ("金额 12345.00 元", 200),
        ("案件 20261123000000001 已暂停", 200),
        (" ", 422),
    ],
)
def test_a_notice_names_no_card_and_no_identity_number(office: Office, text: str, status: int) -> None:
    held(office, "identity_disputed", case=a_case(reference="20261123000000001"))

    answer = rewrite(office, the_notice(), body=text)

    assert answer.status_code == status
    assert status == 200 or [one["pointer"] for one in answer.get_json()["errors"]] == ["/body"]


@pytest.mark.parametrize(
    ("reason", "hours", "is_overdue"),
    [
        ("identity_disputed", 13.9, False),  # until midnight
        ("identity_disputed", 14.1, True),
        ("amount_disputed", 1.9, False),  # said within two hours
        ("amount_disputed", 2.1, True),
    ],
)
def test_a_notice_is_overdue_when_the_client_should_know(
    office: Office, app: Flask, reason: str, hours: float, is_overdue: bool
) -> None:
    held(office, reason)

    app.extensions["clock"] = Stopped(at=NOW + timedelta(hours=hours))

    assert show(office, the_notice())["is_overdue"] is is_overdue


def test_notices_are_listed_by_what_is_due_first(office: Office) -> None:
    raised = ("2026-11-28 09:00", "2026-11-23 09:00", "2026-11-25 09:00")
    for at in raised:
        held(office, "identity_disputed", at=china(at))
    desk = office.person(Role.DISPATCHER)

    first = desk.get("/api/v1/notices?limit=2").get_json()
    second = desk.get(f"/api/v1/notices?limit=2&after={first['next']}").get_json()
    before = desk.get("/api/v1/notices?state=drafted&due_before=2026-11-25T15:59:59Z").get_json()

    days = [one["due_at"][:10] for one in first["notices"] + second["notices"]]
    assert days == ["2026-11-23", "2026-11-25", "2026-11-30"]
    assert [one["due_at"][:10] for one in before["notices"]] == ["2026-11-23"]
    assert desk.get("/api/v1/notices?state=sent").get_json()["notices"] == []


def test_only_a_supervisor_withdraws_a_notice_and_says_why(office: Office) -> None:
    held(office, "identity_disputed")
    path = f"/notices/{the_notice().id}/cancel"

    by_desk = office.ask(path, {"reason": "raised on the wrong case"})
    silent = office.ask(path, {"reason": " "}, by=Role.SUPERVISOR)
    withdrawn = office.ask(path, {"reason": "raised on the wrong case"}, by=Role.SUPERVISOR)

    assert (by_desk.status_code, silent.status_code) == (403, 422)
    assert (withdrawn.get_json()["state"], withdrawn.get_json()["is_overdue"]) == ("cancelled", False)
    assert send(office, the_notice()).status_code == 409


def test_raising_the_same_hold_again_drafts_nothing_more(office: Office) -> None:
    case = a_case()

    held(office, "identity_disputed", case=case)
    held(office, "identity_disputed", case=case)

    assert the_notice().case_id == case.id
