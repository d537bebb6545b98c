"""The wire: strict about form, tolerant about what it does not know, precise about what is wrong."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.envelope import DeviceKey
from sync.protocol import Clock, Item
from sync.wire import (
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_PARTS,
    Reader,
    WireFault,
    parse,
    read_batch,
    read_clock,
    read_envelope,
    read_item,
    write_clock,
    write_envelope,
    write_instant,
    write_item,
    write_pushed,
)
from tests.sync.made import a_clock, an_item, pushed

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
WHOLE = st.integers(0, 2**53)
INSTANTS = st.datetimes(
    datetime(1971, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC) | st.just(timezone(timedelta(hours=8)))
)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(TEXT, parts, max_size=3),
    max_leaves=12,
)  # fmt: skip
CLOCKS = st.builds(
    Clock,
    wall=INSTANTS,
    tz=st.sampled_from(["+08:00", "Asia/Shanghai"]),
    monotonic_ms=WHOLE,
    boot_id=TEXT,
    native=st.booleans(),
    anchor=st.none() | TEXT,
    anchor_monotonic_ms=st.none() | WHOLE,
    anchor_boot_id=st.none() | TEXT,
    rtt_ms=st.none() | WHOLE,
)
ITEMS = st.builds(
    Item,
    item_id=st.uuids(),
    device_id=st.uuids(),
    staff_id=st.uuids(),
    seq=st.integers(1, 2**53),
    prev=st.none() | st.binary(min_size=32, max_size=32),
    type=TEXT,
    seen_seq=WHOLE,
    clock=CLOCKS,
    body=st.dictionaries(TEXT, VALUES, max_size=4),
    extra=st.dictionaries(TEXT.map("x-".__add__), VALUES, max_size=2),
)


@given(ITEMS)
def test_an_item_survives_writing_and_reading_with_members_nobody_knows(item: Item) -> None:
    assert read_item(write_item(item)) == item


@given(CLOCKS)
def test_clock_readings_survive_writing_and_reading(clock: Clock) -> None:
    assert read_clock(Reader(json.loads(json.dumps(write_clock(clock))))) == clock


@given(st.binary(max_size=300), st.binary(max_size=80))
def test_an_envelope_keeps_its_bytes_exactly(payload: bytes, sig: bytes) -> None:
    envelope = DeviceKey.generate().seal("application/x", payload)

    assert read_envelope(Reader(write_envelope(envelope))) == envelope


@given(st.binary(max_size=200) | TEXT.map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_whatever_bytes_come_reading_ends_in_a_value_or_a_fault(raw: bytes) -> None:
    for read in (parse, read_batch, read_item):
        try:
            read(raw)
        except WireFault as fault:
            assert fault.pointer == "" or fault.pointer.startswith("/")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"a":1}x',
        b"\xff\xfe{\x00}\x00",
        b'{"a":"\xc0\x80"}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":1,"a":2}',
        rb'{"a":"\u0000"}',
        rb'{"a":"\ud800"}',
        rb'{"\udc00":1}',
        rb'"\ud83d"',
        b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2),
        b'{"a":' * (MAX_DEPTH + 2) + b"1" + b"}" * (MAX_DEPTH + 2),
        b"[" * 200_000,
        b"[" + b"[]," * (MAX_PARTS // 2) + b"[]]",
        b"1" * 5000,
    ],
    ids=[
        *("empty", "cut", "trailing", "utf16", "overlong", "nan", "infinity", "huge-float", "same-key-twice"),
        *("nul", "surrogate", "surrogate-key", "surrogate-alone", "deep-list", "deep-object", "deeper"),
        *("countless", "huge-integer"),
    ],
)
def test_what_cannot_be_stored_is_no_json(raw: bytes) -> None:
    with pytest.raises(WireFault) as caught:
        parse(raw)

    assert caught.value.pointer == ""


@pytest.mark.parametrize(
    "raw", [rb'"\ud83d\ude00"', '"狗"'.encode(), b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, b"1.5e300", b"null"]
)
def test_what_can_be_stored_is_read(raw: bytes) -> None:
    assert parse(raw) == json.loads(raw)


def test_what_has_as_many_parts_as_may_be_is_read() -> None:
    assert len(parse(b"[" + b"0," * (MAX_PARTS - 1) + b"0]")) == MAX_PARTS


def an_item_with(**members: Any) -> bytes:
    return json.dumps(json.loads(write_item(an_item())) | members).encode()


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"item_id": 7}, "/item_id"),
        ({"item_id": None}, "/item_id"),
        ({"seq": 0}, "/seq"),
        ({"seq": True}, "/seq"),
        ({"seq": 1.0}, "/seq"),
        ({"seq": 2**53 + 1}, "/seq"),
        ({"prev": "00"}, "/prev"),
        ({"prev": "zz" * 32}, "/prev"),
        ({"type": "x" * 65}, "/type"),
        ({"clock": []}, "/clock"),
        ({"clock": {**write_clock(a_clock()), "wall": "2026-11-24T12:00:00"}}, "/clock/wall"),
        ({"clock": {**write_clock(a_clock()), "native": 1}}, "/clock/native"),
        ({"clock": {**write_clock(a_clock()), "rtt_ms": -1}}, "/clock/rtt_ms"),
        ({"body": "text"}, "/body"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_points_at_the_member(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(WireFault) as caught:
        read_item(an_item_with(**members))

    assert caught.value.pointer == pointer


def test_a_pointer_escapes_what_json_pointers_escape() -> None:
    assert Reader({}, "/body").at("a/b~c") == "/body/a~1b~0c"


def a_batch(count: int, spoil: Callable[[dict[str, Any]], None] = lambda batch: None) -> bytes:
    key = DeviceKey.generate()
    items = [write_pushed(pushed(an_item(seq=seq), key)) for seq in range(1, count + 1)]
    batch = {"batch_id": str(an_item().item_id), "clock": write_clock(a_clock()), "items": items}
    spoil(batch)
    return json.dumps(batch).encode()


def test_a_batch_keeps_the_order_of_its_items() -> None:
    assert [item.seq for item in read_batch(a_batch(3)).items] == [1, 2, 3]


@pytest.mark.parametrize(
    ("spoil", "pointer"),
    [
        (lambda batch: batch.pop("batch_id"), "/batch_id"),
        (lambda batch: batch.update(items={}), "/items"),
        (lambda batch: batch.update(items=[]), "/items"),
        (lambda batch: batch.update(items=batch["items"] * MAX_ITEMS), "/items"),
        (lambda batch: batch["items"].__setitem__(1, None), "/items/1"),
        (lambda batch: batch["items"][1].pop("envelope"), "/items/1/envelope"),
        (lambda batch: batch["items"][1]["envelope"].update(payload="*"), "/items/1/envelope/payload"),
        (
            lambda batch: batch["items"][0]["envelope"]["signatures"][0].update(sig=1),
            "/items/0/envelope/signatures/0/sig",
        ),
    ],
    ids=["no-id", "no-list", "empty", "too-many", "null", "no-envelope", "no-base64", "no-signature"],
)
def test_a_fault_in_a_batch_points_into_it(spoil: Callable[[dict[str, Any]], None], pointer: str) -> None:
    with pytest.raises(WireFault) as caught:
        read_batch(a_batch(2, spoil))

    assert caught.value.pointer == pointer


def test_times_are_written_in_utc_whatever_their_zone() -> None:
    eight_ahead = datetime(2026, 11, 24, 12, tzinfo=timezone(timedelta(hours=8)))

    assert write_instant(eight_ahead) == "2026-11-24T04:00:00.000000Z"
