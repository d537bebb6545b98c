"""A rescue bundle: its carrier can neither read nor change it, and its receiver knows what he got."""

import hashlib
import io
import json
import random
import tracemalloc
from typing import Any
from uuid import UUID, uuid4

import pytest

from sync.envelope import DeviceKey, PublicKey, keyid_of
from sync.protocol import Envelope, PushedItem
from sync.rescue import (
    MAGIC,
    RESCUE_KEY,
    FileStream,
    RescueFault,
    check_bundle,
    open_bundle,
    read_rescue_key,
    rescue_key_body,
    write_bundle,
)
from sync.strongbox import PIECE, BoxKey, BoxOpener
from sync.wire import WireFault
from tests.sync.bundles import KEY, OPENER, a_bundle, a_chain, a_manifest, carried_file, key_of

OTHER = BoxOpener.from_secret(b"\x06" * 32, purpose=b"test")


def opened(raw: bytes) -> tuple[list[PushedItem], list[tuple[UUID, bytes]]]:
    """Everything in a bundle."""
    items, files = [], []
    for one in open_bundle(io.BytesIO(raw), openers=[OTHER, OPENER], key_of=key_of).contents():
        if isinstance(one, FileStream):
            files.append((one.file.evidence_id, b"".join(iter(one.read, b""))))
        else:
            items.append(one)
    return items, files


def fault_of(raw: bytes) -> RescueFault:
    with pytest.raises(RescueFault) as caught:
        check_bundle(io.BytesIO(raw), openers=[OPENER], key_of=key_of)
    return caught.value


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_what_was_put_in_comes_out_exactly_and_in_order(size: int) -> None:
    items, contents = a_chain(3), [b"x" * size, b"", b"last"]

    got_items, got_files = opened(a_bundle(items, contents))

    assert got_items == items
    assert [content for _, content in got_files] == contents


def test_every_length_of_the_last_piece_survives() -> None:
    # The manifest's length varies with the texts in it, so each run of this loop ends a piece elsewhere.
    for size in range(PIECE - 1300, PIECE, 97):
        _, files = opened(a_bundle([], [b"y" * size]))

        assert [content for _, content in files] == [b"y" * size]


def test_a_bundle_with_nothing_in_it_is_a_bundle() -> None:
    assert opened(a_bundle()) == ([], [])


def test_nothing_of_it_can_be_read_on_the_way() -> None:
    raw = a_bundle(a_chain(1), [b"a photo of the door"])

    assert b"a photo of the door" not in raw
    assert b"incident" not in raw and KEY.spki[-32:] not in raw and keyid_of(KEY.spki).encode() not in raw


def test_only_the_office_it_is_for_opens_it() -> None:
    with pytest.raises(RescueFault) as caught:
        open_bundle(io.BytesIO(a_bundle(a_chain(1))), openers=[OTHER], key_of=key_of)

    assert caught.value.slug == "bundle-for-another"


def test_a_bundle_of_a_phone_nobody_enrolled_is_named() -> None:
    assert fault_of(a_bundle(device_id=uuid4())).slug == "sender-unknown"


def test_a_bundle_signed_by_another_key_is_not_the_phones() -> None:
    assert fault_of(a_bundle(a_chain(1), key=DeviceKey.generate())).slug == "sender-unproven"


def test_wherever_a_bundle_is_cut_it_is_refused_and_said_so() -> None:
    raw = a_bundle(a_chain(2), [b"z" * (2 * PIECE)])
    dice = random.Random(4)
    header = range(len(MAGIC), len(raw) - _locked_length(raw) + 1)
    ends = {0, 1, *header, len(raw) - 1, *(dice.randrange(len(raw)) for _ in range(200))}

    slugs = {end: fault_of(raw[:end]).slug for end in ends}

    assert {slug for end, slug in slugs.items() if end} <= {"bundle-cut", "bundle-changed"}
    assert slugs[0] == "not-a-bundle"


