"""A job exists exactly when the rows it belongs to do."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from procrastinate.exceptions import AlreadyEnqueued

from server import jobs
from server.clock import Clock
from server.config import Config, make_secrets
from server.database import db, transaction
from server.media.store import StoreUnavailable
from tests.cluster import running_cluster

RUNS: list[dict[str, Any]] = []


@jobs.task("test_note")
def note(*, now: datetime, **args: Any) -> None:
    """Write down that it ran, and whether it could use the database."""
    RUNS.append({"now": now, "rows": rows(), **args})


@jobs.task("test_fail", attempts=2)
def fail(*, now: datetime) -> None:
    """Fail every time."""
    RUNS.append({"now": now})
    raise ValueError("as told")


@jobs.task("test_away", attempts=2)
def away(*, now: datetime) -> None:
    """Need something that is away, the first three times."""
    RUNS.append({"now": now})
    if len(RUNS) <= 3:
        raise StoreUnavailable("The media store cannot be reached; try again.")


@jobs.task("test_fail_beside_its_twin")
def fail_beside_its_twin(*, now: datetime) -> None:
    """Fail the first time, when the same work was asked for again meanwhile."""
    RUNS.append({"now": now})
    if len(RUNS) == 1:
        with transaction():
            assert jobs.enqueue("test_fail_beside_its_twin", lock="twins", queueing_lock="twins")
        raise ValueError("as told")


@pytest.fixture(scope="module")
def queue_url(worker_id: str) -> Iterator[str]:
    """A database with the queue's tables and one table of ours."""
    with running_cluster() as cluster:
        name = f"queue_{worker_id}"
        url = cluster.create(name)
        engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.begin() as connection:
            jobs.apply_schema(connection)
            connection.execute(sa.text("CREATE TABLE written (id int)"))
        engine.dispose()
        yield url
        cluster.drop(name)


@pytest.fixture
def queue_app(queue_url: str, tmp_path: Path) -> Iterator[Flask]:
    """A small app on that database, both tables empty."""
    RUNS.clear()
    app = Flask("queue")
    config = Config.from_environ(make_secrets(), var=tmp_path, default_database_url=queue_url)
    app.extensions["config"] = replace(config, log_level="WARNING")
    app.extensions["clock"] = Clock()
    app.config["SQLALCHEMY_DATABASE_URI"] = config.sqlalchemy_url
    db.init_app(app)
    with app.app_context():
        db.session.execute(sa.text("TRUNCATE written, procrastinate_jobs, procrastinate_workers CASCADE"))
        db.session.commit()
        yield app
        db.session.remove()
        db.engine.dispose()


def test_job_is_deferred_with_the_rows_it_belongs_to(queue_app: Flask):
    with transaction():
        write(1)
        assert jobs.enqueue("test_note", evidence_id="e-1")

    assert rows() == [1]
    assert waiting() == [("test_note", {"evidence_id": "e-1"})]


def test_rollback_removes_the_job_with_the_rows(queue_app: Flask):
    with pytest.raises(ZeroDivisionError), transaction():
        write(1)
        jobs.enqueue("test_note")
        raise ZeroDivisionError

    assert rows() == []
    assert waiting() == []


def test_job_that_already_waits_leaves_everything_else_committed(queue_app: Flask):
    with transaction():
        assert jobs.enqueue("test_note", queueing_lock="visit-1")

    with transaction():
        write(1)
        again = jobs.enqueue("test_note", queueing_lock="visit-1")
        write(2)
        jobs.enqueue("test_note", queueing_lock="visit-2")

    assert again is False
    assert rows() == [1, 2]
    assert len(waiting()) == 2


def test_many_jobs_are_deferred_at_once_but_for_those_that_wait_already(queue_app: Flask):
    with transaction():
        jobs.enqueue("test_note", queueing_lock="visit-1", visit_id="v-1")

    with transaction():
        write(1)
        wanted = {f"visit-{n}": {"visit_id": f"v-{n}"} for n in (1, 2, 3)}
        added = jobs.enqueue_each("test_note", wanted)
        nothing = jobs.enqueue_each("test_note", {})

    assert (added, nothing, rows()) == (2, 0, [1])
    assert sorted(args["visit_id"] for _, args in waiting()) == ["v-1", "v-2", "v-3"]


