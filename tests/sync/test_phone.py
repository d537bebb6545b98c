"""The phone's facade: what it may do offline, what it signs, what it tells the visitor."""

import base64
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from sync.connection import Reason, SyncFault
from sync.envelope import DeviceKey, PublicKey
from sync.phone import ENROL, Clocks, EnrolmentRefused, Held, Phone
from sync.protocol import ITEM, PERMIT, Change
from sync.wire import read_item, write_envelope, write_instant
from tests.sync.fake_office import FakeOffice, Fault, answering, problem, taking_at_most, well
from tests.sync.made import DEVICE, NOON, VISITOR

OFFICE = DeviceKey.generate()
PARTNER = UUID(int=7)


class Hands:
    """A phone's clocks in a test's hands."""

    def __init__(self) -> None:
        self.wall, self.monotonic_ms, self.boot = NOON, 1_000_000, "boot-1"

    def clocks(self) -> Clocks:
        return Clocks(
            wall=lambda: self.wall, monotonic_ms=lambda: self.monotonic_ms, boot_id=lambda: self.boot
        )

    def pass_by(self, passed: timedelta) -> None:
        self.wall += passed
        self.monotonic_ms += int(passed / timedelta(milliseconds=1))


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def phone(tmp_path: Path, hands: Hands) -> Iterator[Phone]:
    phone = Phone(tmp_path, clocks=hands.clocks())
    phone.outbox.remember(
        device_id=str(DEVICE),
        staff_id=str(VISITOR),
        token="t",
        server_key=base64.b64encode(OFFICE.spki).decode(),
    )
    yield phone
    phone.close()


def at(hours: float) -> str:
    return write_instant(NOON + timedelta(hours=hours))


def a_permit(**facts: Any) -> dict[str, Any]:
    """From an hour before noon until two hours after, to be started within one; for two people."""
    return {
        "v": 1,
        "permit_id": str(uuid4()),
        "allowed": [{"from": at(-1), "until": at(2)}],
        "latest_start": at(1),
        "expires_at": at(3),
        "team": [str(VISITOR), str(PARTNER)],
    } | facts


def hear_that_it_is(phone: Phone, now: datetime) -> datetime:
    """Sync with an office whose clock says so."""
    office = FakeOffice(key=OFFICE)
    office.time = now
    with office.client() as http:
        phone.sync(http)
    return now


def deliver(phone: Phone, permit: dict[str, Any], *, key: DeviceKey = OFFICE, type_: str = PERMIT) -> None:
    """Let a pulled page carry an assignment with this permit."""
    sealed = write_envelope(key.seal(type_, json.dumps(permit).encode()))
    change = Change("staff:1", "assignment", uuid4(), "put", 1, {"permit": sealed})
    phone.outbox.apply([change], cursor="c", seen={f"staff:{VISITOR}": 5})


def the_one(phone: Phone) -> Held:
    (held,) = phone.today()
    return held


BOTH = [VISITOR, PARTNER]


@pytest.mark.parametrize(
    ("permit", "team", "why"),
    [
        ({}, BOTH, []),
        ({}, BOTH[::-1], []),
        ({"allowed": [{"from": at(-3), "until": at(-2)}, {"from": at(0), "until": at(0)}]}, BOTH, []),
        ({"allowed": [{"from": at(0.5), "until": at(2)}]}, BOTH, ["outside the permitted time"]),
        ({"allowed": []}, BOTH, ["outside the permitted time"]),
        ({"latest_start": at(-0.1)}, BOTH, ["after the latest permitted start"]),
        ({"expires_at": at(-0.1)}, BOTH, ["the permit has expired"]),
        ({}, [VISITOR], ["the team is not the one on the permit"]),
        ({}, [*BOTH, UUID(int=9)], ["the team is not the one on the permit"]),
    ],
    ids=[
        *("inside", "order-of-team", "second-span", "before", "never"),
        *("too-late-to-start", "expired", "alone", "three"),
    ],
)
def test_the_phone_says_why_not_to_knock(
    phone: Phone, permit: dict[str, Any], team: list[UUID], why: list[str]
) -> None:
    deliver(phone, a_permit(**permit))

    assert phone.may_enter_now(the_one(phone), team=team) == why


def test_every_reason_is_told_at_once(phone: Phone, hands: Hands) -> None:
    deliver(phone, a_permit())
    hands.pass_by(timedelta(hours=4))

    assert len(phone.may_enter_now(the_one(phone), team=[VISITOR])) == 4


def test_a_wall_clock_turned_back_does_not_open_the_door(phone: Phone, hands: Hands) -> None:
    deliver(phone, a_permit())
    with FakeOffice(key=OFFICE).client() as http:
        phone.sync(http)  # brings an anchor: it is noon at the office
    hands.pass_by(timedelta(hours=4))
    hands.wall = NOON

    assert "the permit has expired" in phone.may_enter_now(the_one(phone), team=BOTH)


