"""What a closed month proposes is decided by a supervisor, once the person was heard."""

from datetime import timedelta
from typing import Any

from server.authority import Role
from sync.protocol import uuid7
from tests.builders import Person, a_person, a_token, a_visitor
from tests.office import Office
from tests.reports.closing import OCTOBER, charged, close, read, slug
from tests.reports.stage import a_complaint, a_finding, a_visit, at, auditor


def a_fraud(office: Office, visitor: Any) -> dict[str, Any]:
    finding = a_finding(a_visit(visitor), auditor(office), rule="C17", severity="severe")
    body = {"staff_id": str(visitor.id), "finding_ids": [str(finding.id)], "words": "承认伪造签名"}
    answer = office.person(Role.AUDITOR).post("/api/v1/frauds", json=body)
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def decide(office: Office, visitor: Any, *, by: Person | None = None, **body: Any) -> Any:
    body = {"decision": "upheld", "reason": "证据清楚"} | body
    by = by or office.person(Role.SUPERVISOR)
    return by.post(f"{OCTOBER}/people/{visitor.id}/decisions", json=body)


def signed_in(office: Office, staff: Any) -> Person:
    token = a_token(staff.id, lasts=timedelta(days=36_500))
    return Person(staff=staff, token=token, browser=office.app.test_client())


def test_a_supervisor_chooses_inside_the_range_once_the_person_was_heard(office: Office) -> None:
    visitor = a_visitor()
    key = f"E6:{a_fraud(office, visitor)['id']}"
    close(office)

    unheard = decide(office, visitor, key=key, amount_fen=60_000)
    said = signed_in(office, visitor).post(f"{OCTOBER}/mine/replies", json={"text": "我没有"})
    without, below, above = (
        decide(office, visitor, key=key, amount_fen=fen) for fen in (None, 49_999, 100_001)
    )
    chosen = decide(office, visitor, key=key, amount_fen=60_000)
    again = decide(office, visitor, key=key, amount_fen=60_000)
    other = decide(office, visitor, key=key, amount_fen=70_000)

    assert (unheard.status_code, slug(unheard)) == (409, "not-heard-yet")
    assert said.status_code == 201
    assert [slug(one) for one in (without, below, above)] == ["amount-not-possible"] * 3
    assert (chosen.status_code, again.status_code) == (200, 200)
    assert (other.status_code, slug(other)) == (409, "already-decided")
    person = read(office, f"{OCTOBER}/people/{visitor.id}")
    assert (person["least_fen"], person["most_fen"], person["upheld_fen"]) == (50_000, 100_000, 60_000)
    assert person["replies"][0]["text"] == "我没有"
    assert person["proposals"][0]["decision"]["amount_fen"] == 60_000


def test_after_five_days_of_silence_a_proposal_is_decided(office: Office) -> None:
    visitor = a_visitor()
    complaint = a_complaint(visitor)
    at(office, "2026-11-02 09:00")
    close(office)

    at(office, "2026-11-07 08:59")
    early = decide(office, visitor, key=f"E4:{complaint.id}")
    at(office, "2026-11-07 09:00")
    in_time = decide(office, visitor, key=f"E4:{complaint.id}")

    assert (slug(early), in_time.status_code) == ("not-heard-yet", 200)
    assert in_time.get_json()["amount_fen"] == 50_000


def test_a_decision_survives_another_closing_and_a_dropped_proposal_costs_nothing(office: Office) -> None:
    visitor = a_visitor()
    complaint = a_complaint(visitor)
    at(office, "2026-11-02 09:00")
    close(office)
    at(office, "2026-11-08 09:00")
    dropped = decide(office, visitor, key=f"E4:{complaint.id}", decision="dropped")
    a_complaint(visitor)
    close(office, reason="又一件")

    person = read(office, f"{OCTOBER}/people/{visitor.id}")

    assert dropped.status_code == 200
    assert (len(person["proposals"]), person["upheld_fen"]) == (2, 0)
    assert [one["decision"] and one["decision"]["decision"] for one in person["proposals"]] == [
        "dropped",
        None,
    ]


def test_nobody_decides_their_own_and_an_open_month_proposes_nothing_yet(office: Office) -> None:
    supervisor = a_person(Role.SUPERVISOR)
    complaint = a_complaint(supervisor)
    key = f"E4:{complaint.id}"

    too_soon = decide(office, supervisor, key=key)
    close(office)
    own = decide(office, supervisor, key=key, by=signed_in(office, supervisor))

    assert (too_soon.status_code, slug(too_soon)) == (409, "month-open")
    assert (own.status_code, slug(own)) == (403, "own-proposal")


def test_people_see_their_own_closed_month_and_nobody_elses(office: Office) -> None:
    mine, other = a_visitor(), a_visitor()
    a_complaint(mine)
    before = signed_in(office, mine).get(f"{OCTOBER}/mine")
    close(office)

    shown = signed_in(office, mine).get(f"{OCTOBER}/mine")
    nothing = signed_in(office, other).get(f"{OCTOBER}/mine")
    foreign = signed_in(office, other).get(f"{OCTOBER}/people/{mine.id}")

    assert before.status_code == 404
    assert charged(shown.get_json()) == [("E4", 50_000, 50_000)]
    assert (nothing.status_code, foreign.status_code) == (404, 403)


def test_a_fraud_is_proven_by_confirmed_findings_of_ones_own_visits_each_used_once(office: Office) -> None:
    visitor, other = a_visitor(), a_visitor()
    foreign = a_finding(a_visit(other), auditor(office))
    own = a_finding(a_visit(visitor), auditor(office))
    ask = office.person(Role.AUDITOR).post

    def recorded(*findings: Any) -> Any:
        body = {"staff_id": str(visitor.id), "finding_ids": [str(one) for one in findings], "words": "是"}
        return ask("/api/v1/frauds", json=body)

    refused = recorded(own.id, foreign.id, uuid7())
    first, again = recorded(own.id), recorded(own.id)

    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.get_json()["errors"]] == ["/finding_ids/1", "/finding_ids/2"]
    assert (first.status_code, first.get_json()["committed_on"]) == (201, "2026-10-12")
    assert (again.status_code, slug(again)) == (409, "finding-used")
