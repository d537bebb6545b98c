"""How does work that may wait get done exactly when the data that needs it are committed?

procrastinate keeps its queue in the same PostgreSQL, so a job is a row of the caller's transaction: it
exists if and only if the rest was committed. Workflows register functions with `@task` and defer them with
`enqueue`; `fieldvisit worker` runs them, each inside an app context, with retries and a schedule.

Arguments are ids and plain values, never personal data: they stand in the queue and in the logs.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import procrastinate
import sqlalchemy as sa
from flask import Flask
from procrastinate import jobs, tasks
from procrastinate.exceptions import UniqueViolation
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from psycopg import Connection

from server.database import db
from server.driver import documents, run, texts
from server.errors import Unavailable

log = logging.getLogger(__name__)

ATTEMPTS: Final = 8
AWAY_ATTEMPTS: Final = 1_000
BACKOFF_BASE_SECONDS: Final = 3
LONGEST_WAIT_SECONDS: Final = 600
KEEP_DONE_HOURS: Final = 72
POLL_SECONDS: Final = 1.0
"""Notifications wake the worker at once; this is for those it misses while it connects."""
QUEUE: Final = "default"
TABLE_PREFIX: Final = "procrastinate_"
STALLED_EVERY: Final = "* * * * *"

TaskFunction = Callable[..., None]


@dataclass(frozen=True, slots=True)
class RegisteredTask:
    """A function the worker can run, and when it runs by itself."""

    name: str
    function: TaskFunction
    every: str | None
    attempts: int


_registry: dict[str, RegisteredTask] = {}


def task(
    name: str, *, every: str | None = None, attempts: int = ATTEMPTS
) -> Callable[[TaskFunction], TaskFunction]:
    """Register a function as a job; `every` is a cron line (UTC) on which it also runs by itself.

    The worker calls it inside an app context as `function(now=..., **args)`; an exception means: try again
    later. It must be safe to run twice, because a worker may die after its commit and before it said so.
    """

    def register(function: TaskFunction) -> TaskFunction:
        if name in _registry:
            raise RuntimeError(f"two tasks are named {name}")
        _registry[name] = RegisteredTask(name=name, function=function, every=every, attempts=attempts)
        return function

    return register


def enqueue(
    name: str,
    *,
    lock: str | None = None,
    queueing_lock: str | None = None,
    schedule_in: int | None = None,
    **args: Any,
) -> bool:
    """Defer a task inside the caller's transaction; False when its `queueing_lock` is already waiting.

    Jobs of the same `lock` never run at the same time. `schedule_in` is in seconds.
    """
    return bool(_defer(name, [(queueing_lock, args)], lock=lock, schedule_in=schedule_in))


def enqueueing(name: str, *, each: str, args: str) -> str:
    """Return SQL that defers a task for each row of a relation, for a statement that is a whole transaction.

    `args` is an SQL expression of type jsonb.
    """
    return f"""
        INSERT INTO {TABLE_PREFIX}jobs (queue_name, task_name, args, scheduled_at)
        SELECT '{QUEUE}', '{name}', {args}, clock_timestamp() FROM {each}
        RETURNING id
    """


def enqueue_each(name: str, jobs_by_lock: Mapping[str, Mapping[str, Any]]) -> int:
    """Defer a task once per queueing lock, in one statement; return how many were not waiting already."""
    return _defer(name, list(jobs_by_lock.items())) if jobs_by_lock else 0


def _defer(
    name: str,
    wanted: Sequence[tuple[str | None, Mapping[str, Any]]],
    *,
    lock: str | None = None,
    schedule_in: int | None = None,
) -> int:
    """Write jobs as procrastinate's own function does, but leave out what waits already.

    Its function raises instead, and the savepoint which that needs costs more than the job.
    """
    session = db.session()
    if not session.info.get("in_transaction"):
        raise RuntimeError(f"enqueue({name!r}) outside transaction(): the job would never be committed")
    if name not in _registry:
        raise RuntimeError(f"no task is named {name!r}; the worker would not know what to do")
    values = {
        "queue": QUEUE,
        "task": name,
        "lock": lock,
        "seconds": schedule_in,
        "queueing_locks": texts(queueing_lock for queueing_lock, _ in wanted),
        "args": documents(dict(args) for _, args in wanted),
    }
    return len(run(session, _DEFER, values))


_DEFER: Final = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, scheduled_at)
    SELECT %(queue)s, %(task)s, %(lock)s, job.queueing_lock, job.args,
           clock_timestamp() + make_interval(secs => %(seconds)s)
    FROM unnest(%(queueing_locks)s, %(args)s) AS job (queueing_lock, args)
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING
    RETURNING id
"""


