"""A month is closed beside other work: of one instant, and what is decided is of the closing that stands."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from server.authority import Role
from server.config import Config
from server.database import db, transaction
from server.models.assessments import ProposalDecision
from server.models.casework import Complaint
from tests.builders import a_person, a_visitor
from tests.failures.gates import Gate, gate
from tests.office import Office
from tests.reports.closing import OCTOBER, charged, close, read, slug
from tests.reports.stage import a_complaint
from tests.reports.test_month_decisions import decide, signed_in


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def settled(gate: Gate, deed: Future[Any]) -> None:
    """Wait until a deed is done, or stands at a lock that the closing holds."""
    waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'closed_months'::regclass"
    while not deed.done() and gate.connection.execute(waiting).fetchone() is None:
        gate.connection.execute("SELECT pg_sleep(0.005)")


def in_app(office: Office, deed: Callable[[], Any]) -> Callable[[], Any]:
    def done() -> Any:
        with office.app.app_context():
            return deed()

    return done


def not_upheld(complaint: Complaint) -> None:
    ruling = {"merits": "not_upheld", "ruled_by": a_person(Role.SUPERVISOR).id}
    with transaction() as session:
        session.execute(sa.update(Complaint).where(Complaint.id == complaint.id).values(ruling))


def test_nothing_is_decided_of_a_closing_that_another_is_taking_the_place_of(
    office: Office, config: Config, pool: ThreadPoolExecutor
) -> None:
    visitor = a_visitor()
    complaint = a_complaint(visitor)
    a_complaint(visitor)
    close(office)
    signed_in(office, visitor).post(f"{OCTOBER}/mine/replies", json={"text": "我没有"})
    not_upheld(complaint)

    with gate(config.libpq_url, "closed_months") as closed:
        closing = pool.submit(in_app(office, lambda: close(office, reason="投诉不成立")))
        closed.reached()
        deciding = pool.submit(in_app(office, lambda: decide(office, visitor, key=f"E4:{complaint.id}")))
        settled(closed, deciding)
        closed.open()

    assert closing.result().status_code == 201
    assert (deciding.result().status_code, slug(deciding.result())) == (404, "proposal-unknown")
    assert db.session.scalar(sa.select(sa.func.count()).select_from(ProposalDecision)) == 0


def test_a_closing_tells_of_one_instant_and_what_changes_meanwhile_has_changed_since(
    office: Office, config: Config, pool: ThreadPoolExecutor
) -> None:
    visitor = a_visitor()
    complaint = a_complaint(visitor)

    with gate(config.libpq_url, "closed_months", at="statement") as begun:
        closing = pool.submit(in_app(office, lambda: close(office)))
        begun.reached()
        not_upheld(complaint)
        begun.open()

    assert closing.result().status_code == 201
    assert charged(read(office, f"{OCTOBER}/people/{visitor.id}")) == [("E4", 50_000, 50_000)]
    assert read(office)["has_changed_since"]