def test_after_a_reboot_a_wall_clock_turned_back_does_not_open_the_door_either(
    phone: Phone, hands: Hands
) -> None:
    deliver(phone, a_permit())
    hear_that_it_is(phone, NOON + timedelta(hours=4))
    hands.boot, hands.monotonic_ms, hands.wall = "boot-2", 3, NOON

    assert "the permit has expired" in phone.may_enter_now(the_one(phone), team=BOTH)


def test_without_clocks_of_an_app_a_sleep_counts_and_another_process_is_another_boot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asleep_ns = 3600 * 10**9
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: asleep_ns + time.monotonic_ns())
    before = Clocks()
    boot = [sys.executable, "-c", "from sync.timekeeping import Clocks; print(Clocks().boot_id())"]

    assert before.monotonic_ms() >= 3600 * 1000 + time.monotonic_ns() // 1_000_000 - 1000
    others = {subprocess.check_output(boot, cwd=Path(__file__).parents[2], text=True) for _ in range(2)}
    assert len(others | {before.boot_id() + "\n"}) == 3
    assert before.boot_id() == Clocks().boot_id()


BUSY = answering(503, "try-again", **{"Retry-After": "5"})
RESTARTING = answering(502)
OLDER = answering(404, "not-found")


@pytest.mark.parametrize(("how", "pushed"), [(BUSY, 0), (RESTARTING, 0), (OLDER, 1), (well, 1)])
def test_after_a_reboot_nothing_is_pushed_before_an_office_that_knows_the_time_told_it(
    phone: Phone, hands: Hands, how: Fault, pushed: int
) -> None:
    with FakeOffice(key=OFFICE).client() as http:
        phone.sync(http)
    hands.boot, hands.monotonic_ms = "boot-2", 3
    phone.record("incident.raised", {"text": "狗"})  # its time will be counted back from the next anchor
    office = FakeOffice(key=OFFICE, faults=[how])

    with office.client() as http, suppress(SyncFault):
        phone.sync(http)

    assert office.requests[0] == ("GET", "/api/v1/sync/status")
    assert len(office.items) == pushed


def test_after_a_reboot_the_wall_clock_is_all_there_is(phone: Phone, hands: Hands) -> None:
    with FakeOffice(key=OFFICE).client() as http:
        phone.sync(http)
    hands.boot, hands.monotonic_ms, hands.wall = "boot-2", 3, NOON + timedelta(minutes=9)

    assert phone.estimate_now() == NOON + timedelta(minutes=9)


@pytest.mark.parametrize(
    ("key", "type_"), [(DeviceKey.generate(), PERMIT), (OFFICE, ITEM)], ids=["other-key", "other-type"]
)
def test_a_permit_that_is_not_the_offices_is_no_permission_and_hides_no_other(
    phone: Phone, key: DeviceKey, type_: str
) -> None:
    deliver(phone, a_permit(permit_id="forged"), key=key, type_=type_)
    deliver(phone, a_permit(permit_id="good"))

    assert [held.permit["permit_id"] for held in phone.today()] == ["good"]


def test_each_record_continues_the_chain_and_says_what_the_phone_had_seen(phone: Phone) -> None:
    deliver(phone, a_permit())
    visit_id = phone.start_visit(the_one(phone), team=BOTH, position=None)
    phone.end_visit(visit_id, position=None)

    started, ended = phone.outbox.next_batch(10)
    items = [read_item(one.envelope.payload) for one in (started, ended)]

    assert [(item.seq, item.seen_seq, item.staff_id) for item in items] == [(1, 5, VISITOR), (2, 5, VISITOR)]
    assert items[1].prev == phone.outbox.digest_of(started.id)
    assert PublicKey.from_spki(phone.key.spki, algorithm="ed25519").has_sealed(ended.envelope)


@pytest.mark.parametrize(
    "body",
    [
        {"text": "a\x00b"},
        {"text": "\ud800"},
        {"metres": float("nan")},
        {"n": json.loads("[" * 70 + "]" * 70)},
    ],
    ids=["nul", "half-a-surrogate-pair", "nan", "deep"],
)
def test_what_the_office_could_not_read_is_not_signed(phone: Phone, body: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        phone.record("incident.raised", body)

    assert phone.outbox.count_waiting() == (0, 0)
    phone.record("incident.raised", {"text": "狗"})


@pytest.mark.parametrize("reading", [-1, 12.5, None])
def test_what_the_office_could_not_read_is_refused_while_it_is_recorded(
    phone: Phone, hands: Hands, reading: Any
) -> None:
    hands.monotonic_ms = reading

    with pytest.raises(ValueError, match="/clock/monotonic_ms"):
        phone.record("incident.raised", {"text": "x"})

    assert phone.outbox.next_batch(1) == []
    hands.monotonic_ms = 5
    phone.record("incident.raised", {"text": "x"})
    assert [one.seq for one in phone.outbox.next_batch(9)] == [1]


def test_a_captured_file_is_on_the_disk_under_the_digest_that_was_signed(phone: Phone) -> None:
    evidence_id = phone.capture(b"jpeg", visit_id=uuid4(), kind="photo", purpose="door", mime="image/jpeg")

    body = read_item(phone.outbox.next_batch(1)[0].envelope.payload).body
    (file,) = phone.outbox.files.waiting()
    assert (file.evidence_id, file.path.read_bytes()) == (evidence_id, b"jpeg")
    assert body["sha256"] == file.sha256 == hashlib.sha256(b"jpeg").hexdigest()


def test_a_phone_keeps_its_key_and_its_chain_when_it_starts_again(phone: Phone, hands: Hands) -> None:
    phone.record("incident.raised", {"text": "x"})
    again = Phone(phone.folder, clocks=hands.clocks())

    again.record("incident.raised", {"text": "y"})

    assert again.key.spki == phone.key.spki
    assert [item.seq for item in again.outbox.next_batch(5)] == [1, 2]
    assert (phone.folder / "device.key").stat().st_mode & 0o077 == 0
    again.close()


def _post(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer), base_url="http://office")