def test_a_job_that_runs_leaves_room_for_the_next_of_its_queueing_lock(queue_app: Flask):
    for _ in range(2):
        with transaction():
            assert jobs.enqueue("test_note", queueing_lock="visit-1")
        jobs.run_worker(queue_app, until_idle=True)

    assert len(RUNS) == 2


def test_a_worker_at_rest_hears_of_a_job_at_once(queue_app: Flask, queue_url: str):
    with psycopg.connect(queue_url, autocommit=True) as listening:
        listening.execute('LISTEN "procrastinate_any_queue_v1"')

        with transaction():
            jobs.enqueue("test_note")

        (heard,) = listening.notifies(timeout=30, stop_after=1)
    assert "job_inserted" in heard.payload


def test_enqueue_outside_a_transaction_is_a_fault(queue_app: Flask):
    with pytest.raises(RuntimeError, match="outside transaction"):
        jobs.enqueue("test_note")


def test_unknown_task_is_a_fault_where_it_is_deferred(queue_app: Flask):
    with pytest.raises(RuntimeError, match="no task is named"), transaction():
        jobs.enqueue("test_nobody")


def test_worker_runs_what_is_due_inside_an_app_context(queue_app: Flask):
    with transaction():
        write(7)
        jobs.enqueue("test_note", visit_id="v-1")
        jobs.enqueue("test_note", visit_id="v-2", schedule_in=3600)

    jobs.run_worker(queue_app, until_idle=True)

    assert [run["visit_id"] for run in RUNS] == ["v-1"]
    assert RUNS[0]["rows"] == [7]
    assert RUNS[0]["now"].tzinfo is UTC
    assert waiting() == [("test_note", {"visit_id": "v-2"})]


def test_failed_job_waits_longer_before_each_new_try_and_is_then_given_up(queue_app: Flask):
    with transaction():
        jobs.enqueue("test_fail")

    jobs.run_worker(queue_app, until_idle=True)
    first = statuses()
    make_due()
    jobs.run_worker(queue_app, until_idle=True)

    assert first == ["todo"]
    assert statuses() == ["failed"]
    assert len(RUNS) == 2


def test_a_job_is_not_given_up_because_the_store_is_away(queue_app: Flask):
    with transaction():
        jobs.enqueue("test_away")

    for _ in range(4):
        jobs.run_worker(queue_app, until_idle=True)
        make_due()

    assert len(RUNS) == 4
    assert statuses() == ["succeeded"]


def test_a_job_that_others_wait_behind_is_given_up_all_the_same(queue_app: Flask):
    with transaction():
        jobs.enqueue("test_away", lock="collect")
        jobs.enqueue("test_note", lock="collect")

    for _ in range(2):
        jobs.run_worker(queue_app, until_idle=True)
        make_due()
    jobs.run_worker(queue_app, until_idle=True)

    assert statuses() == ["failed", "succeeded"]


def test_a_job_that_fails_while_the_same_waits_again_leaves_it_to_that(queue_app: Flask):
    with transaction():
        jobs.enqueue("test_fail_beside_its_twin", lock="twins", queueing_lock="twins")

    jobs.run_worker(queue_app, until_idle=True)

    assert statuses() == ["succeeded"]
    assert len(RUNS) == 2


def test_a_stranded_job_of_which_the_same_waits_keeps_no_other_from_being_put_back(queue_app: Flask):
    with transaction():
        jobs.enqueue("test_note", queueing_lock="twins", visit_id="v-1")
        jobs.enqueue("test_note", visit_id="v-2")
    strand_the_job(attempts=0)
    with transaction():
        jobs.enqueue("test_note", queueing_lock="twins", visit_id="v-1")

    rescue(queue_app)
    jobs.run_worker(queue_app, until_idle=True)

    assert set(statuses()) == {"succeeded"}
    assert sorted(run["visit_id"] for run in RUNS) == ["v-1", "v-2"]


