"""RxDB and our own phone replicate one feed over a breaking network and end in the same state.

The feed needs no client of ours: a checkpoint, pages in order, puts and removes. The office works meanwhile.
"""

import json
import os
import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.serving import make_server

from server.authority import Role
from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.feed import FeedHead
from server.models.people import Staff
from sync.connection import SyncFault
from sync.phone import Phone
from sync.protocol import uuid7
from tests.api.breaking import BreakingProxy, CutRequest, LoseAnswer, breaking_proxy
from tests.builders import a_visitor
from tests.node import NODE, install
from tests.office import Door, Office, a_body, a_door
from tests.phones import Watch, a_phone

HERE: Final = Path(__file__).parent
DAYS: Final = ("2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27")
PAGE: Final = 3
STEPS: Final = 12


@pytest.fixture(scope="session", autouse=True)
def rxdb_is_here() -> None:
    install(HERE)


class Replica:
    """The other client, in a process of its own."""

    def __init__(self, url: str, token: str) -> None:
        self.process = subprocess.Popen(
            [str(NODE), str(HERE / "replica.mjs"), url, str(PAGE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "TOKEN": token},
            text=True,
        )

    def ask(self, command: str) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the replica ended with {self.process.wait()}"
        return json.loads(line)

    def state(self) -> dict[tuple[str, str, str], tuple[int, Any]]:
        return {(one["scope"], one["kind"], one["id"]): (one["rev"], one["body"]) for one in self.ask("dump")}

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def served(app: Flask) -> Iterator[tuple[str, int]]:
    """The app with its stopped clock, over real HTTP."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield "127.0.0.1", server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def doors(office: Office) -> list[Door]:
    return [a_door() for _ in range(5)]


@pytest.fixture
def proxy(office: Office) -> Iterator[BreakingProxy]:
    with served(office.app) as address, breaking_proxy(address) as proxy:
        yield proxy


@pytest.fixture
def visitor(office: Office) -> Staff:
    return a_visitor()


@pytest.fixture
def phone(visitor: Staff, tmp_path: Path) -> Iterator[Phone]:
    handset = a_phone(visitor, tmp_path / "phone", watch=Watch())
    yield handset
    handset.close()


@pytest.fixture
def replica(proxy: BreakingProxy, phone: Phone) -> Iterator[Replica]:
    other = Replica(f"http://127.0.0.1:{proxy.port}", phone.outbox.fact("token"))
    yield other
    other.end()


def break_some(proxy: BreakingProxy, dice: random.Random) -> None:
    """Let the next few connections meet something."""
    for _ in range(dice.randrange(3)):
        proxy.faults.append(dice.choice([CutRequest(after=dice.randint(1, 200)), LoseAnswer()]))


def sync(phone: Phone, proxy: BreakingProxy) -> None:
    """Sync our own phone, however often it takes."""
    for _ in range(20):
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{proxy.port}", trust_env=False) as http:
                phone.sync(http)
            return
        except SyncFault as fault:
            assert fault.is_transient
    raise AssertionError("the phone never got through")


def held(phone: Phone) -> dict[tuple[str, str, str], tuple[int, Any]]:
    """What our phone holds, as the replica shows it."""
    scopes = {
        id_: scope
        for scope in ("everyone", f"staff:{phone.staff_id}")
        for _, id_, _ in phone.outbox.held(scope)
    }
    return {
        (scopes[id_], kind, str(id_)): (rev, body)
        for kind in ("assignment", "calendar")
        for id_, rev, body in phone.outbox.entities(kind)
    }


def open_ones() -> list[UUID]:
    db.session.rollback()
    found = sa.select(Assignment.id).where(Assignment.state == "issued").order_by(Assignment.id)
    return list(db.session.scalars(found))


def work(office: Office, doors: list[Door], team: tuple[Staff, Staff], dice: random.Random) -> None:
    """Something happens in the office; what the rules refuse is refused."""
    choice, found = dice.randrange(8), open_ones()
    if choice < 5 or not found:
        day, hour = dice.choice(DAYS), dice.choice(("09:00", "13:00", "16:00"))
        body = a_body(dice.choice(doors), dice.choice(team), start=f"{day} {hour}")
        assert office.ask("/assignments", body).status_code in (201, 409)
    elif choice == 5:
        path = f"/assignments/{dice.choice(found)}/cancel"
        assert office.ask(path, {"reason": "called off"}).status_code == 200
    elif choice == 6:
        other = str(dice.choice(team).id)
        body = {"team": [other], "lead": other, "reason": "illness"}
        assert office.ask(f"/assignments/{dice.choice(found)}/reassign", body).status_code in (201, 409)
    else:
        body = {"reason": "stop_requested", "note": "called"}
        path = f"/cases/{dice.choice(doors).case.id}/holds"
        assert office.ask(path, body, by=Role.DISPATCHER).status_code == 201


@pytest.mark.parametrize("seed", range(3))
def test_rxdb_ends_in_the_state_of_our_own_phone(
    office: Office,
    doors: list[Door],
    proxy: BreakingProxy,
    visitor: Staff,
    phone: Phone,
    replica: Replica,
    seed: int,
) -> None:
    print("seed", seed)
    dice, team = random.Random(seed), (visitor, a_visitor())
    removed = most = 0

    for _ in range(STEPS):
        for _ in range(dice.randint(1, 3)):
            work(office, doors, team, dice)
        before = set(held(phone))
        break_some(proxy, dice)
        replica.ask("sync")
        break_some(proxy, dice)
        sync(phone, proxy)
        assert replica.state() == held(phone)
        removed += len(before - set(held(phone)))
        most = max(most, len(held(phone)))

    assert most > PAGE, "there was too little to hold"
    assert removed > 0, "nothing was ever taken away"
    assert proxy.broken > 0, "the network never broke"


def test_rxdb_starts_over_when_the_feed_was_replaced(
    office: Office, doors: list[Door], proxy: BreakingProxy, visitor: Staff, phone: Phone, replica: Replica
) -> None:
    for door, day in zip(doors, DAYS, strict=False):
        office.ask("/assignments", a_body(door, visitor, start=f"{day} 09:00"))
    first = replica.ask("sync")
    gone = open_ones()[0]
    with transaction() as session:
        session.execute(sa.update(FeedHead).values(epoch=uuid7()))
    office.ask(f"/assignments/{gone}/cancel", {"reason": "called off"})

    again = replica.ask("sync")
    sync(phone, proxy)

    assert again["generation"] == first["generation"] + 1
    assert replica.state() == held(phone)
    assert str(gone) not in {id_ for _, _, id_ in replica.state()}
