"""The plug is pulled while phones sync: what was acknowledged is there, once, exactly as it was signed.

The real processes of the Procfile, killed with SIGKILL at moments a seed chooses: the web process several
times, and once everything at once, the database included, as a power cut does.
"""

import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask

from server.app import create_app
from server.config import Config
from server.database import db
from server.demo.processes import Processes, free_port
from server.embedded import published_url
from server.models.evidence import Evidence
from server.models.people import Device
from server.models.visits import Account, Item, Visit
from sync.client import SyncFault
from sync.phone import Phone, claims_of
from sync.protocol import uuid7
from tests.builders import a_case, a_visitor, an_address, an_assignment
from tests.conftest import SECRETS
from tests.phones import Watch, a_phone

CHECKOUT = Path(__file__).parents[2]
PHONES, ACCOUNTS, FILES, KILLS = 3, 40, 3, 6
PATIENCE_SECONDS = 120


@dataclass
class Stage:
    """The product on its own embedded database, and what it runs on."""

    product: Processes
    var: Path
    environ: dict[str, str]

    def app(self) -> Flask:
        """The same product inside the test, to look into its tables."""
        url = published_url(self.var / "postgres")
        assert url is not None
        return create_app(Config.from_environ(self.environ, var=self.var, default_database_url=url))


@dataclass
class Field:
    """A phone at work in a thread of its own."""

    folder: Path
    base_url: str
    sessions: int = 0
    errors: list[BaseException] = field(default_factory=list)

    def sync_until_done(self) -> None:
        """Sync until everything has arrived, whatever happens to the office meanwhile."""
        phone = Phone(self.folder, clocks=Watch().clocks())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while phone.outbox.count_waiting() != (0, 0) and time.monotonic() < deadline:
            self.sessions += 1
            try:
                with httpx.Client(base_url=self.base_url, timeout=20, trust_env=False) as http:
                    phone.sync(http)
            except SyncFault as fault:
                if not fault.is_transient:
                    self.errors.append(fault)
                    break
                time.sleep(0.1)
        phone.close()


@pytest.fixture
def stage(folder: Path) -> Iterator[Stage]:
    var = folder / "var"
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "MEDIA_STORE")}
    environ = {**kept, **SECRETS, "FIELDVISIT_VAR": str(var), "WEB_CONCURRENCY": "1", "LOG_LEVEL": "WARNING"}
    environ["MEDIA_STORE"] = str(var / "media")
    with Processes(
        checkout=CHECKOUT, environ=environ, logs=var / "log", port=free_port(0), say=lambda _text: None
    ) as product:
        product.start_all()
        yield Stage(product, var, environ)


def a_day_on_a_phone(folder: Path, dice: random.Random) -> None:
    """Enrol a phone and fill its outbox: one visit, its files, and many revisions of its account."""
    visitor = a_visitor()
    case = a_case()
    assignment = an_assignment(case, an_address(case), visitor)
    phone = a_phone(visitor, folder)
    visit_id = uuid7()
    body = {"visit_id": str(visit_id), "assignment_id": str(assignment.id), "team": [str(visitor.id)]}
    phone.record("visit.started", body)
    for _ in range(FILES):
        content = dice.randbytes(dice.randint(300_000, 900_000))
        phone.capture(content, visit_id=visit_id, kind="scan", purpose="other", mime="image/jpeg")
    moment = datetime.now(UTC)
    claims = claims_of(arrived_at=moment, left_at=moment, team=[visitor.id], met="nobody", outcome="not_home")
    latest = None
    for n in range(ACCOUNTS):
        latest = phone.write_account(visit_id, claims=claims, narrative=f"第{n}稿", amends=latest)
    phone.end_visit(visit_id, position=None)
    phone.close()


def pull_the_plug(stage: Stage, dice: random.Random) -> None:
    """Kill the web process again and again; in the middle, everything at once."""
    for n in range(KILLS):
        time.sleep(dice.uniform(0.05, 0.6))
        if n == KILLS // 2:
            for name in ("web", "worker", "db"):
                stage.product.kill(name)
            stage.product.start_all()
        else:
            stage.product.kill("web")
            stage.product.start("web")
            stage.product.wait_until_ready(timeout_seconds=60)


@pytest.mark.parametrize("seed", [7])
def test_nothing_acknowledged_is_lost_or_doubled(stage: Stage, tmp_path: Path, seed: int) -> None:
    print("seed", seed)
    dice = random.Random(seed)
    with stage.app().app_context():
        for n in range(PHONES):
            a_day_on_a_phone(tmp_path / f"phone-{n}", dice)
        db.engine.dispose()
    teams = [Field(tmp_path / f"phone-{n}", stage.product.base_url) for n in range(PHONES)]
    threads = [threading.Thread(target=team.sync_until_done) for team in teams]

    for thread in threads:
        thread.start()
    pull_the_plug(stage, dice)
    for thread in threads:
        thread.join()

    assert [team.errors for team in teams] == [[]] * PHONES
    assert sum(team.sessions for team in teams) > 2 * PHONES, "the plug was pulled too late to matter"
    with stage.app().app_context():
        for n in range(PHONES):
            assert_everything_arrived(Phone(tmp_path / f"phone-{n}", clocks=Watch().clocks()))
        assert count(Visit) == PHONES
        assert count(Account) == PHONES * ACCOUNTS
        states = db.session.scalars(sa.select(Evidence.state)).all()
        db.engine.dispose()
    assert list(states) == ["verified"] * PHONES * FILES


def assert_everything_arrived(phone: Phone) -> None:
    """Each item of the phone is stored once with its exact bytes, and its receipt says so."""
    told = phone.outbox.outcomes()
    rows: dict[Any, Any] = {
        row.item_id: row
        for row in db.session.execute(
            sa.select(Item.item_id, Item.sha256, Item.outcome, Item.receipt).where(
                Item.device_id == phone.device_id
            )
        )
    }
    assert len(rows) == len(told) == 2 + FILES + ACCOUNTS
    for one in told:
        row = rows[one["id"]]
        assert row.sha256 == phone.outbox.digest_of(one["id"])
        assert (row.outcome, row.receipt) == ("applied", one["receipt"])
    acked = db.session.scalar(sa.select(Device.acked_seq).where(Device.id == phone.device_id))
    assert acked == len(told)
    phone.close()


def count(model: type[Any]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0