def test_enrolment_proves_possession_of_the_key(tmp_path: Path) -> None:
    phone = Phone(tmp_path / "new", clocks=Clocks())
    server_key = base64.b64encode(OFFICE.spki).decode()
    told = {"device_id": str(DEVICE), "staff_id": str(VISITOR), "token": "t", "server_key": server_key}
    asked: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.read()))
        return httpx.Response(201, json=told)

    phone.enrol(" abcd-1234 ", http=_post(answer))

    spki = base64.b64decode(asked[0]["public_key"])
    proof = base64.b64decode(asked[0]["proof"])
    signed = ENROL + b"ABCD-1234\n" + spki
    assert PublicKey.from_spki(spki, algorithm=asked[0]["algorithm"]).has_signed(signed, proof)
    assert (phone.is_enrolled, phone.device_id) == (True, DEVICE)
    phone.close()


def test_a_phone_that_is_not_enrolled_says_so_when_it_syncs(tmp_path: Path) -> None:
    phone = Phone(tmp_path, clocks=Clocks())

    with httpx.Client(base_url="http://office") as http, pytest.raises(SyncFault, match="enrol") as caught:
        phone.sync(http)
    phone.close()

    assert (caught.value.is_transient, caught.value.reason) == (False, Reason.SIGN_IN)


def test_a_refused_enrolment_leaves_the_phone_as_it_was(tmp_path: Path) -> None:
    phone = Phone(tmp_path / "new", clocks=Clocks())

    with pytest.raises(EnrolmentRefused, match="code-unknown"):
        phone.enrol("x", http=_post(lambda request: problem(403, "code-unknown")))

    assert not phone.is_enrolled
    phone.close()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(201, html="<h1>Welcome</h1>"),
        httpx.Response(200, html="<h1>Welcome</h1>"),
        httpx.Response(403, html="<h1>Blocked</h1>"),
        httpx.Response(201, json={"device_id": "x"}),
        httpx.Response(201, json={"device_id": str(DEVICE), "staff_id": str(VISITOR), "token": "t"}),
        problem(503, "try-again"),
    ],
    ids=["portal-201", "portal-200", "portal-403", "other-product", "half", "busy"],
)
def test_what_is_not_the_office_enrols_no_phone_and_may_be_asked_again(
    tmp_path: Path, answer: httpx.Response
) -> None:
    phone = Phone(tmp_path / "new", clocks=Clocks())

    with pytest.raises(SyncFault) as caught:
        phone.enrol("x", http=_post(lambda request: answer))

    assert caught.value.is_transient and not phone.is_enrolled
    phone.close()


def test_what_the_connection_was_found_to_carry_is_known_to_the_next_session(phone: Phone) -> None:
    refused: list[int] = []
    for _ in range(4):
        phone.capture(bytes(200_000), visit_id=uuid4(), kind="photo", purpose="door", mime="image/jpeg")
        office = FakeOffice(key=OFFICE, faults=[taking_at_most(100_000, refused)] * 99)
        with office.client() as http:
            phone.sync(http)

    assert len(refused) == 1
    assert phone.outbox.count_waiting() == (0, 0)


def test_a_count_that_begins_anew_under_the_same_name_leads_to_no_time_before_the_anchor(
    phone: Phone, hands: Hands
) -> None:
    deliver(phone, a_permit())
    four = hear_that_it_is(phone, NOON + timedelta(hours=4))
    hands.monotonic_ms = -24 * 3600 * 1000

    assert phone.estimate_now() == four


def test_the_estimate_follows_the_monotonic_clock_not_the_wall(phone: Phone, hands: Hands) -> None:
    with FakeOffice(key=OFFICE).client() as http:
        phone.sync(http)
    hands.pass_by(timedelta(minutes=5))
    hands.wall = datetime(2040, 1, 1, tzinfo=NOON.tzinfo)

    assert phone.estimate_now() == NOON + timedelta(minutes=5)
