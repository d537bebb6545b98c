"""A month is judged again: the difference is shown first, and kept in steps that survive a kill."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import event

from server.authority import Role
from server.cli import main
from server.config import Config
from server.database import db, transaction
from server.models.evidence import Evidence
from server.models.findings import Finding
from server.models.judgement import MonthAgain, ReconciliationRun
from server.models.people import Staff
from server.models.retention import Erasure
from server.models.visits import Account, Visit
from server.rules.local_time import local_day
from server.workflows.reconciliation import months, reconcile_due, reconcile_visit
from server.workflows.standing_packs import local_zone
from sync.phone import Phone
from tests.audit.test_reconciliation import a_fabricated_visit, judge
from tests.builders import Cast, a_case, a_person, an_address, an_assignment, now
from tests.conftest import SECRETS


@pytest.fixture
def visits(app: Flask, phone: Phone, visitor: Staff) -> list[UUID]:
    """Three visits of one moment of this month, judged, in the order of their ids."""
    dispatcher, at = a_person(Role.DISPATCHER), now()
    made: list[UUID] = []
    for n in range(3):
        case = a_case()
        start = now() + timedelta(days=n)
        assignment = an_assignment(case, an_address(case), visitor, issued_by=dispatcher, start=start)
        made.append(a_fabricated_visit(app, phone, assignment))
        with transaction() as session:
            session.execute(sa.update(Visit).values(arrived_earliest=at, arrived_latest=at))
        judge(made[-1])
    return sorted(made)


def this_month() -> date:
    """The month of the visits, also when it is over before the story is."""
    with transaction() as session:
        (at,) = session.scalars(sa.select(Visit.arrived_latest).distinct())
    return local_day(at, local_zone()).replace(day=1)


def quietly(done: int, total: int) -> None:
    """Nobody listens."""


def where_everybody_was_is_forgotten() -> None:
    """As if the check of the place had become blind: its findings go."""
    with transaction() as session:
        session.execute(sa.update(Visit).values(arrived_at_position=None))


def on_record() -> list[Any]:
    db.session.rollback()
    kept = [sa.select(table).order_by(*table.primary_key) for table in (Finding.__table__, Visit.__table__)]
    return [db.session.execute(query).all() for query in kept]


def counted(tally: months.Tally, check: str) -> dict[str, int]:
    return dict(tally.checks[check])


def test_looking_shows_the_difference_and_writes_nothing(app: Flask, visits: list[UUID]) -> None:
    where_everybody_was_is_forgotten()
    before = on_record()
    heard: list[tuple[int, int]] = []

    tally = months.look(this_month(), now=now(), told=lambda done, total: heard.append((done, total)))

    assert (tally.visits, tally.changed) == (3, 3)
    assert counted(tally, "check-in-elsewhere") == {"gone": 3}
    assert [visit_id for visit_id, _ in tally.shown] == visits
    assert heard == [(1, 3), (2, 3), (3, 3)]
    assert on_record() == before
    with transaction() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(MonthAgain)) == 0


def test_keeping_writes_what_looking_showed_and_leaves_decided_findings(
    app: Flask, cast: Cast, visits: list[UUID]
) -> None:
    decided = judge(visits[0])["check-in-elsewhere"]
    body = {"decision": "confirmed", "reason": "check-in in Shanghai, address in Beijing"}
    cast.person(Role.AUDITOR).post(f"/api/v1/findings/{decided.id}/decision", json=body)
    where_everybody_was_is_forgotten()
    shown = months.look(this_month(), now=now(), told=quietly)

    kept = months.keep(this_month(), now=now(), told=quietly)

    assert kept.checks == shown.checks
    assert counted(kept, "check-in-elsewhere") == {"gone": 2, "decided": 1}
    states = [judge(visit_id)["check-in-elsewhere"].state for visit_id in visits]
    assert states == ["confirmed", "superseded", "superseded"]
    with transaction() as session:
        causes = session.scalars(
            sa.select(ReconciliationRun.because).order_by(ReconciliationRun.ran_at.desc()).limit(3)
        ).all()
    assert causes == ["month"] * 3
    again = months.look(this_month(), now=now(), told=quietly)
    assert (again.changed, counted(again, "check-in-elsewhere")) == (0, {"decided": 1})


def test_whoever_is_killed_goes_on_where_that_was(app: Flask, visits: list[UUID]) -> None:
    where_everybody_was_is_forgotten()

    def killed(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        months.keep(this_month(), now=now(), told=killed)
    half = months.unfinished(this_month())
    got_to = half and (half.visits, half.changed, half.after)
    rest = months.keep(this_month(), now=now(), told=quietly)

    assert got_to == (2, 2, visits[1])
    assert [visit_id for visit_id, _ in rest.shown] == [visits[2]]
    with transaction() as session:
        runs = session.execute(sa.select(MonthAgain.visits, MonthAgain.changed, MonthAgain.finished_at)).all()
    assert [(run[0], run[1], run[2] is not None) for run in runs] == [(3, 3, True)]
    assert months.unfinished(this_month()) is None


def test_a_month_has_its_own_visits_and_only_those_judged_before(app: Flask, visits: list[UUID]) -> None:
    month = this_month()
    last = (month - timedelta(days=1)).replace(day=1)
    with transaction() as session:
        session.execute(sa.update(Visit).where(Visit.id == visits[0]).values(reconciled_at=None))

    assert (months.count(month), months.count(last)) == (2, 0)
    assert months.look(last, now=now(), told=quietly).visits == 0


def test_what_was_erased_is_not_judged_again(app: Flask, visits: list[UUID]) -> None:
    with transaction() as session:
        visit = session.get_one(Visit, visits[0])
        session.add(
            Erasure(
                seal=b"",
                debtor_id=visit.debtor_id,
                erased_at=now(),
                ended_at=now(),
                kept_days=1,
                source={},
                counts={},
                things_sha256=bytes(32),
            )
        )
        session.execute(sa.update(Account).where(Account.visit_id == visits[0]).values(claims={}))
    before = judge(visits[0])

    reconcile_visit(now=now() + timedelta(days=40), visit_id=str(visits[0]))
    with transaction() as session:
        session.execute(sa.text("DELETE FROM procrastinate_jobs"))
    reconcile_due(now=now() + timedelta(days=40))

    due = sa.text("SELECT args ->> 'visit_id' FROM procrastinate_jobs WHERE task_name = 'reconcile_visit'")
    assert set(db.session.scalars(due)) == {str(one) for one in visits[1:]}
    assert months.count(this_month()) == 2
    assert months.look(this_month(), now=now(), told=quietly).visits == 2
    assert {one.id: one.state for one in judge(visits[0]).values()} == {
        one.id: one.state for one in before.values()
    }


def statements_of_looking(month: date) -> int:
    """How often a look at a month asks the database."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        months.look(month, now=now(), told=quietly)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return len(asked)


