"""An auditor reads why findings changed: what set the judgement going, what had come, what it changed."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError

from server.authority import Role
from server.database import transaction
from server.models.evidence import Evidence
from server.models.judgement import ReconciliationRun
from server.models.people import Staff
from server.models.visits import Visit
from server.workflows.reconciliation import reconcile_due, reconcile_visit
from sync.phone import Phone
from tests.audit.test_reconciliation import a_fabricated_visit, judge
from tests.builders import Cast, a_case, a_person, an_address, an_assignment, now

OVERDUE = timedelta(hours=30)


@pytest.fixture
def visit_id(app: Flask, phone: Phone, visitor: Staff) -> UUID:
    case = a_case()
    assignment = an_assignment(case, an_address(case), visitor, issued_by=a_person(Role.DISPATCHER))
    return a_fabricated_visit(app, phone, assignment)


def runs_of(cast: Cast, visit_id: UUID) -> list[dict[str, Any]]:
    """What an auditor reads, the newest first."""
    return cast.person(Role.AUDITOR).get(f"/api/v1/visits/{visit_id}").get_json()["runs"]


def changes_of(run: dict[str, Any]) -> dict[str, str]:
    return {one["check"]: one["what"] for one in run["changes"]}


def test_late_evidence_explains_the_finding_that_went(cast: Cast, visit_id: UUID) -> None:
    judge(visit_id)
    judge(visit_id, later=OVERDUE)
    with transaction() as session:
        session.execute(sa.update(Evidence).values(state="verified", stored_at=now() + OVERDUE * 1.01))
    judge(visit_id, later=OVERDUE * 1.1)

    last, overdue, first = runs_of(cast, visit_id)

    assert first["since"] == {"first": True} and changes_of(first)["check-in-elsewhere"] == "new"
    assert overdue["since"]["overdue"] == ["evidence"]
    assert changes_of(overdue)["evidence-missing"] == "new"
    assert changes_of(last) == {"evidence-missing": "gone"}
    assert [one["state"] for one in last["since"]["evidence"]] == ["verified"]
    assert "items" not in last["since"] and "overdue" not in last["since"]


def test_a_judgement_that_changes_nothing_writes_nothing(cast: Cast, visit_id: UUID) -> None:
    judge(visit_id)
    judge(visit_id)

    assert len(runs_of(cast, visit_id)) == 1


def test_what_set_it_going_is_on_record(app: Flask, cast: Cast, visit_id: UUID) -> None:
    judge(visit_id)
    with transaction() as session:
        session.execute(sa.text("DELETE FROM procrastinate_jobs"))
    reconcile_due(now=now() + OVERDUE)
    with transaction() as session:
        args = session.scalars(
            sa.text("SELECT args FROM procrastinate_jobs WHERE task_name = 'reconcile_visit'")
        ).one()

    reconcile_visit(now=now() + OVERDUE, **args)

    assert [run["because"] for run in runs_of(cast, visit_id)] == ["overdue", "arrived"]


def test_a_decided_finding_stays_and_the_run_says_what_would_have_changed(cast: Cast, visit_id: UUID) -> None:
    finding = judge(visit_id)["check-in-elsewhere"]
    body = {"decision": "confirmed", "reason": "check-in in Shanghai, address in Beijing"}
    cast.person(Role.AUDITOR).post(f"/api/v1/findings/{finding.id}/decision", json=body)
    with transaction() as session:
        session.execute(sa.update(Visit).values(arrived_at_position=None))

    after = judge(visit_id)["check-in-elsewhere"]
    judge(visit_id)

    assert len(runs_of(cast, visit_id)) == 2
    change = next(one for one in runs_of(cast, visit_id)[0]["changes"] if one["check"] == finding.check)
    assert (change["what"], change["decided"], change["after"]) == ("gone", True, None)
    assert (after.state, after.severity) == ("confirmed", finding.severity)


def test_a_run_is_never_rewritten(app: Flask, visit_id: UUID) -> None:
    judge(visit_id)

    with pytest.raises(DBAPIError, match="append-only"), transaction() as session:
        session.execute(sa.update(ReconciliationRun).values(because="month"))


def test_who_may_not_see_findings_is_not_told_of_runs(cast: Cast, visitor: Staff, visit_id: UUID) -> None:
    judge(visit_id)

    for person in (cast.sign_in(visitor), cast.person(Role.DISPATCHER)):
        assert person.get(f"/api/v1/visits/{visit_id}").get_json()["runs"] == []


def test_other_rules_than_the_last_time_are_named(app: Flask, cast: Cast, visit_id: UUID) -> None:
    judge(visit_id)
    with transaction() as session:
        session.execute(sa.text("ALTER TABLE reconciliation_runs DISABLE TRIGGER append_only"))
        session.execute(sa.update(ReconciliationRun).values(pack="cn.house@0"))
        session.execute(sa.text("ALTER TABLE reconciliation_runs ENABLE TRIGGER append_only"))
        session.execute(sa.update(Visit).values(arrived_at_position=None))

    judge(visit_id)

    newest = runs_of(cast, visit_id)[0]
    assert newest["since"]["pack_before"] == "cn.house@0" and newest["pack"] != "cn.house@0"
