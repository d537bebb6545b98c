"""What do operators watch, and where do the figures come from?

`/metrics` speaks Prometheus. Requests are counted per route (never per path: ids would make endless
series). gunicorn runs several web processes, so the counters live in files they share
(PROMETHEUS_MULTIPROC_DIR, set by `server/gunicorn_conf.py`) and one scrape of any of them sees all. Figures
about jobs are read from the queue itself at each scrape: true for every worker on every machine.
"""

import os
import time
from collections.abc import Iterable

import sqlalchemy as sa
from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from server.database import db

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUESTS = Counter("fieldvisit_requests_total", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram("fieldvisit_request_seconds", "Time to answer a request.", ["method", "route"])

JOBS_BY_STATUS = sa.text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY status")
OLDEST_DUE = sa.text(
    "SELECT coalesce(extract(epoch FROM now() - min(coalesce(scheduled_at, at))), 0)::float8"
    " FROM procrastinate_jobs AS job"
    " JOIN procrastinate_events AS event ON event.job_id = job.id AND event.type = 'deferred'"
    " WHERE job.status = 'todo' AND coalesce(scheduled_at, at) <= now()"
)


ROT = sa.text("SELECT kind, count(*) FROM rot WHERE mended_at IS NULL GROUP BY kind")
OLDEST_CHECK = sa.text(
    "SELECT coalesce(extract(epoch FROM now() - min(checked_at)), 0)::float8 FROM kept_objects"
)


def init_app(app: Flask) -> None:
    """Count this app's requests and serve `/metrics`."""
    app.before_request(_start_timer)
    app.after_request(_count_request)
    app.add_url_rule("/metrics", "metrics", _metrics)


def _start_timer() -> None:
    g.metrics_started = time.perf_counter()


def _count_request(response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule else "(none)"
    method = request.method if request.method in METHODS else "(other)"
    REQUESTS.labels(method, route, str(response.status_code)).inc()
    started = g.get("metrics_started")
    if started is not None:
        SECONDS.labels(method, route).observe(time.perf_counter() - started)
    return response


def _metrics() -> Response:
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)
        requests = generate_latest(registry)
    else:
        requests = generate_latest(REGISTRY)
    queue = CollectorRegistry()
    queue.register(QueueCollector())
    queue.register(StorageCollector())
    return Response(requests + generate_latest(queue), content_type=CONTENT_TYPE_LATEST)


class QueueCollector(Collector):
    """Reads the job queue once per scrape."""

    def collect(self) -> Iterable[Metric]:
        """Yield the number of jobs in each status and how long the oldest due one has waited."""
        by_status = GaugeMetricFamily("fieldvisit_jobs", "Jobs in the queue's table.", labels=["status"])
        for status, count in db.session.execute(JOBS_BY_STATUS):
            by_status.add_metric([status], count)
        yield by_status
        waited = db.session.execute(OLDEST_DUE).scalar_one()
        yield GaugeMetricFamily(
            "fieldvisit_oldest_due_job_seconds", "How long the oldest due job waits.", value=waited
        )
        db.session.rollback()


class StorageCollector(Collector):
    """Reads once per scrape what the scrubber has found."""

    def collect(self) -> Iterable[Metric]:
        """Yield how many objects are rotten, and how long ago the least recent check of one was."""
        rot = GaugeMetricFamily("fieldvisit_rot", "Stored objects that are not whole.", labels=["kind"])
        found = {kind: count for kind, count in db.session.execute(ROT)}
        for kind in ("altered", "missing", "unreadable"):
            rot.add_metric([kind], found.get(kind, 0))
        yield rot
        age = db.session.execute(OLDEST_CHECK).scalar_one()
        yield GaugeMetricFamily(
            "fieldvisit_oldest_check_seconds", "How long ago what was checked longest ago was.", value=age
        )
        db.session.rollback()
