"""On which ground may somebody knock before calls and a letter had their time? (A14-A17, D15, D17, F18)"""

from datetime import date

import pytest
import sqlalchemy as sa

from server.api.assignments import GROUNDS as OF_THE_API
from server.authority import Role
from server.database import db, transaction
from server.models.cases import LedgerEntry
from server.models.dispatch import Decision
from server.rules.catalogue import catalogue
from server.rules.checks.ground import RECORDED, RULE_OF_GROUND, RULES, RULES_BEHIND
from server.rules.facts import GROUNDS
from tests.builders import a_case, an_address
from tests.office import Door, Office, a_body, a_door, a_team

GATES = {"A14", "A15", "A16", "A17", "D15", "D17", "F18"}


def untried() -> Door:
    """A case that nobody has called or written to, with its verified address."""
    case = a_case(balance_as_of=date(2026, 11, 20))
    with transaction() as session:
        session.execute(sa.delete(LedgerEntry).where(LedgerEntry.case_id == case.id))
    return Door(case, an_address(case))


def test_every_ground_rests_on_RULES_BEHIND_the_catalogue_and_every_gate_has_a_ground():
    assert tuple(OF_THE_API) == GROUNDS == tuple(RULE_OF_GROUND)
    behind = {rule for ground in GROUNDS for rule in RULES_BEHIND[ground]}

    assert behind == GATES == set(RULES)
    assert behind <= set(catalogue())
    assert all(RULES_BEHIND[ground][0] == RULE_OF_GROUND[ground] for ground in GROUNDS)


@pytest.mark.parametrize("ground", GROUNDS)
def test_a_visit_before_its_time_needs_a_supervisors_reason_which_is_kept_and_shown(
    office: Office, ground: str
):
    door, team = untried(), a_team()
    if ground in RECORDED:
        noted = office.ask(f"/cases/{door.case.id}/escalations", {"ground": ground, "words": "he hides"})
        assert noted.status_code == 201
    body = a_body(door, *team, start="2026-11-24 10:00", ground=ground)

    refused = office.ask("/assignments", body)
    by_dispatcher = office.ask("/assignments", body | {"approval_reason": "he hides"})
    without_words = office.ask("/assignments", body | {"approval_reason": "  "}, by=Role.SUPERVISOR)
    granted = office.ask("/assignments", body | {"approval_reason": "he hides"}, by=Role.SUPERVISOR)

    assert [one.status_code for one in (refused, by_dispatcher, without_words)] == [409, 409, 409]
    reason = next(one for one in refused.get_json()["reasons"] if one["slug"] == "ground-not-reached")
    assert (reason["rule"], reason["severity"]) == (RULE_OF_GROUND[ground], "approval")
    assert reason["facts"]["rules"] == list(RULES_BEHIND[ground])
    assert reason["quotation"] == catalogue()[reason["rule"]].quotation
    assert granted.status_code == 201, granted.get_data(as_text=True)
    shown = office.person(Role.AUDITOR).get(f"/api/v1/assignments/{granted.get_json()['id']}").get_json()
    supervisor = str(office.person(Role.SUPERVISOR).staff.id)
    assert (shown["ground"], shown["approved_by"], shown["approval_reason"]) == (
        ground,
        supervisor,
        "he hides",
    )
    kept = db.session.get_one(Decision, shown["decision_id"])
    assert (str(kept.approved_by), kept.approval_reason, kept.allowed) == (supervisor, "he hides", True)


def test_what_needs_no_approval_shows_none(office: Office):
    from_the_start = office.ask("/assignments", a_body(a_door(), *a_team()))

    assert from_the_start.status_code == 201
    assert (from_the_start.get_json()["approved_by"], from_the_start.get_json()["approval_reason"]) == (
        None,
        "",
    )
