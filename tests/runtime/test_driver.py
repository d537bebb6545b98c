"""The short way to PostgreSQL: packed values mean what they say, and failures look like everybody else's."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DataError, IntegrityError, InternalError, OperationalError

from server import driver
from server.database import db, transaction
from server.driver import look_up, run, run_alone

STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
GENTLY = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def nullable(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | values, max_size=6)


@pytest.mark.parametrize(
    ("pack", "values"),
    [
        (driver.uuids, nullable(st.uuids())),
        (driver.longs, nullable(st.integers(-(2**63), 2**63 - 1))),
        (driver.blobs, nullable(st.binary(max_size=40))),
        (driver.texts, nullable(STORABLE)),
        (driver.times, nullable(MOMENTS)),
        (driver.dates, nullable(st.dates(date(1900, 1, 1), date(2200, 1, 1)))),
        (driver.documents, nullable(st.dictionaries(STORABLE, st.integers(0, 9) | STORABLE | st.none()))),
    ],
    ids=["uuids", "longs", "blobs", "texts", "times", "dates", "documents"],
)
def test_what_is_packed_comes_back(
    app: Flask, pack: Callable[[Sequence[Any]], bytes], values: st.SearchStrategy[list[Any]]
) -> None:
    @GENTLY
    @given(values)
    def there_and_back(sent: list[Any]) -> None:
        with transaction() as session:
            rows = run(session, "SELECT value FROM unnest(%(sent)s) AS one (value)", {"sent": pack(sent)})
        assert [row.value for row in rows] == sent

    there_and_back()


def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        driver.times([datetime(2026, 1, 1)])


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("INSERT INTO devices (id, staff_id, algorithm, public_key, keyid, enrolled_at)"
         " VALUES (gen_random_uuid(), gen_random_uuid(), 'ed25519', '', '', now())", IntegrityError),
        ("SELECT 1 / 0", DataError),
        ("SELECT pg_terminate_backend(pg_backend_pid())", OperationalError),
    ],
    ids=["integrity", "data", "gone"],
)  # fmt: skip
def test_failures_are_those_of_sqlalchemy(app: Flask, statement: str, error: type[Exception]) -> None:
    with pytest.raises(error) as failed, transaction() as session:
        run(session, statement, {})

    assert "devices" not in str(failed.value.__cause__) or error is IntegrityError
    with transaction() as session:
        assert run(session, "SELECT 1 AS one", {})[0].one == 1


ONE = ("SELECT 1 AS one", {})
LENDERS: dict[str, Callable[[str], Any]] = {
    "alone": lambda statement: run_alone(db.engine, statement, {})[0],
    "look up": lambda statement: look_up(db.engine, ONE, (statement, {}), ONE)[1][0],
}


@pytest.mark.parametrize("ask", LENDERS.values(), ids=LENDERS)
def test_a_lent_connection_comes_back_without_a_transaction(app: Flask, ask: Callable[[str], Any]) -> None:
    mine = ask("SELECT pg_backend_pid() AS pid")

    with db.engine.connect() as watcher:
        asked = sa.text("SELECT state, xact_start FROM pg_stat_activity WHERE pid = :pid")
        other = watcher.execute(asked, {"pid": mine.pid}).one()
    assert other.state in ("idle", "active")  # the pool may have handed the same connection to the watcher
    with transaction() as session:
        session.execute(sa.text("CREATE TEMPORARY TABLE kept (id int) ON COMMIT DROP"))
        assert run(session, "SELECT count(*) AS n FROM kept", {})[0].n == 0


@pytest.mark.parametrize("ask", LENDERS.values(), ids=LENDERS)
def test_a_failure_does_not_spoil_the_pool(app: Flask, ask: Callable[[str], Any]) -> None:
    for _ in range(3):
        with pytest.raises(DataError):
            ask("SELECT 1 / 0")

    assert ask("SELECT 1 AS one").one == 1


@pytest.mark.parametrize("ask", LENDERS.values(), ids=LENDERS)
def test_a_server_that_goes_away_meanwhile_is_said_to(app: Flask, ask: Callable[[str], Any]) -> None:
    with pytest.raises(OperationalError):
        ask("SELECT pg_terminate_backend(pg_backend_pid())")

    assert ask("SELECT 1 AS one").one == 1


def test_what_is_run_alone_is_committed(app: Flask) -> None:
    run_alone(db.engine, "INSERT INTO feed_heads (scope, seq) VALUES ('a scope', 7)", {})

    (told,) = look_up(db.engine, ("SELECT seq FROM feed_heads WHERE scope = 'a scope'", {}))
    assert [row.seq for row in told] == [7]


def test_all_questions_of_a_look_up_see_one_instant_and_write_nothing(app: Flask) -> None:
    now = ("SELECT pg_current_snapshot()::text AS seen, now() AS at", {})

    first, second = look_up(db.engine, now, ("SELECT pg_sleep(0.02)", {}), now)[::2]

    assert first == second
    with pytest.raises(InternalError, match="read-only"):
        look_up(db.engine, ("DELETE FROM feed_heads", {}))


def test_pooled_connections_whose_server_has_gone_are_replaced_unnoticed(app: Flask) -> None:
    with db.engine.connect() as one, db.engine.connect() as two:
        pids = [each.execute(sa.text("SELECT pg_backend_pid()")).scalar_one() for each in (one, two)]
    with db.engine.connect() as killer:
        living = killer.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        for pid in pids:
            if pid != living:
                killer.execute(sa.text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})

    with db.engine.connect() as first, db.engine.connect() as second:
        alive = [each.execute(sa.text("SELECT pg_backend_pid()")).scalar_one() for each in (first, second)]

    assert len(set(pids) - {living}) >= 1
    assert not (set(pids) - {living}) & set(alive)


def test_an_id_is_an_id(app: Flask) -> None:
    with transaction() as session:
        (row,) = run(session, "SELECT %(ids)s AS ids", {"ids": driver.uuids([UUID(int=7)])})

    assert row.ids == [UUID(int=7)]