def test_a_bundle_cut_between_two_pieces_is_cut_not_changed() -> None:
    raw = a_bundle([], [b"z" * (3 * PIECE)])
    start = len(raw) - _locked_length(raw)

    fault = fault_of(raw[: start + 2 * (PIECE + 16)])

    assert fault.slug == "bundle-cut"
    assert "file" in fault.detail


def _locked_length(raw: bytes) -> int:
    header = int.from_bytes(raw[len(MAGIC) + 1 : len(MAGIC) + 5], "big")
    return len(raw) - len(MAGIC) - 5 - header


def test_wherever_one_bit_is_flipped_it_is_refused_and_no_bad_item_is_handed_out() -> None:
    items, content = a_chain(40, body={"kind": "dog", "text": "狗" * 2000}), b"w" * (2 * PIECE)
    raw = a_bundle(items, [content])
    dice = random.Random(5)

    for _ in range(300):
        at = dice.randrange(len(raw))
        bad = bytearray(raw)
        bad[at] ^= 1 << dice.randrange(8)
        handed_out: list[Any] = []
        with pytest.raises(RescueFault) as caught:
            for one in open_bundle(io.BytesIO(bytes(bad)), openers=[OPENER], key_of=key_of).contents():
                handed_out.append(one)

        assert [one for one in handed_out if isinstance(one, PushedItem)] == items[: len(handed_out)][:40]
        assert caught.value.slug in {
            "bundle-changed",
            "bundle-for-another",
            "bundle-too-new",
            "not-a-bundle",
            "bundle-cut",
        }, at


def test_the_place_of_the_damage_is_named() -> None:
    items = a_chain(40, body={"kind": "dog", "text": "狗" * 2000})
    raw = bytearray(a_bundle(items, []))
    raw[-20_000] ^= 1

    fault = fault_of(bytes(raw))

    assert fault.slug == "bundle-changed"
    assert any(str(item.id) in fault.detail for item in items[10:])


def test_pieces_cannot_be_swapped_or_dropped_or_added() -> None:
    raw = a_bundle([], [b"z" * (4 * PIECE)])
    step, start = PIECE + 16, len(raw) - _locked_length(raw)
    pieces = [raw[at : at + step] for at in range(start, len(raw), step)]
    swapped = [pieces[0], pieces[2], pieces[1], *pieces[3:]]
    dropped = [pieces[0], *pieces[2:]]

    for wrong in (swapped, dropped, [*pieces, b"more"], [*pieces, pieces[1]]):
        assert fault_of(raw[:start] + b"".join(wrong)).slug == "bundle-changed"


def test_a_later_version_is_not_misread() -> None:
    raw = bytearray(a_bundle())
    raw[len(MAGIC)] = 2

    assert fault_of(bytes(raw)).slug == "bundle-too-new"


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04 a zip", b"<html>portal</html>", b"\x00" * 100])
def test_what_is_no_bundle_is_called_so(raw: bytes) -> None:
    assert fault_of(raw).slug == "not-a-bundle"


def test_an_item_that_is_not_the_manifests_cannot_be_written() -> None:
    first, second = a_chain(2)

    with pytest.raises(RescueFault, match="is not the one"):
        a_bundle_of(a_manifest([first]), items=[second])


def a_bundle_of(manifest: Any, *, items: Any = (), content: bytes = b"") -> bytes:
    target = io.BytesIO()
    write_bundle(
        target,
        manifest,
        recipient=OPENER.public,
        sender=KEY,
        items=items,
        open_file=lambda file: io.BytesIO(content),
    )
    return target.getvalue()


@pytest.mark.parametrize("content", [b"", b"shor", b"other"])
def test_a_file_that_changed_while_it_was_written_spoils_the_bundle_at_once(content: bytes) -> None:
    file = carried_file(b"bytes")

    with pytest.raises(RescueFault, match=str(file.evidence_id)):
        a_bundle_of(a_manifest(files=[file]), content=content)


