"""Escalations: what goes to headquarters or needs a record before the field may go (D15, D17, D30)."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from server.authority import Role
from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.cases import Case
from server.models.escalations import Escalation
from tests.api.worklists import a_bare_case
from tests.office import Office, a_body, a_door, a_team


@pytest.mark.parametrize(
    ("since", "queue"),
    [("2026-10-24", "branch"), ("2026-10-23", "headquarters"), (None, "branch")],
)
def test_more_than_thirty_days_overdue_is_the_headquarters_queue(
    office: Office, since: str | None, queue: str
):
    a_bare_case(overdue_since=since and date.fromisoformat(since))
    ask = office.person(Role.DISPATCHER).get

    [case] = ask("/api/v1/cases").get_json()["cases"]
    found = {
        name: len(ask(f"/api/v1/cases?queue={name}").get_json()["cases"])
        for name in ("headquarters", "branch")
    }

    assert case["queue"] == queue
    assert found == {name: int(name == queue) for name in found}


def escalated(office: Office, case: Case, ground: str = "evasive") -> dict[str, Any]:
    answer = office.ask(f"/cases/{case.id}/escalations", {"ground": ground, "words": "挂断电话,拒不配合"})
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def test_an_escalation_stands_once_in_the_fields_list_without_its_words(office: Office):
    case = a_bare_case()

    first, again = escalated(office, case), escalated(office, case)
    page = office.person(Role.DISPATCHER).get("/api/v1/escalations").get_json()

    assert first["id"] == again["id"]
    [row] = page["escalations"]
    assert (row["case_id"], row["ground"], row["case_reference"]) == (str(case.id), "evasive", case.reference)
    assert "words" not in row
    assert (
        office.person(Role.DISPATCHER).get("/api/v1/escalations?ground=bad_faith").get_json()["escalations"]
        == []
    )


def test_reading_its_words_is_logged(office: Office):
    escalation = escalated(office, a_bare_case())

    read = office.person(Role.AUDITOR).get(f"/api/v1/escalations/{escalation['id']}").get_json()

    assert read["words"] == "挂断电话,拒不配合"
    entry = db.session.scalars(sa.select(AccessEntry)).one()
    assert (str(entry.entity_id), entry.fields) == (escalation["id"], ["escalations.words"])
    stored = db.session.scalar(sa.select(sa.text("words")).select_from(Escalation.__table__))
    assert isinstance(stored, bytes) and "挂断".encode() not in stored


def test_a_closed_case_is_not_escalated_and_leaves_the_list(office: Office):
    case = a_bare_case()
    escalated(office, case)
    with transaction() as session:
        session.execute(sa.update(Case).where(Case.id == case.id).values(state="closed"))

    refused = office.ask(f"/cases/{case.id}/escalations", {"ground": "bad_faith", "words": "x"})

    assert refused.status_code == 409
    assert office.person(Role.DISPATCHER).get("/api/v1/escalations").get_json()["escalations"] == []


def test_an_evasive_debtor_is_visited_only_after_it_was_recorded(office: Office):
    door = a_door()
    with transaction() as session:
        session.execute(sa.text("DELETE FROM ledger_entries"))
    body = a_body(door, *a_team(), start="2026-11-24 10:00") | {"ground": "evasive"}

    def slugs() -> set[tuple[str, str, str]]:
        verdict = office.ask("/assignments/check", body).get_json()
        return {(one["rule"], one["slug"], one["severity"]) for one in verdict["reasons"]}

    before = slugs()
    escalation = escalated(office, door.case)
    recorded = slugs()
    office.ask(f"/escalations/{escalation['id']}/withdraw", {}, by=Role.SUPERVISOR)

    needs_approval = ("D15", "ground-not-reached", "approval")
    missing = ("D15", "escalation-not-recorded", "block")
    assert before == {needs_approval, missing}
    assert recorded == {needs_approval}
    assert slugs() == before
