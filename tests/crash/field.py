"""Phones at work: each in a thread, recording and syncing for as long as the plug is being pulled.

Every receipt is written down as it arrives, before the phone reads it: that is what the office promised.
"""

import json
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from sync.connection import SyncFault
from sync.phone import Phone, claims_of
from sync.protocol import uuid7
from tests.builders import a_case, a_visitor, an_address, an_assignment
from tests.phones import Watch, a_phone

REQUEST_SECONDS: Final = 20
AT_ONCE: Final = 6


@dataclass(slots=True)
class Field:
    """One phone with its visit. `files` are still to be captured; `wanted` is how much it writes at all."""

    folder: Path
    visit_id: UUID
    dice: random.Random
    files: int
    accounts: int = 0
    sessions: int = 0
    broken: int = 0
    promised: list[dict[str, Any]] = field(default_factory=list)
    failure: BaseException | None = None

    def work(self, base_url: str, is_over: threading.Event, *, pause_seconds: float) -> None:
        """Record and sync until the plug is left alone, then sync until all has arrived."""
        phone = Phone(self.folder, clocks=Watch().clocks())
        try:
            while not is_over.is_set():
                self._record(phone)
                self._try(phone, base_url)
                is_over.wait(self.dice.uniform(0, 2 * pause_seconds))
            phone.end_visit(self.visit_id, position=None)
            while phone.outbox.count_waiting() != (0, 0):
                self._try(phone, base_url)
        except BaseException as failure:  # handed to whoever waits for this thread
            self.failure = failure
        finally:
            phone.close()

    def _record(self, phone: Phone) -> None:
        moment = datetime.now(UTC)
        claims = claims_of(
            arrived_at=moment, left_at=moment, team=[phone.staff_id], met="nobody", outcome="not_home"
        )
        for _ in range(self.dice.randint(1, AT_ONCE)):
            self.accounts += 1
            phone.write_account(self.visit_id, claims=claims, narrative=f"第{self.accounts}稿")
        if self.files and self.dice.random() < 0.5:
            self.files -= 1
            content = self.dice.randbytes(self.dice.randint(20_000, 400_000))
            phone.capture(content, visit_id=self.visit_id, kind="scan", purpose="other", mime="image/jpeg")

    def _try(self, phone: Phone, base_url: str) -> None:
        self.sessions += 1
        hooks = {"response": [self._hear]}
        try:
            with httpx.Client(
                base_url=base_url, timeout=REQUEST_SECONDS, trust_env=False, event_hooks=hooks
            ) as http:
                phone.sync(http)
        except SyncFault as fault:
            self.broken += 1
            if not fault.is_transient:
                raise

    def _hear(self, answer: httpx.Response) -> None:
        if answer.request.url.path.endswith("/sync/push") and answer.status_code == 200:
            answer.read()
            self.promised += [one["receipt"] for one in json.loads(answer.content)["outcomes"]]


def a_field(folder: Path, seed: int, *, files: int) -> Field:
    """A visitor with a phone who has just knocked. Written straight into the running product's tables."""
    visitor, case = a_visitor(), a_case()
    assignment = an_assignment(case, an_address(case), visitor)
    phone = a_phone(visitor, folder)
    visit_id = uuid7()
    phone.record(
        "visit.started",
        {"visit_id": str(visit_id), "assignment_id": str(assignment.id), "team": [str(visitor.id)]},
    )
    phone.close()
    return Field(folder, visit_id, random.Random(seed), files=files)


def all_at_work(
    fields: Sequence[Field], base_url: str, is_over: threading.Event, *, pause_seconds: float
) -> list[threading.Thread]:
    """Start every phone; they end some time after `is_over` is set."""
    named: dict[str, Any] = {"pause_seconds": pause_seconds}
    threads = [
        threading.Thread(target=one.work, args=(base_url, is_over), kwargs=named, daemon=True)
        for one in fields
    ]
    for thread in threads:
        thread.start()
    return threads
