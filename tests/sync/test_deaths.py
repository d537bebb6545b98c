"""Killed at any line, a phone loses nothing it promised, doubles nothing, and its next session finishes.

The death is real (`os._exit` in the middle of the library, nothing is closed or rolled back), the office is a
real server in another process. What lies between two lines is sqlite and the kernel; the last tests here
kill at random moments with SIGKILL, which falls inside them too.
"""

import base64
import hashlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from sync.chain import Link, judge_links
from sync.envelope import digest
from sync.wire import read_item
from tests.sync.deaths import DIED, VISIT, a_phone
from tests.sync.real_office import Street, a_street

CHECKOUT = Path(__file__).parents[2]
NEVER = 0


@dataclass
class Stage:
    """Where phones die: the offices, and the process that forks phones."""

    street: Street
    folder: Path
    forker: subprocess.Popen[str]

    @property
    def server_key(self) -> str:
        return base64.b64encode(self.street.key.spki).decode()

    def die_at(self, n: int) -> int:
        """Let a phone live until the n-th line; its exit status."""
        assert self.forker.stdin is not None and self.forker.stdout is not None
        self.forker.stdin.write(f"{n}\n")
        self.forker.stdin.flush()
        return int(self.forker.stdout.readline())

    def said(self, n: int) -> list[list[str]]:
        path = self.folder / f"{n}.said"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with a_street() as street:
        key = base64.b64encode(street.key.spki).decode()
        command = [sys.executable, "-m", "tests.sync.deaths", str(tmp_path), street.url, key]
        with subprocess.Popen(
            command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as forker:
            yield Stage(street, tmp_path, forker)
            assert forker.stdin is not None
            forker.stdin.close()


def assert_the_next_session_finishes(
    stage: Stage, name: str, said: list[list[str]], *, most_unclaimed: int = 1
) -> None:
    """Start the phone again, go on working, sync: everything is at the office, once, as it was promised."""
    office = stage.street.at(name)
    with closing(a_phone(stage.folder / name, stage.server_key)) as phone:
        phone.record("incident.raised", {"visit_id": str(VISIT), "kind": "other", "text": "on we go"})
        with httpx.Client(base_url=f"{stage.street.url}/{name}", timeout=120, trust_env=False) as http:
            phone.sync(http)
        told = phone.outbox.outcomes()
        digests = {str(one["id"]): phone.outbox.digest_of(one["id"]) for one in told}
        assert (phone.outbox.count_waiting(), phone.outbox.files.stuck()) == ((0, 0), {})
        unclaimed = phone.shelf.unclaimed()

    stored = {
        item_id: digest(item.envelope.payload_type, item.envelope.payload)
        for item_id, item in office.items.items()
    }
    assert stored == digests
    links = [Link(item.seq, item.prev, stored[item_id]) for item_id, item in office.items.items()]
    assert [link.seq for link in links] == list(range(1, len(links) + 1))
    assert judge_links(links, {}) == [()] * len(links)
    assert {name for what, name in pairs(said) if what == "item"} <= set(stored)
    promised = {}
    for item in office.items.values():
        read = read_item(item.envelope.payload)
        if read.type == "visit.evidence":
            promised[read.body["evidence_id"]] = read.body["sha256"]
    arrived = {
        path.rpartition("/")[2]: hashlib.sha256(content).hexdigest() for path, content in office.files.items()
    }
    assert arrived == promised
    assert {name for what, name in pairs(said) if what == "file"} <= set(arrived)
    assert len(unclaimed) <= most_unclaimed, "a death cuts off one capture at most before its promise"


def pairs(said: list[list[str]]) -> list[tuple[str, str]]:
    return [(one[0], one[1]) for one in said if len(one) == 2]


def deaths_that_matter(stage: Stage) -> tuple[list[int], int]:
    """Live a day to the end; the lines to die at, and how many lines there are."""
    assert stage.die_at(NEVER) == 0
    noted = pairs(stage.said(NEVER))
    (total,) = [int(number) for what, number in noted if what == "lines"]
    return [int(number) for what, number in noted if what == "matters"], total


SHARES = 4


@pytest.mark.parametrize("share", range(SHARES))
def test_a_death_at_any_line_loses_and_doubles_nothing(stage: Stage, share: int) -> None:
    matters, total = deaths_that_matter(stage)
    seed = 11 + share
    others = random.Random(seed).sample(sorted(set(range(1, total + 1)) - set(matters)), 4)
    print(f"seed {seed}; {len(matters)} of {total} lines change what outlives the phone; besides {others}")
    assert len(matters) > 40, "the tracing sees too little to prove anything"

    for n in [*matters[share::SHARES], *others]:
        assert stage.die_at(n) == DIED, n
        assert_the_next_session_finishes(stage, str(n), stage.said(n))


def test_a_day_without_a_death_ends_well_too(stage: Stage) -> None:
    assert stage.die_at(NEVER) == 0

    assert_the_next_session_finishes(stage, str(NEVER), stage.said(NEVER))


@pytest.mark.parametrize("seed", [21, 22])
def test_a_phone_killed_again_and_again_at_random_moments(stage: Stage, seed: int) -> None:
    print("seed", seed)
    dice = random.Random(seed)
    said: list[list[str]] = []
    command = [sys.executable, "-m", "tests.sync.deaths", str(stage.folder / "k"), f"{stage.street.url}/k"]

    for _ in range(6):
        with subprocess.Popen(
            [*command, stage.server_key, "forever"], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
        ) as phone:
            assert phone.stdout is not None
            said.append(phone.stdout.readline().split())
            time.sleep(dice.uniform(0, 0.4))
            phone.send_signal(signal.SIGKILL)
            said += [line.split() for line in phone.stdout if line.endswith("\n")]

    assert_the_next_session_finishes(stage, "k", said, most_unclaimed=6)