def test_a_visit_costs_the_same_queries_however_much_it_holds(
    app: Flask, phone: Phone, visits: list[UUID]
) -> None:
    lean = statements_of_looking(this_month())
    with transaction() as session:
        for n in range(20):
            session.add(
                Evidence(
                    id=UUID(int=1000 + n),
                    device_id=phone.device_id,
                    visit_id=visits[0],
                    kind="photo",
                    purpose="door",
                    state="expected",
                )
            )

    assert statements_of_looking(this_month()) == lean
    assert lean <= 3 * 60


def test_the_command_shows_first_and_keeps_when_told(
    app: Flask, config: Config, tmp_path: Path, visits: list[UUID]
) -> None:
    where_everybody_was_is_forgotten()
    environ = {
        **SECRETS,
        "DATABASE_URL": config.libpq_url,
        "FIELDVISIT_VAR": str(tmp_path),
        "LOG_LEVEL": "ERROR",
    }
    month = this_month().strftime("%Y-%m")

    def run(*options: str) -> str:
        ended = CliRunner().invoke(main, ["reconcile-again", "--month", *options], env=environ)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    shown, kept, after = run(month), run(month, "--keep"), run(month)

    assert "3 visits judged, 3 of them are otherwise now." in shown and "Nothing was written." in shown
    row = next(line for line in shown.splitlines() if line.startswith("check-in-elsewhere"))
    assert row.split() == ["check-in-elsewhere", "0", "3", "0", "0", "0"]
    assert [line for line in shown.splitlines() if line.startswith("visit ")] == [
        line for line in kept.splitlines() if line.startswith("visit ")
    ]
    assert "Kept." in kept and "3 visits judged, 0 of them" in after


def test_what_is_no_month_is_refused() -> None:
    ended = CliRunner().invoke(main, ["reconcile-again", "--month", "2026-13"])

    assert ended.exit_code == 2 and "such as 2026-10" in ended.output