def test_a_part_of_a_file_travels_as_a_part() -> None:
    whole = bytes(range(256)) * 10
    file = carried_file(whole, start=100, length=200)

    raw = a_bundle_of(a_manifest(files=[file]), content=whole)

    bundle = open_bundle(io.BytesIO(raw), openers=[OPENER], key_of=key_of)
    stream = next(bundle.contents())
    assert isinstance(stream, FileStream)
    assert (stream.file.start, stream.file.size_bytes) == (100, 2560)
    assert stream.file.sha256 == hashlib.sha256(whole).hexdigest()
    assert b"".join(iter(lambda: stream.read(7), b"")) == whole[100:300]


def test_a_file_nobody_read_is_checked_all_the_same_and_the_next_one_follows() -> None:
    bundle = open_bundle(io.BytesIO(a_bundle([], [b"a" * 100_000, b"b"])), openers=[OPENER], key_of=key_of)

    sizes = [one.file.size_bytes for one in bundle.contents() if isinstance(one, FileStream)]

    assert sizes == [100_000, 1]


def test_a_file_that_was_passed_by_does_not_look_empty() -> None:
    bundle = open_bundle(io.BytesIO(a_bundle([], [b"a"])), openers=[OPENER], key_of=key_of)
    (stream,) = bundle.contents()

    assert isinstance(stream, FileStream)
    with pytest.raises(RuntimeError):
        stream.read()


class Zeros(io.RawIOBase):
    """A large file that takes no memory."""

    def __init__(self, size: int) -> None:
        self.rest = size

    def read(self, size: int = -1) -> bytes:
        piece = bytes(min(size, self.rest))
        self.rest -= len(piece)
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset


def test_memory_stays_flat_however_large_the_file(tmp_path: Any) -> None:
    size = 64 * 1024**2
    sha256 = hashlib.sha256(bytes(size)).hexdigest()
    file = carried_file(b"")
    file = type(file)(
        **{name: getattr(file, name) for name in ("evidence_id", "filename", "mime")},
        sha256=sha256,
        size_bytes=size,
        start=0,
        length=size,
        part_sha256=sha256,
    )
    path = tmp_path / "bundle"

    tracemalloc.start()
    with path.open("wb") as target:
        write_bundle(
            target,
            a_manifest(files=[file]),
            recipient=OPENER.public,
            sender=KEY,
            items=[],
            open_file=lambda _: Zeros(size),  # type: ignore[arg-type, return-value]
        )
    with path.open("rb") as source:
        check_bundle(source, openers=[OPENER], key_of=key_of)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert path.stat().st_size > size
    assert peak < 4 * 1024**2


OFFICE = DeviceKey.generate()
OFFICE_KEY = PublicKey.from_spki(OFFICE.spki, algorithm="ed25519")


def sealed_key(**changed: Any) -> Envelope:
    return OFFICE.seal(RESCUE_KEY, json.dumps(rescue_key_body(OPENER.public) | changed).encode())


def test_a_phone_takes_the_rescue_key_that_its_office_signed() -> None:
    assert read_rescue_key(sealed_key(), server_key=OFFICE_KEY) == OPENER.public


def test_a_rescue_key_of_somebody_else_is_refused() -> None:
    stranger = PublicKey.from_spki(DeviceKey.generate().spki, algorithm="ed25519")

    with pytest.raises(WireFault):
        read_rescue_key(sealed_key(), server_key=stranger)


def test_a_suite_of_a_later_day_is_no_key_yet() -> None:
    assert read_rescue_key(sealed_key(suite="ML-KEM"), server_key=OFFICE_KEY) is None


@pytest.mark.parametrize("key", ["", "AAAA", "*"])
def test_a_signed_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(WireFault):
        read_rescue_key(sealed_key(public_key=key), server_key=OFFICE_KEY)


def test_keys_of_different_purposes_are_different_keys() -> None:
    one, other = (BoxOpener.from_secret(b"s" * 32, purpose=purpose) for purpose in (b"a", b"b"))

    assert one.public != other.public
    assert BoxKey.from_raw(one.public.raw) == one.public
