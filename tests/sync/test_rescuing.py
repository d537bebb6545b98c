"""A phone puts everything it could not send into bundles, whatever became of its network, token or office."""

import base64
import io
import json
import os
import random
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from sync.cancelling import Cancelled, CancelToken
from sync.envelope import DeviceKey, PublicKey, digest
from sync.events import Event, RescueWritten
from sync.phone import Clocks, Phone
from sync.protocol import PushedItem
from sync.rescue import RESCUE_KEY, FileStream, Manifest, RescueFault, open_bundle, rescue_key_body
from sync.rescuing import LEAST_VOLUME
from sync.strongbox import BoxOpener
from sync.wire import WireFault, write_envelope
from tests.sync.fake_office import FakeOffice, answering
from tests.sync.made import DEVICE, NOON, VISITOR, spoil

OFFICE = DeviceKey.generate()
OPENER = BoxOpener.from_secret(b"\x07" * 32, purpose=b"test")
TOKEN = "a-token-that-must-not-travel"
VISIT = uuid4()
CLOCKS = Clocks(wall=lambda: NOON)


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    phone = Phone(tmp_path / "phone", clocks=CLOCKS)
    sealed = OFFICE.seal(RESCUE_KEY, json.dumps(rescue_key_body(OPENER.public)).encode())
    phone.outbox.remember(
        device_id=str(DEVICE),
        staff_id=str(VISITOR),
        token=TOKEN,
        server_key=base64.b64encode(OFFICE.spki).decode(),
        rescue_key=write_envelope(sealed),
    )
    yield phone
    phone.close()


@pytest.fixture(autouse=True)
def bundles(tmp_path: Path) -> Path:
    folder = tmp_path / "bundles"
    folder.mkdir()
    return folder


def capture(phone: Phone, content: bytes) -> UUID:
    return phone.capture(content, visit_id=VISIT, kind="photo", purpose="door", mime="image/jpeg")


def report(phone: Phone, text: str = "狗") -> UUID:
    return phone.record("incident.raised", {"kind": "other", "text": text})


class Opened:
    """What came out of some volumes."""

    def __init__(self, phone: Phone, paths: list[Path]) -> None:
        self.manifests: list[Manifest] = []
        self.items: list[PushedItem] = []
        self.files: dict[UUID, bytes] = {}
        key = PublicKey.from_spki(phone.key.spki, algorithm="ed25519")
        for path in paths:
            with path.open("rb") as source:
                bundle = open_bundle(source, openers=[OPENER], key_of=lambda device_id: key)
                self.manifests.append(bundle.manifest)
                for one in bundle.contents():
                    self._take(one)

    def _take(self, one: PushedItem | FileStream) -> None:
        if isinstance(one, PushedItem):
            self.items.append(one)
            return
        before = self.files.setdefault(one.file.evidence_id, b"")
        assert one.file.start == len(before)
        self.files[one.file.evidence_id] = before + b"".join(iter(one.read, b""))


def test_everything_unsent_travels_exactly_as_it_would_be_pushed(phone: Phone, bundles: Path) -> None:
    names = [report(phone), report(phone)]
    photo, empty = capture(phone, b"jpeg"), capture(phone, b"")

    opened = Opened(phone, phone.export_rescue(bundles))

    assert opened.items == phone.outbox.next_batch(10)
    assert [item.id for item in opened.items[:2]] == names
    assert opened.files == {photo: b"jpeg", empty: b""}
    (manifest,) = opened.manifests
    assert (manifest.device_id, manifest.staff_id) == (DEVICE, VISITOR)
    assert (manifest.volume, manifest.volumes, manifest.absent) == (1, 1, ())


def test_what_the_office_has_does_not_travel(phone: Phone, bundles: Path) -> None:
    report(phone)
    capture(phone, b"jpeg")
    with FakeOffice(key=OFFICE).client() as http:
        phone.sync(http)
    unsent = report(phone)

    opened = Opened(phone, phone.export_rescue(bundles))

    assert ([item.id for item in opened.items], opened.files) == ([unsent], {})


