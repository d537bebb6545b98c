"""The embedder's manual: its programs run, and what it names exists."""

import base64
import importlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sync import events
from sync.connection import Reason
from sync.rescue import RESCUE_KEY
from tests.sync.made import DEVICE, VISITOR
from tests.sync.real_office import Street, a_street

README = (Path(__file__).parents[2] / "sync/README.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Street]:
    monkeypatch.chdir(tmp_path)
    with a_street() as street:
        yield street


def enrolled(street: Street) -> dict[str, Any]:
    key = base64.b64encode(street.key.spki).decode()
    return {"device_id": str(DEVICE), "staff_id": str(VISITOR), "token": "t", "server_key": key}


def test_the_quick_start_runs(street: Street, capsys: pytest.CaptureFixture[str]) -> None:
    street.enrolment = enrolled(street)
    names: dict[str, Any] = {}
    exec(PROGRAMS[0].replace("https://office.example", f"{street.url}/a"), names)
    names["phone"].record("incident.raised", {"kind": "other", "text": "狗"})

    before_end, end = PROGRAMS[1].split("# ... when the app ends:")
    exec(before_end, names)
    deadline = time.monotonic() + 120
    while not street.at("a").items and time.monotonic() < deadline:
        time.sleep(0.01)
    exec(end, names)

    assert len(street.at("a").items) == 1
    assert "0 0 []" in capsys.readouterr().out
    assert not names["thread"].is_alive()
    names["phone"].close()


def test_every_module_and_member_named_exists() -> None:
    for name in re.findall(r"`sync\.(\w+)(?:\.(\w+))?`", README):
        module = importlib.import_module(f"sync.{name[0]}")
        assert not name[1] or hasattr(module, name[1]), name


def test_every_event_stands_in_the_table_with_its_members() -> None:
    told = dict(re.findall(r"\| `(\w+)\(([\w, ]*)\)` \|", README))

    known = {kind.__name__: ", ".join(kind.__dataclass_fields__) for kind in events.Event.__args__}
    assert told == known


def test_every_reason_and_fault_of_a_bundle_is_named() -> None:
    source = (Path(__file__).parents[2] / "sync/rescue.py").read_text()
    slugs = set(re.findall(r'"((?:bundle|sender|not-a)-[a-z-]+)"', source))

    assert len(slugs) == 8
    assert {slug for slug in slugs if f"`{slug}`" not in README} == set()
    assert {reason.value for reason in Reason if f"`{reason.value}`" not in README} == set()
    assert RESCUE_KEY in README
