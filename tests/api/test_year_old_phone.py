"""A phone of a year ago still syncs: its whole conversation, byte for byte, means today what it meant then.

`tests/golden/conversation_*.json` were recorded once and are only ever added to. The office's keys and clock
are those of the recording, so that receipts and anchors of then are genuine today.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask

from server.authority import Role
from server.database import db
from server.models.evidence import Evidence
from server.models.people import Device, EnrolmentCode
from server.models.visits import Account, Item, Visit
from server.signing import Signer
from sync.envelope import DeviceKey, keyid_of
from sync.phone import Phone, claims_of
from tests import builders
from tests.builders import a_case, a_person, a_visitor, add, an_address, an_assignment
from tests.office import NOW, an_office
from tests.phones import Watch
from tests.sync.recording import Recorder, Replay, differences

GOLDEN = Path(__file__).parents[1] / "golden"
CONVERSATIONS = sorted(GOLDEN.glob("conversation_*.json"))
KEY = DeviceKey(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
SIGNER = Signer.from_seed(b"\x02" * 32, secret=b"\x03" * 32)
DEVICE, VISITOR, ASSIGNMENT, PERMIT = (
    UUID(f"01890000-0000-7000-8000-0000000000{number}") for number in ("01", "02", "51", "52")
)
CODE = "GOLDENCODE"


@pytest.fixture
def stage(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The office as it was: its keys, its clock, the visitor, the assignment, the code already used once."""
    ours = app.extensions["signer"]
    app.extensions["signer"] = SIGNER
    an_office(app)
    visitor = a_visitor(id=VISITOR, name="王芳")
    spki = KEY.spki
    add(
        Device(
            id=DEVICE,
            staff_id=VISITOR,
            algorithm="ed25519",
            public_key=spki,
            keyid=keyid_of(spki),
            enrolled_at=NOW,
        )
    )
    add(
        EnrolmentCode(
            sha256=hashlib.sha256(CODE.encode()).digest(),
            staff_id=VISITOR,
            issued_by=a_person(Role.DISPATCHER).id,
            issued_at=NOW,
            expires_at=NOW + timedelta(minutes=15),
            used_at=NOW,
            device_id=DEVICE,
        )
    )
    case = a_case()
    address = an_address(case)
    names = iter([UUID(int=1), ASSIGNMENT, PERMIT])
    with monkeypatch.context() as patch:
        patch.setattr(builders, "uuid7", lambda: next(names))
        an_assignment(case, address, visitor, start=NOW - timedelta(minutes=30))
    yield app
    app.extensions["signer"] = ours


def todays_conversation(app: Flask, folder: Path) -> list[dict[str, Any]]:
    """What a phone of today says and hears: enrols, pulls, works, syncs, repeats."""
    folder.mkdir()
    (folder / "device.key").write_bytes(KEY.to_der())
    phone = Phone(folder, clocks=Watch(real=lambda: NOW).clocks())
    recorder = Recorder(httpx.WSGITransport(app=app))
    with httpx.Client(transport=recorder, base_url="http://office") as http:
        phone.enrol(CODE, http=http)
        phone.sync(http)
        visit_id = UUID("01890000-0000-7000-8000-000000000061")
        body = {"visit_id": str(visit_id), "assignment_id": str(ASSIGNMENT), "permit_id": str(PERMIT)}
        phone.record("visit.started", body | {"position": None, "team": [str(VISITOR)], "checklist": {}})
        phone.capture(b"scan" * 100, visit_id=visit_id, kind="scan", purpose="other", mime="image/jpeg")
        phone.end_visit(visit_id, position=None)
        claims = claims_of(arrived_at=NOW, left_at=NOW, team=[VISITOR], met="nobody", outcome="not_home")
        phone.write_account(visit_id, claims=claims, narrative="敲门无人应答，留置回访条。")
        phone.sync(http)
        phone.outbox.offer_again()
        phone.sync(http)
    phone.close()
    return recorder.told


def test_there_is_a_conversation_to_hold_to() -> None:
    assert [path.name for path in CONVERSATIONS][:1] == ["conversation_2026.json"]


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_a_conversation_of_then_means_today_what_it_meant(stage: Flask, path: Path) -> None:
    told = json.loads(path.read_bytes())
    changed = []

    with httpx.Client(transport=httpx.WSGITransport(app=stage), base_url="http://office") as http:
        replay = Replay(http)
        for n, exchange in enumerate(told):
            answer, then = replay.ask(exchange["ask"]), exchange["answer"]
            what = f"{n} {exchange['ask']['method']} {exchange['ask']['path'][:40]}"
            now = answer.json() if answer.content else None
            if answer.status_code != then["status"]:
                changed.append(f"{what}: answered {answer.status_code}, then {then['status']}: {now}")
            changed += [f"{what}: {one}" for one in differences(then["json"], now)]
            gone = set(then["headers"]) - set(answer.headers)
            changed += [f"{what}: header {name} is gone" for name in sorted(gone)]

    assert changed == []
    db.session.rollback()
    (visit,) = db.session.scalars(sa.select(Visit))
    (account,) = db.session.scalars(sa.select(Account))
    (evidence,) = db.session.scalars(sa.select(Evidence))
    outcomes = set(db.session.scalars(sa.select(Item.outcome)))
    assert (visit.assignment_id, account.narrative) == (ASSIGNMENT, "敲门无人应答，留置回访条。")
    assert (evidence.state, outcomes) == ("verified", {"applied"})


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_a_phone_of_today_still_says_all_that_was_said_then(stage: Flask, tmp_path: Path, path: Path) -> None:
    then = [one for one in json.loads(path.read_bytes()) if not says_at_once(one)]

    now = todays_conversation(stage, tmp_path / "phone")

    assert [shape(one) for one in now] == [shape(one) for one in then]
    for old, new in zip(then, now, strict=True):
        assert set(old["ask"]["headers"]) <= set(new["ask"]["headers"])


def says_at_once(exchange: dict[str, Any]) -> bool:
    """Whether a phone of today brings this with the request that creates an upload: bytes and offset."""
    return exchange["ask"]["method"] in ("HEAD", "PATCH")


def shape(exchange: dict[str, Any]) -> tuple[Any, ...]:
    ask = exchange["ask"]
    return ask["method"], ask["path"], ask["is_signed_in"], exchange["answer"]["status"]


def test_the_comparison_sees_what_goes_missing() -> None:
    then = {"a": [{"x": 1, "token": "t"}], "b": None}

    assert list(differences(then, {"a": [{"x": 1, "token": "u", "new": 2}], "b": None, "c": 1})) == []
    assert len(list(differences(then, {"a": [{"x": 2, "token": 7}]}))) == 3
    assert len(list(differences(then, {"a": [], "b": None}))) == 1
