"""Wire messages as they once were: both sides still read them, and say the same of them.

The files in tests/golden are only ever added to. A change that breaks one of these tests breaks phones that
are out there. All keys come from fixed seeds, so what is signed deterministically is compared byte by byte.
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.signing import PERMIT, Signer
from server.workflows.exchange.anchors import make_anchor, read_anchor
from server.workflows.exchange.receipts import make_receipt
from sync.admission import examine
from sync.bodies import (
    AccountWritten,
    ComplaintRaised,
    ContactLearned,
    ContactRefused,
    FindingReplied,
    HoldRequested,
    IncidentRaised,
    Reported,
    read_body,
)
from sync.client import Report, SyncClient, server_time
from sync.door import AtTheDoor, obstacles
from sync.envelope import DeviceKey, PublicKey, digest
from sync.feed import digest_of, read_cursor
from sync.outbox import Outbox, Sealed
from sync.phone import Clocks, Phone
from sync.protocol import ITEM, PushedItem
from sync.rescue import FileStream, open_bundle
from sync.wire import Reader, parse, read_batch, read_envelope, read_item, write_envelope, write_item
from tests.sync.made import a_clock

JSON = {"Content-Type": "application/json"}
GOLDEN = Path(__file__).parents[1] / "golden"
PHONE = DeviceKey(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
SIGNER = Signer.from_seed(b"\x02" * 32, secret=b"\x03" * 32)
PHONE_KEY = PublicKey.from_spki(PHONE.spki, algorithm="ed25519")
OFFICE_KEY = PublicKey.from_spki(SIGNER.public_spki, algorithm="ed25519")
DEVICE = UUID("01890000-0000-7000-8000-000000000001")
ITEM_ID = UUID("01890000-0000-7000-8000-000000000011")
VISITOR, VISIT, CASE, CONTACT = (
    UUID(f"01890000-0000-7000-8000-0000000000{number}") for number in ("02", "21", "31", "41")
)
RECEIVED = datetime(2026, 11, 24, 4, 30, tzinfo=UTC)


def read(name: str) -> Any:
    return json.loads((GOLDEN / name).read_bytes())


@pytest.fixture
def payload() -> bytes:
    return (GOLDEN / "item_payload.json").read_bytes().rstrip(b"\n")


def test_every_golden_message_has_its_test() -> None:
    names = {path.name for path in GOLDEN.iterdir()}

    assert names == {
        "item_payload.json",
        "envelope.json",
        "push_request.json",
        "push_answer.json",
        "pull_page.json",
        "pull_page_at_head.json",
        "receipt.json",
        "permit.json",
        "permit_wishes.json",
        "anchor.json",
        "report_bodies.json",
        "finding_bodies.json",
        "bundle.fvrescue",
        "conversation_2026.json",  # tests/api/test_year_old_phone.py
    }


def test_an_item_payload_means_the_same_to_phone_and_office(payload: bytes) -> None:
    item = read_item(payload)

    assert (item.item_id, item.device_id, item.seq, item.prev) == (ITEM_ID, DEVICE, 1, None)
    assert item.extra == {"from_a_later_version": {"kept": True}}
    body = read_body(item.type, item.body)
    assert isinstance(body, AccountWritten) and body.narrative.startswith("到达后")
    assert write_item(item) == payload


def test_what_phones_report_of_people_is_read_as_it_was_meant() -> None:
    meant = [read_body(one["type"], one["body"]) for one in read("report_bodies.json")]

    assert meant == [
        HoldRequested(case_id=CASE, reason="identity_disputed", text="非本人"),
        ComplaintRaised(VISIT, None, "要投诉", (VISITOR,), threatens_to_escalate=True, publicity_risk=False),
        ComplaintRaised(None, CASE, "要投诉", (), threatens_to_escalate=False, publicity_risk=False),
        IncidentRaised(VISIT, None, kind="threat", text="威胁"),
        IncidentRaised(None, None, kind="other", text="设备故障"),
        ContactRefused(None, CASE, CONTACT, why="angry", text="别再来", name=None, relation=""),
        ContactRefused(VISIT, None, None, why="uninformed", text="", name="王五", relation="邻居"),
        ContactLearned(None, CASE, name="王五", phone="13800001111", relation="兄弟", address="北京市海淀区"),
        ContactLearned(VISIT, None, name=None, phone=None, relation=None, address=None),
        Reported(None, None),  # log.doubted is kept whole
        Reported(None, None),  # record.doubted, too
    ]


def test_a_finding_that_a_phone_was_told_is_answered_as_it_was_then(tmp_path: Path) -> None:
    golden = read("finding_bodies.json")
    phone = Phone(tmp_path, clocks=Clocks(wall=lambda: RECEIVED))
    phone.outbox.remember(
        server_key=base64.b64encode(SIGNER.public_spki).decode(), device_id=str(DEVICE), staff_id=str(VISITOR)
    )
    page = read("pull_page.json") | {"changes": [golden["told"]]}

    phone.connect(answering(json.dumps(page).encode())).pull(Report())
    (told,) = phone.findings()
    phone.reply(told, "照片在另一台手机上。")

    assert told == golden["told"]["body"]
    (sent,) = [read_item(one.envelope.payload) for one, _ in phone.outbox.waiting_items()]
    meant = FindingReplied(VISIT, None, finding_id=UUID(told["id"]), text="照片在另一台手机上。")
    assert sent.type == golden["reply"]["type"]
    assert read_body(sent.type, sent.body) == read_body(sent.type, golden["reply"]["body"]) == meant
    phone.close()


def test_an_envelope_is_sealed_over_exactly_the_payload(payload: bytes) -> None:
    envelope = read_envelope(Reader(read("envelope.json")))

    assert envelope.payload == payload
    assert PHONE_KEY.has_sealed(envelope)
    assert write_envelope(PHONE.seal(ITEM, payload)) == read("envelope.json")


def test_the_office_reads_a_push_request() -> None:
    batch = read_batch((GOLDEN / "push_request.json").read_bytes())

    (candidate,) = [examine(one, device_id=DEVICE, key=PHONE_KEY) for one in batch.items]

    assert (candidate.pushed.id, candidate.problem, candidate.flags) == (ITEM_ID, None, ())


def test_the_office_signs_the_same_receipt(payload: bytes) -> None:
    receipt = make_receipt(SIGNER, item_id=ITEM_ID, sha256=digest(ITEM, payload), now=RECEIVED)

    assert receipt == read("receipt.json")


def test_the_office_makes_and_knows_the_same_anchor() -> None:
    told = read("anchor.json")

    assert make_anchor(SIGNER, device_id=DEVICE, now=RECEIVED) == told
    later = RECEIVED + timedelta(days=2)
    assert read_anchor(told["token"], SIGNER, device_id=DEVICE, now=later) == RECEIVED == server_time(told)


def answering(content: bytes) -> httpx.Client:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=JSON, content=content))
    return httpx.Client(transport=transport, base_url="http://office")


def a_client(outbox: Outbox, content: bytes) -> SyncClient:
    return SyncClient(
        outbox=outbox,
        http=answering(content),
        server_key=OFFICE_KEY,
        read_clock=a_clock,
        on_anchor=lambda anchor, rtt_ms: outbox.remember(anchor=anchor),
        on_doubt=lambda *doubt: True,
        monotonic_ms=lambda: 0,
    )


def test_the_phone_believes_a_push_answer(tmp_path: Path, payload: bytes) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    envelope = PHONE.seal(ITEM, payload)
    outbox.append(lambda seq, prev: Sealed(ITEM_ID, "visit.account", digest(ITEM, payload), envelope))

    a_client(outbox, (GOLDEN / "push_answer.json").read_bytes()).push(Report())

    (kept,) = outbox.outcomes()
    assert (kept["outcome"], kept["flags"]) == ("applied", ["clock_low_trust"])
    assert kept["receipt"] == read("receipt.json")
    outbox.close()


def test_the_phone_applies_a_pulled_page_and_opens_its_permit(tmp_path: Path) -> None:
    phone = Phone(tmp_path, clocks=Clocks(wall=lambda: RECEIVED))
    phone.outbox.remember(server_key=base64.b64encode(SIGNER.public_spki).decode())

    report = Report()
    phone.connect(answering((GOLDEN / "pull_page.json").read_bytes())).pull(report)

    (held,) = phone.today()
    assert report.pulled == 2  # one put, one remove of something this phone never had
    assert phone.outbox.fact("anchor").items() >= read("anchor.json").items()
    team = Reader(held.permit).uuids("team")
    assert phone.may_enter_now(held, team=team) == []
    phone.close()


@pytest.mark.parametrize("name", ["pull_page.json", "pull_page_at_head.json"])
def test_a_cursor_the_office_once_gave_still_leads_on(name: str) -> None:
    page = read(name)

    cursor = read_cursor(page["cursor"])

    assert {scope: place.seq for scope, place in cursor.items()} == page["seen"]


def test_a_scope_digest_is_that_of_the_rows_the_phone_holds(tmp_path: Path) -> None:
    phone = Phone(tmp_path, clocks=Clocks(wall=lambda: RECEIVED))
    phone.outbox.remember(server_key=base64.b64encode(SIGNER.public_spki).decode())

    phone.connect(answering((GOLDEN / "pull_page_at_head.json").read_bytes())).pull(Report())

    held = [("assignment", entity_id, rev) for entity_id, rev, _ in phone.outbox.entities("assignment")]
    assert read("pull_page_at_head.json")["scope_digest"] == {
        "everyone": digest_of([]),
        f"staff:{VISITOR}": digest_of(held),
    }
    phone.close()


@pytest.mark.parametrize("name", ["permit.json", "permit_wishes.json"])
def test_the_office_seals_the_same_permit(name: str) -> None:
    sealed = read(name)
    envelope = read_envelope(Reader(sealed))

    assert OFFICE_KEY.has_sealed(envelope)
    assert SIGNER.seal(PERMIT, parse(envelope.payload)) == sealed


@pytest.mark.parametrize(
    ("wish", "expected"),
    [("inbound", []), ("visit", ["A9"]), (None, ["A3", "A9"])],
)
def test_the_phone_spares_the_wished_visits_that_a_permit_says_it_spares(
    wish: str | None, expected: list[str]
) -> None:
    permit = parse(read_envelope(Reader(read("permit_wishes.json"))).payload)
    earlier = {"assignment_id": "another", "debtor_id": permit["debtor_id"], "wish": wish}
    memory = {"arrivals": [{**earlier, "at": "2026-11-24T03:00:00Z"}], "stops": []}
    here = AtTheDoor(RECEIVED, Reader(permit).uuids("team"), permit["permit_id"])

    found = obstacles(permit, here, memory=memory)

    assert [one.rule for one in found] == expected


def test_a_rescue_bundle_of_then_opens_and_holds_what_it_held(payload: bytes) -> None:
    with (GOLDEN / "bundle.fvrescue").open("rb") as source:
        bundle = open_bundle(source, openers=[SIGNER.rescue], key_of=lambda device_id: PHONE_KEY)
        found = [one.read() if isinstance(one, FileStream) else one for one in bundle.contents()]

    manifest = bundle.manifest
    assert (manifest.device_id, manifest.staff_id, manifest.volumes) == (DEVICE, VISITOR, 1)
    assert [(one.evidence_id, one.start, one.length) for one in manifest.files] == [(VISIT, 0, 9)]
    assert [one.why for one in manifest.absent] == ["the file on this phone is gone or was cut"]
    assert found == [PushedItem(ITEM_ID, 1, None, PHONE.seal(ITEM, payload)), b"\xff\xd8 a jpeg"]
