"""What a dispatcher asks before nine o'clock: which doors, by whom, and why not the others?"""

from datetime import date
from typing import Any

import pytest

from server.authority import Role
from server.database import transaction
from server.models.cases import Client
from server.models.people import Absence
from tests.builders import a_visitor
from tests.office import NOW, Office, a_door, a_team, china

DAY = "2026-11-24"


def asked(office: Office, **question: Any) -> dict[str, Any]:
    answer = office.ask("/visitability", {"day": DAY, **question})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def test_every_case_says_whether_since_which_rule_and_from_when(office: Office):
    free, poor = a_door().case, a_door(hardship=("pregnancy",)).case
    stale = a_door(balance_as_of=date(2026, 10, 1)).case

    found = {one["case_id"]: one for one in asked(office)["cases"]}

    assert set(found) == {str(case.id) for case in (free, poor, stale)}
    assert found[str(free.id)]["status"] == "may"
    assert found[str(free.id)]["first_start"] == "2026-11-24T00:00:00+00:00"
    assert [found[str(case.id)]["team_max"] for case in (free, poor)] == [2, 2]
    assert [found[str(case.id)]["is_hardship"] for case in (free, poor)] == [False, True]
    refused = found[str(stale.id)]
    assert (refused["status"], refused["first_start"], refused["allowed_from"]) == ("blocked", None, None)
    (reason,) = [reason for reason in refused["reasons"] if reason["severity"] == "block"]
    assert reason["rule"] == "C4"
    assert reason["quotation"]
    assert "facts" not in reason


def test_counts_cover_all_cases_whatever_is_shown(office: Office):
    for _ in range(3):
        a_door()
    for _ in range(2):
        a_door(balance_as_of=date(2026, 10, 1))

    page = asked(office, status="blocked", limit=1, with_counts=True)

    assert len(page["cases"]) == 1
    assert page["counts"]["statuses"] == {"may": 3, "blocked": 2}
    assert page["counts"]["rules"]["C4"] == 2


def test_pages_follow_each_other_without_a_gap(office: Office):
    cases = sorted(str(a_door().case.id) for _ in range(5))

    seen: list[str] = []
    after = None
    while True:
        page = asked(office, limit=2, after=after)
        seen += [one["case_id"] for one in page["cases"]]
        after = page["next"]
        if after is None:
            break

    assert seen == cases


def test_a_rule_picks_the_cases_in_which_it_speaks(office: Office):
    a_door()
    stale = a_door(balance_as_of=date(2026, 10, 1)).case

    page = asked(office, rule="C4")

    assert [one["case_id"] for one in page["cases"]] == [str(stale.id)]


def test_a_client_s_cases_are_asked_about_by_its_reference(office: Office):
    mine, _ = a_door(), a_door()
    with transaction() as session:
        reference = session.get_one(Client, mine.case.client_id).reference

    page = asked(office, client=reference)

    assert [one["case_id"] for one in page["cases"]] == [str(mine.case.id)]


def test_visitors_are_shown_with_their_role_and_their_free_hours(office: Office):
    lead, mate = a_team()
    trainee = a_visitor(qualified=False)
    with transaction() as session:
        absence = Absence(staff_id=mate.id, kind="leave", starts_at=NOW, ends_at=china("2026-11-24 12:00"))
        session.add(absence)

    answer = office.person(Role.DISPATCHER).get(f"/api/v1/visitability/visitors?day={DAY}")

    shown = {one["staff_id"]: one for one in answer.get_json()["visitors"]}
    assert shown[str(lead.id)]["can_lead"] is True
    assert (shown[str(mate.id)]["can_lead"], shown[str(mate.id)]["is_qualified"]) == (False, True)
    assert shown[str(mate.id)]["free"][0]["start"] == "2026-11-24T04:00:00+00:00"
    assert shown[str(trainee.id)]["is_qualified"] is False


@pytest.mark.parametrize(
    ("question", "pointer"),
    [
        ({"day": "2026-11-22"}, "/day"),
        ({"day": "2028-11-22"}, "/day"),
        ({"day": "2026-02-30"}, "/day"),
        ({"day": DAY, "client": "nobody"}, "/client"),
        ({"day": DAY, "status": "perhaps"}, "/status"),
        ({"day": DAY, "duration_minutes": 0}, "/duration_minutes"),
        ({"day": DAY, "case_ids": []}, "/case_ids"),
    ],
)
def test_a_question_nobody_can_answer_says_where_it_is_wrong(
    office: Office, question: dict[str, Any], pointer: str
):
    answer = office.ask("/visitability", question)

    assert answer.status_code in (400, 422)
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]