def test_a_phone_that_is_revoked_or_signed_out_can_still_hand_in(phone: Phone, bundles: Path) -> None:
    name = report(phone)
    office = FakeOffice(key=OFFICE, faults=[answering(401, "token-expired")] * 9)
    with pytest.raises(Exception, match="401"), office.client() as http:
        phone.sync(http)

    assert [item.id for item in Opened(phone, phone.export_rescue(bundles)).items] == [name]


def test_no_token_and_no_key_is_inside(phone: Phone, bundles: Path) -> None:
    report(phone)
    (path,) = phone.export_rescue(bundles)
    opened = Opened(phone, [path])

    payloads = b"".join(item.envelope.payload for item in opened.items)
    inside = path.read_bytes() + payloads + repr((opened.manifests, opened.items)).encode()

    key = phone.key.to_der()
    for secret in (TOKEN.encode(), key, base64.b64encode(key), key.hex().encode(), key[-32:].hex().encode()):
        assert secret not in inside


def test_a_file_that_is_gone_is_named_and_the_others_travel(phone: Phone, bundles: Path) -> None:
    gone, cut, good = (capture(phone, content) for content in (b"gone", b"cut off", b"good"))
    (phone.media / str(gone)).unlink()
    (phone.media / str(cut)).write_bytes(b"cut")

    opened = Opened(phone, phone.export_rescue(bundles))

    assert opened.files == {good: b"good"}
    assert {absent.evidence_id for absent in opened.manifests[0].absent} == {gone, cut}