def apply_schema(connection: sa.Connection) -> None:
    """Create procrastinate's tables, functions and triggers; for the first migration."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, Connection)
    raw.execute(SchemaManager.get_schema())


def is_ours(
    _thing: object, name: str | None, kind: str, _reflected: bool, _compare_to: object | None
) -> bool:
    """Tell Alembic's autogenerate to leave the queue's tables alone (`include_object`)."""
    return not (kind in ("table", "index") and (name or "").startswith(TABLE_PREFIX))


def run_worker(app: Flask, *, until_idle: bool = False, concurrency: int = 4) -> None:
    """Run jobs and the schedule until SIGTERM or SIGINT (what has begun is finished).

    `until_idle` is for tests: only what was enqueued is run, and it returns when nothing more is due.

    A job whose worker was killed is put back within two minutes by the surviving ones.
    """
    asyncio.run(_work(app, until_idle=until_idle, concurrency=concurrency))


async def _work(app: Flask, *, until_idle: bool, concurrency: int) -> None:
    queue = open_queue(app.extensions["config"].libpq_url, connections=concurrency + 2)
    for registered in _registry.values():
        added = _add(queue, registered, app=app)
        if registered.every is not None and not until_idle:
            queue.periodic(cron=registered.every)(added)
    if not until_idle:
        _add_upkeep(queue)
    async with queue.open_async():
        if until_idle:
            while await _is_anything_due(queue):
                await queue.run_worker_async(
                    concurrency=concurrency, wait=False, install_signal_handlers=False, listen_notify=False
                )
            return
        await queue.run_worker_async(concurrency=concurrency, fetch_job_polling_interval=POLL_SECONDS)


def open_queue(url: str, *, connections: int) -> procrastinate.App:
    """Return the queue of a database, as whoever takes jobs out of it needs it."""
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=connections)
    queue = procrastinate.App(connector=connector)
    queue.job_manager = _Jobs(queue.connector)
    return queue


class _Jobs(JobManager):
    """procrastinate's, but a job that is to be tried again gives way to one of its queueing lock that waits.

    Both cannot wait. Its own stumbles over the index then and leaves the job as one that runs: for ever, and
    everything of the same lock behind it.
    """

    async def retry_job(self, job: jobs.Job, *args: Any, **how: Any) -> None:
        try:
            await super().retry_job(job, *args, **how)
        except UniqueViolation:
            await self.finish_job(job=job, status=jobs.Status.ABORTED, delete_job=True)


async def _is_anything_due(queue: procrastinate.App) -> bool:
    """Whether a job waits: one told not to wait stops fetching before its last jobs have enqueued theirs."""
    row = await queue.connector.execute_query_one_async(
        "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'todo'"
        " AND (scheduled_at IS NULL OR scheduled_at <= now())) AS is_due"
    )
    return bool(row["is_due"])


def _add(queue: procrastinate.App, registered: RegisteredTask, *, app: Flask) -> tasks.Task[Any, Any, Any]:
    """Make a registered function known to one worker."""

    def run(timestamp: int | None = None, **args: Any) -> None:
        del timestamp  # the scheduled minute of a periodic run; tasks go by the server's clock
        with app.app_context():
            registered.function(now=app.extensions["clock"].now(), **args)

    backoff = Backoff(attempts=registered.attempts)
    # What runs by itself never runs beside itself: a backlog would take every place of the worker.
    alone = registered.every and f"every-{registered.name}"
    return queue.task(name=registered.name, retry=backoff, lock=alone, queueing_lock=alone)(run)


class Backoff(procrastinate.BaseRetryStrategy):
    """Try again after 3, 9, 27 ... seconds, at most ten minutes apart.

    What is away comes back: for a week a job is not given up for it, or an hour without the store would leave
    evidence uninspected for ever. Of a lock others wait behind it, and what has one comes again by itself.
    """

    def __init__(self, *, attempts: int) -> None:
        self.attempts = attempts

    def get_retry_decision(
        self, *, exception: BaseException, job: jobs.Job
    ) -> procrastinate.RetryDecision | None:
        """Say when to try again; None gives up and leaves the job as failed, for people to look at."""
        tried = job.attempts + 1
        is_away = isinstance(exception, Unavailable) and job.lock is None and self.attempts > 1
        if tried >= (AWAY_ATTEMPTS if is_away else self.attempts):
            return None
        wait = min(BACKOFF_BASE_SECONDS ** min(tried, ATTEMPTS), LONGEST_WAIT_SECONDS)
        return procrastinate.RetryDecision(retry_in={"seconds": wait})


def _add_upkeep(queue: procrastinate.App) -> None:
    """Add what procrastinate leaves to us: rescue of stalled jobs, removal of old ones."""

    async def rescue(context: procrastinate.JobContext, timestamp: int) -> None:
        del timestamp
        await rescue_stalled(context.app)

    rescuer: tasks.Task[Any, Any, Any] = queue.task(
        name="rescue_stalled_jobs", queueing_lock="rescue_stalled_jobs", pass_context=True
    )(rescue)
    queue.periodic(cron=STALLED_EVERY)(rescuer)

    async def remove_old(context: procrastinate.JobContext, timestamp: int) -> None:
        del timestamp
        await context.app.job_manager.delete_old_jobs(nb_hours=KEEP_DONE_HOURS)

    remover: tasks.Task[Any, Any, Any] = queue.task(
        name="remove_old_jobs", queueing_lock="remove_old_jobs", pass_context=True
    )(remove_old)
    queue.periodic(cron="17 3 * * *")(remover)


async def rescue_stalled(queue: procrastinate.App) -> int:
    """Put jobs of dead workers back; one that has killed its worker too often is marked as failed."""
    rescued = 0
    for job in await queue.job_manager.get_stalled_jobs():
        if job.attempts + 1 >= ATTEMPTS:
            log.error("job given up after its workers died", extra={"job_id": job.id, "task": job.task_name})
            await queue.job_manager.finish_job(job=job, status=jobs.Status.FAILED, delete_job=False)
            continue
        await queue.job_manager.retry_job(job)
        rescued += 1
    return rescued
