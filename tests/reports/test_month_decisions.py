"""What a closed month proposes is decided by a supervisor, once the person was heard."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from server.authority import Role
from server.database import transaction
from server.models.assessments import ProposalDecision, ProvenFraud
from server.models.findings import Finding, Hearing
from sync.protocol import uuid7
from tests.builders import Person, a_case, a_person, a_token, a_visitor, add
from tests.office import NOW, Office, china
from tests.reports.closing import OCTOBER, charged, close, read, slug
from tests.reports.stage import (
    a_complaint,
    a_finding,
    a_visit,
    a_visit_with,
    a_visit_without_times,
    at,
    auditor,
)


def a_forgery(office: Office, visitor: Any) -> Finding:
    return a_finding(a_visit(visitor), auditor(office), rule="C17", severity="severe")


def a_fraud(office: Office, visitor: Any, *findings: Finding) -> dict[str, Any]:
    proof = [str(one.id) for one in findings or (a_forgery(office, visitor),)]
    body = {"staff_id": str(visitor.id), "finding_ids": proof, "words": "承认伪造签名"}
    answer = office.person(Role.AUDITOR).post("/api/v1/frauds", json=body)
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def look_again(office: Office, finding_id: Any, outcome: str) -> Any:
    """Another person looks at a confirmed finding a second time."""
    other = signed_in(office, a_person(Role.SUPERVISOR))
    look = {"outcome": outcome, "reason": "签名是本人的"}
    return other.post(f"/api/v1/findings/{finding_id}/second-look", json=look)


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


def test_silence_counts_only_once_the_findings_went_unanswered_too(office: Office) -> None:
    visitor = a_visitor()
    finding = a_finding(visit := a_visit(visitor), auditor(office), rule="C17", severity="severe")
    told = {"people": [visitor.id], "opened_at": china("2026-10-31 18:00")}
    add(Hearing(finding_id=finding.id, due_at=china("2026-11-15 00:00"), **told))
    at(office, "2026-11-02 09:00")
    close(office)

    at(office, "2026-11-14 23:59")
    early = decide(office, visitor, key=f"E3:{visit.id}")
    at(office, "2026-11-15 00:00")
    in_time = decide(office, visitor, key=f"E3:{visit.id}")

    assert (early.status_code, slug(early)) == (409, "not-heard-yet")
    assert early.get_json()["reply_until"] == "2026-11-14T16:00:00+00:00"
    assert in_time.status_code == 200


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


def test_a_fraud_over_the_turn_of_a_month_is_charged_once(office: Office) -> None:
    visitor = a_visitor()
    last, first = (
        a_finding(a_visit(visitor, at), auditor(office), rule="C17", severity="severe")
        for at in ("2026-09-30 19:00", "2026-10-01 09:00")
    )
    a_fraud(office, visitor, last, first)
    a_finding(a_visit(visitor), auditor(office), rule="C17", severity="severe")

    september, october = (
        read(office, f"/api/v1/assessments/{month}/people/{visitor.id}") for month in ("2026-09", "2026-10")
    )

    assert charged(september) == [("E6", 50_000, 100_000)]
    assert charged(october) == [("E3", 20_000, 20_000)]  # of the third visit alone


def test_a_fraud_of_a_visit_without_times_is_committed_when_it_was_over(office: Office) -> None:
    visitor = a_visitor()
    visit = a_visit_without_times(visitor, "2026-10-12 10:00")

    fraud = a_fraud(office, visitor, a_finding(visit, auditor(office), rule="C17", severity="severe"))

    assert fraud["committed_on"] == "2026-10-12"
    assert charged(read(office, f"{OCTOBER}/people/{visitor.id}")) == [("E6", 50_000, 100_000)]


@pytest.mark.parametrize(("outcome", "charges"), [("overturned", []), ("upheld", [("E6", 50_000, 100_000)])])
def test_a_fraud_is_charged_while_the_finding_that_proved_it_stands(
    office: Office, outcome: str, charges: list[Any]
) -> None:
    visitor = a_visitor()
    forgery = a_forgery(office, visitor)
    a_fraud(office, visitor, forgery)

    look = look_again(office, forgery.id, outcome)
    close(office)

    assert look.status_code == 200
    people = read(office, f"{OCTOBER}/people")["people"]
    assert [charge for one in people for charge in charged(one)] == charges


def test_what_is_left_of_a_fraud_is_charged_by_itself_and_may_prove_another(office: Office) -> None:
    visitor = a_visitor()
    fallen, left = a_forgery(office, visitor), a_forgery(office, visitor)
    a_fraud(office, visitor, fallen, left)

    look_again(office, fallen.id, "overturned")
    alone = read(office, f"{OCTOBER}/people/{visitor.id}")
    another = a_fraud(office, visitor, left)
    anew = read(office, f"{OCTOBER}/people/{visitor.id}")

    assert charged(alone) == [("E3", 20_000, 20_000)]
    assert alone["proposals"][0]["evidence"] == [{"kind": "finding", "id": str(left.id), "rule": "C17"}]
    assert [one["key"] for one in anew["proposals"]] == [f"E6:{another['id']}"]


def test_a_closed_month_keeps_a_fraud_that_fell_later_and_says_so_until_it_is_closed_again(
    office: Office,
) -> None:
    visitor = a_visitor()
    forgery = a_forgery(office, visitor)
    key = f"E6:{a_fraud(office, visitor, forgery)['id']}"
    close(office)
    signed_in(office, visitor).post(f"{OCTOBER}/mine/replies", json={"text": "我没有"})
    decide(office, visitor, key=key, amount_fen=60_000)

    look_again(office, forgery.id, "overturned")
    kept, summed = read(office, f"{OCTOBER}/people/{visitor.id}"), read(office)
    close(office, reason="复核推翻")
    after, again = office.person(Role.SUPERVISOR).get(f"{OCTOBER}/people/{visitor.id}"), read(office)

    assert (charged(kept), kept["upheld_fen"]) == ([("E6", 50_000, 100_000)], 60_000)
    assert (summed["is_intact"], summed["has_changed_since"]) == (True, True)
    assert after.status_code == 404
    assert (again["is_intact"], again["has_changed_since"]) == (True, False)


PARTS = {
    "mate": "were in the visit's team",
    "dispatcher": "assigned the visit",
    "approver": "approved the visit",
    "none": None,
}


@pytest.mark.parametrize(("part", "told"), PARTS.items())
def test_whoever_had_a_part_in_the_visit_records_no_fraud(
    office: Office, part: str, told: str | None
) -> None:
    visitor, person = a_visitor(), a_person(*Role)
    finding = a_finding(
        a_visit_with(part, person, visitor, case=a_case()), auditor(office), rule="C17", severity="severe"
    )

    body = {"staff_id": str(visitor.id), "finding_ids": [str(finding.id)], "words": "承认"}
    answer = signed_in(office, person).post("/api/v1/frauds", json=body)

    assert answer.status_code == (403 if told else 201)
    assert answer.get_json().get("part") == told


@pytest.mark.parametrize("decision", ["upheld", "dropped"])
@pytest.mark.parametrize("kind", ["E3", "E4", "E6"])
@pytest.mark.parametrize(("part", "told"), PARTS.items())
def test_whoever_had_a_part_in_the_visit_decides_nothing_that_is_charged_for_it(
    office: Office, part: str, told: str | None, kind: str, decision: str
) -> None:
    visitor, person = a_visitor(), a_person(*Role)
    visit = a_visit_with(part, person, visitor, case=a_case())
    if kind == "E4":
        key = f"E4:{a_complaint(visitor, visit_id=visit.id).id}"
    else:
        finding = a_finding(visit, auditor(office), rule="C17", severity="severe")
        key = f"E3:{visit.id}" if kind == "E3" else f"E6:{a_fraud(office, visitor, finding)['id']}"
    close(office)
    signed_in(office, visitor).post(f"{OCTOBER}/mine/replies", json={"text": "我没有"})

    chosen = {"amount_fen": 60_000} if (kind, decision) == ("E6", "upheld") else {}
    answer = decide(office, visitor, by=signed_in(office, person), key=key, decision=decision, **chosen)

    assert answer.status_code == (403 if told else 200)
    assert answer.get_json().get("part") == told


KEYS = {"E2": "E2:{visit}:B8", "E3": "E3:{visit}", "E4": "E4:{complaint}", "E5": "E5", "E6": "E6:{fraud}"}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize(("part", "told"), PARTS.items())
def test_the_database_refuses_it_too(office: Office, kind: str, part: str, told: str | None) -> None:
    visitor, person = a_visitor(), a_person(*Role)
    visit = a_visit_with(part, person, visitor, case=a_case())
    a_finding(visit, auditor(office), rule="C4")
    proof = a_finding(visit, auditor(office), rule="C17", severity="severe")
    complaint = a_complaint(visitor, visit_id=visit.id)
    fraud = a_fraud(office, visitor, proof)["id"]
    close(office)

    def kept(row: Any) -> bool:
        try:
            with transaction() as session:
                session.add(row)
        except IntegrityError as error:
            assert "no part in what is decided" in str(error)
            return False
        return True

    named = {"visit": visit.id, "complaint": complaint.id, "fraud": fraud}
    decided = ProposalDecision(
        month=date(2026, 10, 1), staff_id=visitor.id, key=KEYS[kind].format(**named), decision="dropped",
        reason="x", decided_by=person.id, decided_at=NOW,
    )  # fmt: skip
    proven = ProvenFraud(
        staff_id=visitor.id, committed_on=NOW.date(), finding_ids=[proof.id], words="x",
        recorded_by=person.id, recorded_at=NOW,
    )  # fmt: skip

    assert [kept(decided), kept(proven)] == [told is None] * 2


def test_nobody_decides_what_a_complaint_costs_another_that_names_them_too(office: Office) -> None:
    visitor, supervisor = a_visitor(), a_person(Role.SUPERVISOR)
    complaint = a_complaint(visitor, about_staff=[visitor.id, supervisor.id])
    close(office)
    signed_in(office, visitor).post(f"{OCTOBER}/mine/replies", json={"text": "我没有"})

    named = decide(office, visitor, by=signed_in(office, supervisor), key=f"E4:{complaint.id}")
    outside = decide(office, visitor, key=f"E4:{complaint.id}")

    assert (named.status_code, slug(named)) == (403, "complaint-involved")
    assert outside.status_code == 200