@pytest.mark.parametrize("is_late", [False, True], ids=["while-planning", "while-writing"])
def test_a_file_that_cannot_be_read_is_named_and_the_others_travel(
    phone: Phone, bundles: Path, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    words = report(phone)
    before, bad, after = (capture(phone, os.urandom(LEAST_VOLUME)) for _ in range(3))
    worn = phone.media / str(bad)
    if not is_late:
        spoil(monkeypatch, worn)

    def wear_out(event: Event) -> None:
        if is_late and isinstance(event, RescueWritten) and event.volume == 1:
            spoil(monkeypatch, worn)

    paths = phone.export_rescue(bundles, most_bytes=LEAST_VOLUME, on_event=wear_out)

    out = Opened(phone, paths)
    assert words in {item.id for item in out.items}
    assert {name: len(content) for name, content in out.files.items()} == {
        before: LEAST_VOLUME,
        after: LEAST_VOLUME,
    }
    absent = {one.evidence_id: one.why for manifest in out.manifests for one in manifest.absent}
    assert absent == {bad: "the file on this phone cannot be read: Input/output error"}
    assert all(path.stat().st_size <= LEAST_VOLUME for path in paths)


def test_what_is_stuck_travels_too_even_where_its_bytes_changed(phone: Phone, bundles: Path) -> None:
    name = capture(phone, b"jpeg")
    phone.outbox.files.finish(name, problem="the office refuses this file")
    (phone.media / str(name)).write_bytes(b"JPEG")

    opened = Opened(phone, phone.export_rescue(bundles))

    assert opened.files == {name: b"JPEG"}
    (file,) = opened.manifests[0].files
    assert file.part_sha256 != file.sha256  # the office sees it, as it would after an upload


@pytest.mark.parametrize("seed", range(3))
def test_volumes_keep_to_their_size_and_carry_everything(phone: Phone, bundles: Path, seed: int) -> None:
    print("seed", seed)
    dice = random.Random(seed)
    for _ in range(30):
        report(phone, "x" * dice.randint(1, 60_000))
    contents = {}
    for _ in range(12):
        content = dice.randbytes(dice.choice([0, 1, 4000, 400_000, 2_500_000]))
        contents[capture(phone, content)] = content
    most = LEAST_VOLUME + dice.randint(0, 300_000)

    paths = phone.export_rescue(bundles, most_bytes=most)

    opened = Opened(phone, paths)
    assert max(path.stat().st_size for path in paths) <= most
    assert [(one.volume, one.volumes) for one in opened.manifests] == [
        (n, len(paths)) for n in range(1, len(paths) + 1)
    ]
    assert len({one.bundle_id for one in opened.manifests}) == 1
    assert opened.items == phone.outbox.next_batch(1000, most_bytes=10**9)
    assert opened.files == contents
    assert sum(path.stat().st_size for path in paths) < most * len(paths)


def test_an_item_larger_than_a_volume_still_travels(phone: Phone, bundles: Path) -> None:
    names = [report(phone), report(phone, "x" * 2 * LEAST_VOLUME), report(phone)]

    opened = Opened(phone, phone.export_rescue(bundles, most_bytes=LEAST_VOLUME))

    assert [item.id for item in opened.items] == names


def test_a_volume_too_small_to_be_of_use_is_refused(phone: Phone, bundles: Path) -> None:
    with pytest.raises(RescueFault) as caught:
        phone.export_rescue(bundles, most_bytes=1000)

    assert caught.value.slug == "volume-too-small"


def test_without_the_offices_key_there_is_nothing_to_lock_with(phone: Phone, bundles: Path) -> None:
    phone.outbox.remember(rescue_key=None)

    with pytest.raises(RescueFault) as caught:
        phone.export_rescue(bundles)

    assert caught.value.slug == "no-rescue-key"


def test_a_phone_enrolled_before_bundles_existed_learns_the_key_with_a_page(
    phone: Phone, bundles: Path
) -> None:
    phone.outbox.remember(rescue_key=None)
    sealed = OFFICE.seal(RESCUE_KEY, json.dumps(rescue_key_body(OPENER.public)).encode())
    office = FakeOffice(key=OFFICE)
    office.pages = [office.page(rescue_key=write_envelope(sealed))]
    with office.client() as http:
        phone.sync(http)
    report(phone)

    assert len(Opened(phone, phone.export_rescue(bundles)).items) == 1


@pytest.mark.parametrize("key", [DeviceKey.generate(), OFFICE], ids=["stranger", "other-type"])
def test_a_key_that_somebody_slipped_in_is_not_taken(phone: Phone, key: DeviceKey) -> None:
    kept = phone.outbox.fact("rescue_key")
    mine = BoxOpener.from_secret(b"mine" * 8, purpose=b"x").public
    type_ = "application/json" if key is OFFICE else RESCUE_KEY
    sealed = key.seal(type_, json.dumps(rescue_key_body(mine)).encode())
    office = FakeOffice(key=OFFICE)
    office.pages = [office.page(rescue_key=write_envelope(sealed))]

    with office.client() as http:
        phone.sync(http)

    assert phone.outbox.fact("rescue_key") == kept


def test_an_export_changes_nothing_on_the_phone_and_the_network_still_works(
    phone: Phone, bundles: Path
) -> None:
    report(phone)
    capture(phone, b"jpeg")
    before = (phone.outbox.count_waiting(), phone.outbox.outcomes())
    phone.export_rescue(bundles)
    assert (phone.outbox.count_waiting(), phone.outbox.outcomes()) == before

    with FakeOffice(key=OFFICE).client() as http:
        done = phone.sync(http)

    assert (done.pushed, done.uploaded) == (2, 1)


class Meanwhile(CancelToken):
    """Hands all in from another session, and drops what it may, when the export first looks at a token
    (while it plans) or first tells something (while it writes)."""

    def __init__(self, phone: Phone, *, while_planning: bool, is_durable: bool) -> None:
        super().__init__()
        self.phone, self.is_due, self.while_planning = phone, True, while_planning
        self.office = FakeOffice(key=OFFICE, is_durable=is_durable, time=NOON + timedelta(hours=1))

    def check(self) -> None:
        if self.while_planning:
            self._hand_in()

    def hear(self, event: Event) -> None:
        self._hand_in()

    def _hand_in(self) -> None:
        if self.is_due:
            self.is_due = False
            with self.office.client() as http, closing(Phone(self.phone.folder, clocks=CLOCKS)) as other:
                other.sync(http)
                other.make_room()


@pytest.mark.parametrize("while_planning", [False, True])
def test_what_gets_its_receipt_while_it_is_exported_travels_all_the_same(
    phone: Phone, bundles: Path, while_planning: bool
) -> None:
    photo = capture(phone, b"jpeg")
    names = [report(phone, str(n)) for n in range(3)]
    meanwhile = Meanwhile(phone, while_planning=while_planning, is_durable=False)

    paths = phone.export_rescue(bundles, on_event=meanwhile.hear, cancel=meanwhile)

    opened = Opened(phone, paths)
    assert phone.outbox.count_waiting() == (0, 0)
    assert [item.id for item in opened.items[1:]] == ([] if while_planning else names)
    assert opened.files == {photo: b"jpeg"}


@pytest.mark.parametrize("while_planning", [False, True])
def test_what_the_phone_drops_while_it_is_exported_is_left_out(
    phone: Phone, bundles: Path, while_planning: bool
) -> None:
    capture(phone, b"jpeg")
    report(phone)
    meanwhile = Meanwhile(phone, while_planning=while_planning, is_durable=True)

    paths = phone.export_rescue(bundles, on_event=meanwhile.hear, cancel=meanwhile)

    opened = Opened(phone, paths)
    assert list(phone.media.iterdir()) == []
    assert (opened.items, opened.files, opened.manifests[0].absent) == ([], {}, ())
    assert sorted(bundles.iterdir()) == sorted(paths)


def test_a_cancelled_export_leaves_no_half_bundle(phone: Phone, bundles: Path) -> None:
    capture(phone, bytes(3_000_000))
    cancel = CancelToken()
    events: list[Event] = []

    def stop(event: Event) -> None:
        events.append(event)
        if isinstance(event, RescueWritten) and event.volume == 2:
            cancel.cancel()

    with pytest.raises(Cancelled):
        phone.export_rescue(bundles, most_bytes=LEAST_VOLUME, on_event=stop, cancel=cancel)

    assert list(bundles.iterdir()) == []
    assert isinstance(events[-1], RescueWritten) and events[-1].volumes == 3


def test_memory_stays_flat_while_exporting(phone: Phone, bundles: Path) -> None:
    phone.capture(io.BytesIO(bytes(1)), visit_id=VISIT, kind="video", purpose="recording", mime="video/mp4")
    big = phone.media / "big"
    with big.open("wb") as target:
        target.truncate(48 * 1024**2)
    tracemalloc.start()
    with big.open("rb") as content:
        phone.capture(content, visit_id=VISIT, kind="video", purpose="recording", mime="video/mp4")
    phone.export_rescue(bundles)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 6 * 1024**2


# Receipts that come back by another way.


def answer_of(office: FakeOffice, phone: Phone) -> bytes:
    outcomes: list[dict[str, Any]] = []
    for item in phone.outbox.next_batch(100):
        name = digest(item.envelope.payload_type, item.envelope.payload)
        receipt = office.receipt(str(item.id), name)
        outcomes.append({"id": str(item.id), "outcome": "applied", "flags": ["late"], "receipt": receipt})
    return json.dumps({"outcomes": outcomes}).encode()


def test_receipts_that_were_carried_back_free_the_outbox(phone: Phone) -> None:
    for _ in range(2):
        report(phone)
    answer = answer_of(FakeOffice(key=OFFICE), phone)

    assert phone.take_receipts(answer) == 2

    assert phone.outbox.count_waiting() == (0, 0)
    assert [one["flags"] for one in phone.outbox.outcomes()] == [["late"], ["late"]]


def test_receipts_of_an_impostor_free_nothing(phone: Phone) -> None:
    for _ in range(2):
        report(phone)
    honest = json.loads(answer_of(FakeOffice(key=OFFICE), phone))
    forged = json.loads(answer_of(FakeOffice(), phone))
    honest["outcomes"][1] = forged["outcomes"][1]

    with pytest.raises(WireFault):
        phone.take_receipts(json.dumps(honest).encode())

    assert phone.outbox.count_waiting() == (2, 0)


def test_receipts_of_other_phones_are_passed_over(phone: Phone, tmp_path: Path) -> None:
    report(phone)
    answer = json.loads(answer_of(FakeOffice(key=OFFICE), phone))
    answer["outcomes"][0]["id"] = str(uuid4())

    assert phone.take_receipts(json.dumps(answer).encode()) == 0
    assert phone.outbox.count_waiting() == (1, 0)