def test_what_runs_by_itself_never_runs_beside_itself_nor_waits_twice(queue_app: Flask):
    defer_as_the_schedule_does(queue_app, at=1)
    with pytest.raises(AlreadyEnqueued):
        defer_as_the_schedule_does(queue_app, at=61)
    strand_the_job(attempts=0)

    defer_as_the_schedule_does(queue_app, at=121)

    with closing(psycopg.connect(libpq())) as connection:
        taken = connection.execute("SELECT id FROM procrastinate_fetch_job_v2(NULL, NULL)").fetchone()
    assert statuses() == ["doing", "todo"]
    assert taken == (None,)


def defer_as_the_schedule_does(app: Flask, *, at: int) -> None:
    """Defer a task that is registered to run every minute."""

    async def once() -> None:
        queue = jobs.open_queue(libpq(), connections=2)
        minutely = jobs.RegisteredTask(name="minutely", function=note, every="* * * * *", attempts=2)
        task = jobs._add(queue, minutely, app=app)  # pyright: ignore[reportPrivateUsage]
        async with queue.open_async():
            await task.defer_async(timestamp=at)

    asyncio.run(once())


def test_job_of_a_dead_worker_is_put_back(queue_app: Flask):
    with transaction():
        jobs.enqueue("test_note")
    strand_the_job(attempts=0)

    rescued = rescue(queue_app)
    jobs.run_worker(queue_app, until_idle=True)

    assert rescued == 1
    assert statuses() == ["succeeded"]


def test_job_that_keeps_killing_its_workers_is_given_up(queue_app: Flask):
    with transaction():
        jobs.enqueue("test_note")
    strand_the_job(attempts=jobs.ATTEMPTS)

    assert rescue(queue_app) == 0
    assert statuses() == ["failed"]


def test_autogenerate_leaves_the_queue_alone():
    assert not jobs.is_ours(None, "procrastinate_jobs", "table", True, None)
    assert not jobs.is_ours(None, "procrastinate_jobs_id_lock_idx_v1", "index", True, None)
    assert jobs.is_ours(None, "visit", "table", True, None)


def write(number: int) -> None:
    """Insert into our own table, in whatever transaction is open."""
    db.session.execute(sa.text("INSERT INTO written VALUES (:number)"), {"number": number})


def rows() -> list[int]:
    """Read our own table."""
    found = list(db.session.execute(sa.text("SELECT id FROM written ORDER BY id")).scalars())
    db.session.rollback()
    return found


def waiting() -> list[tuple[str, dict[str, Any]]]:
    """Read the queue as another connection sees it."""
    with closing(psycopg.connect(libpq())) as connection:
        found = connection.execute(
            "SELECT task_name, args FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id"
        )
        return found.fetchall()


def statuses() -> list[str]:
    """Read every job's status."""
    with closing(psycopg.connect(libpq())) as connection:
        found = connection.execute("SELECT status::text FROM procrastinate_jobs ORDER BY id").fetchall()
    return [status for (status,) in found]


def make_due() -> None:
    """Let the waiting time of every job be over."""
    with psycopg.connect(libpq()) as connection:
        connection.execute("UPDATE procrastinate_jobs SET scheduled_at = now() - interval '1 second'")


def strand_the_job(*, attempts: int) -> None:
    """Leave the job as a worker leaves it that was killed a minute ago."""
    with psycopg.connect(libpq()) as connection:
        connection.execute(
            "WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat)"
            " VALUES (now() - interval '1 minute') RETURNING id)"
            " UPDATE procrastinate_jobs SET status = 'doing', worker_id = dead.id, attempts = %s FROM dead",
            [attempts],
        )


def rescue(app: Flask) -> int:
    """Run the rescue that the worker runs every minute."""

    async def once() -> int:
        queue = jobs.open_queue(libpq(), connections=2)
        async with queue.open_async():
            return await jobs.rescue_stalled(queue)

    return asyncio.run(once())


def libpq() -> str:
    """The address of the queue's database."""
    return db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
