"""How does the time of one pushed item divide: reading, checking its signature, judging, writing, signing?

`bench.push` pushes a load once more, through the same app inside this process, with a clock around each of
these functions. It counts processor time of this process alone: what PostgreSQL does is not in it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from flask import Flask

from bench.field import Load, enrol, seal_all
from server import driver, seals
from server.database import db
from server.workflows.exchange import inbox, keeping
from sync import admission

# What is timed, by the part of the work it belongs to. Parts do not contain each other, but for `judge`, from
# which the statements inside it are taken off.
PARTS: Final[Sequence[tuple[str, Any, str]]] = (
    ("decode", inbox, "read_batch"),
    ("decode", admission, "read_item"),
    ("verify", seals.QuickSeal, "has_sealed"),
    ("judge", inbox, "chain_flags"),
    ("judge", inbox, "read_stored"),
    ("judge", inbox, "apply_items"),
    ("sign", keeping, "make_receipt"),
    ("write", driver, "run_on"),
)


def divide(app: Flask, *, batch: int, items: int) -> dict[str, float]:
    """Return microseconds of processor time per item, by part; `other` is HTTP, framework and the rest."""
    warm, load = (seal_all(enrol(app, phones=1, visits_each=n)[0], batch=batch) for n in (8 * batch, items))
    _push_all(app, warm)
    spent: dict[str, float] = dict.fromkeys(("decode", "verify", "judge", "write", "sign"), 0.0)
    with _clocked(spent):
        started = time.thread_time()
        _push_all(app, load)
        total = time.thread_time() - started
    parts = {name: seconds / items * 1e6 for name, seconds in spent.items()}
    return {**parts, "other": total / items * 1e6 - sum(parts.values())}


def _push_all(app: Flask, load: Load) -> None:
    client = app.test_client()
    headers = {"Authorization": f"Bearer {load.token}", "Content-Type": "application/json"}
    for body, documents in zip(load.bodies, load.documents, strict=True):
        answer = client.post("/api/v1/sync/push", data=body, headers=headers)
        if answer.status_code != 200 or answer.data.count(b'"outcome":"applied"') != len(documents):
            raise SystemExit(f"the push failed: {answer.status_code} {answer.data[:500]!r}")
    with app.app_context():
        db.session.remove()


@contextmanager
def _clocked(spent: dict[str, float]) -> Iterator[None]:
    running: list[str] = []
    patches = [
        patch.object(place, name, _timing(getattr(place, name), part, spent, running))
        for part, place, name in PARTS
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def _timing(
    original: Callable[..., Any], part: str, spent: dict[str, float], running: list[str]
) -> Callable[..., Any]:
    def timed(*args: Any, **named: Any) -> Any:
        running.append(part)
        started = time.thread_time()
        try:
            return original(*args, **named)
        finally:
            took = time.thread_time() - started
            running.pop()
            spent[part] += took
            if running:
                spent[running[-1]] -= took

    return timed
