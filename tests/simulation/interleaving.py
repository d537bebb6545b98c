"""How do statements of several requests come to run in an order that a seed chose?

Every statement and every commit asks for its turn here, also those that go to the driver directly. Whoever
acts alone goes straight on, or dies there if its process is to be killed. What acts together stops before
each statement until it is chosen; one that waits for another's lock in PostgreSQL is passed over until the
lock is free. So the locks are real, and the order is the same each time.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from server import driver

GLANCE_SECONDS: Final = 0.002
PATIENCE_SECONDS: Final = 120
_BLOCKED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
"""


class ServerDied(BaseException):
    """The server's process was killed here. No handler of the product may catch it, as none could."""


@dataclass(slots=True)
class Part:
    """One of the things that happen together."""

    act: Callable[[], None]
    is_parked: bool = False
    is_done: bool = False
    may_go: bool = False
    failure: BaseException | None = None


@dataclass(slots=True)
class Turns:
    """Gives out turns; `monitor` is a connection that looks at who waits for whom."""

    monitor: psycopg.Connection[Any]
    _listeners: list[Callable[[], None]] = field(default_factory=list)
    _parts: threading.local = field(default_factory=threading.local)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def listen_to(self, engine: sa.Engine) -> None:
        """Be asked before every statement and commit on this engine, and by the product's driver."""

        def before(connection: sa.Connection, *_: Any) -> None:
            self._ask(connection.connection.driver_connection)

        for name in ("before_cursor_execute", "commit"):
            event.listen(engine, name, before)
            self._listeners.append(partial(event.remove, engine, name, before))
        for name in ("run_on", "_run_each_on"):
            original = getattr(driver, name)
            setattr(driver, name, self._asking(original))
            self._listeners.append(partial(setattr, driver, name, original))

    def _asking(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def asking(raw: Any, *statement: Any) -> Any:
            self._ask(raw)
            return run(raw, *statement)

        return asking

    def forget(self) -> None:
        """Be asked no more."""
        while self._listeners:
            self._listeners.pop()()

    def die_at(self, statement: int | None) -> None:
        """Have the process of this thread's next request killed at its n-th statement (None: live)."""
        self._parts.deadline = statement

    def _ask(self, raw: Any) -> None:
        deadline = getattr(self._parts, "deadline", None)
        if deadline is not None:
            self._parts.deadline = deadline - 1
            if deadline <= 1:
                self._parts.deadline = None
                raw.rollback()  # what PostgreSQL does when the process at the other end is gone
                raise ServerDied
        part: Part | None = getattr(self._parts, "part", None)
        if part is not None:
            self._park(part)

    def _park(self, part: Part) -> None:
        with self._changed:
            part.is_parked = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: part.may_go)
            part.may_go = part.is_parked = False

    def together(self, acts: Sequence[Callable[[], None]], *, seed: int) -> None:
        """Run these at the same time, interleaved by the seed; raise the first failure once all ended."""
        dice = random.Random(seed)
        parts = [Part(act) for act in acts]
        threads = [threading.Thread(target=self._run, args=(part,), daemon=True) for part in parts]
        for thread in threads:
            thread.start()
        while not all(part.is_done for part in parts):
            self._settle(parts)
            if ready := [part for part in parts if part.is_parked and not part.is_done]:
                chosen = dice.choice(ready)
                with self._changed:
                    chosen.may_go, chosen.is_parked = True, False
                    self._changed.notify_all()
        for thread in threads:
            thread.join()
        for part in parts:
            if part.failure is not None:
                raise part.failure

    def _run(self, part: Part) -> None:
        self._parts.part = part
        try:
            self._park(part)
            part.act()
        except BaseException as failure:  # handed to the thread that waits for all of them
            part.failure = failure
        finally:
            with self._changed:
                part.is_done = True
                self._changed.notify_all()

    def _settle(self, parts: Sequence[Part]) -> None:
        """Wait until everybody is at a statement, at the end, or waits for a lock.

        Who waits is not asked: a part that holds a turn may be on any of its connections.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while moving := [part for part in parts if not (part.is_parked or part.is_done)]:
            with self._changed:
                if self._changed.wait_for(lambda: self._are_still(moving), GLANCE_SECONDS):
                    continue
            waiting = [part for part in moving if not (part.is_parked or part.is_done)]
            if self._blocked() >= len(waiting) and self._somebody_can_go(parts):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(waiting)} of {len(parts)} acts neither end nor wait for a lock")

    @staticmethod
    def _are_still(parts: Sequence[Part]) -> bool:
        return all(part.is_parked or part.is_done for part in parts)

    @staticmethod
    def _somebody_can_go(parts: Sequence[Part]) -> bool:
        return any(part.is_parked for part in parts)

    def _blocked(self) -> int:
        """Return how many connections wait for a lock."""
        row = self.monitor.execute(_BLOCKED).fetchone()
        return 0 if row is None else row[0]
