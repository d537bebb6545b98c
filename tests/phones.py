"""Real phones for tests: `sync.phone.Phone` over the real app, through a transport that may misbehave."""

import base64
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from flask import Flask

from server.models.people import Device, Staff
from server.signing import current_signer
from sync.envelope import PublicKey, keyid_of
from sync.phone import Clocks, Phone
from tests.builders import a_token, add, now


@dataclass
class Watch:
    """A phone's clocks that a test turns by hand. `skew` is what the wall clock is wrong by."""

    real: Callable[[], datetime] = lambda: datetime.now(UTC)
    skew: timedelta = timedelta(0)
    boot: str = "boot-1"
    booted: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def clocks(self) -> Clocks:
        return Clocks(
            wall=lambda: self.real() + self.skew,
            monotonic_ms=lambda: int((self.real() - self.booted).total_seconds() * 1000),
            boot_id=lambda: self.boot,
        )


def a_phone(staff: Staff, folder: Path, *, watch: Watch | None = None) -> Phone:
    """An enrolled phone of this person. Enrolment over HTTP has its own tests."""
    phone = Phone(folder, clocks=(watch or Watch()).clocks())
    spki = phone.key.spki
    device = add(
        Device(
            staff_id=staff.id,
            algorithm=phone.key.algorithm,
            public_key=spki,
            keyid=keyid_of(spki),
            enrolled_at=now(),
        )
    )
    phone.outbox.remember(
        device_id=str(device.id),
        staff_id=str(staff.id),
        token=a_token(staff.id, device_id=device.id, lasts=timedelta(days=90)),
        server_key=base64.b64encode(current_signer().public_spki).decode(),
    )
    assert PublicKey.from_spki(spki, algorithm=phone.key.algorithm).spki == spki
    return phone


@contextmanager
def office(app: Flask) -> Iterator[httpx.Client]:
    """A connection straight into the app."""
    with httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://office") as http:
        yield http


class BreakingTransport(httpx.BaseTransport):
    """Loses requests, loses answers, repeats requests: each with its own chance, from one seed."""

    def __init__(self, app: Flask, *, seed: int, lose: float = 0.2, lose_answer: float = 0.2) -> None:
        self.inner = httpx.WSGITransport(app=app)
        self.dice = random.Random(seed)
        self.lose, self.lose_answer = lose, lose_answer
        self.is_broken = True

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_broken and self.dice.random() < self.lose:
            raise httpx.ConnectError("the request was lost")
        answer = self.inner.handle_request(request)
        if self.is_broken and self.dice.random() < self.lose_answer:
            raise httpx.ReadError("the answer was lost")
        return answer
