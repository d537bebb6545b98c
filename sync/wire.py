"""How are protocol types written as JSON, and read back from somebody we do not trust?

The one codec of the protocol. Reading is strict about form (UTF-8, no NUL, no lone surrogate, no
duplicate key, bounded nesting) and tolerant about what it does not know: unknown members survive a round
trip. Every fault carries the JSON pointer (RFC 6901) of what is wrong.
"""

import base64
import binascii
import json
import math
from datetime import UTC, datetime
from typing import Any, Final, NoReturn
from uuid import UUID

from sync.protocol import Clock, Envelope, Item, PushBatch, PushedItem, Signature

MAX_DEPTH: Final = 64
# Brackets and commas; the manifest of the largest bundle has fewer. A text of empty lists takes thirty times
# its length of memory, and seconds in which nothing else runs.
MAX_PARTS: Final = 1_000_000
MAX_INTEGER: Final = 2**53
NESTING: Final = frozenset({dict, list})
MAX_ITEMS: Final = 500


class WireFault(ValueError):
    """Something on the wire is not as the protocol has it."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer or '/'}: {detail}")
        self.pointer = pointer
        self.detail = detail


def parse(raw: bytes) -> Any:
    """Parse JSON bytes strictly; WireFault with an empty pointer if they are not storable JSON."""
    try:
        text = raw.decode("utf-8")
        nesting = text.count("{") + text.count("[")
        if nesting + text.count(",") > MAX_PARTS:
            raise ValueError(f"it has more than {MAX_PARTS} parts")
        value = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique
        )
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise WireFault("", f"not valid JSON: {error}") from None
    # Escapes are the only way a NUL or half a surrogate pair gets past the UTF-8 decoder, and nothing
    # nests deeper than it has brackets: most texts need no second look.
    if "\\u" in text:
        _check_texts(value)
    if nesting > MAX_DEPTH:
        _check_depth(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _check_depth(value: Any) -> None:
    """Go down level by level, over lists and objects only."""
    level = [value] if type(value) in NESTING else []
    for _ in range(MAX_DEPTH + 1):
        level = [
            part
            for one in level
            for part in (one.values() if type(one) is dict else one)
            if type(part) in NESTING
        ]
        if not level:
            return
    raise WireFault("", f"nests deeper than {MAX_DEPTH} levels")


def _check_texts(value: Any) -> None:
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str):
            if not is_storable(current):
                raise WireFault("", "has text with a NUL or half of a surrogate pair")
        elif isinstance(current, dict):
            waiting.extend(current)
            waiting.extend(current.values())
        elif isinstance(current, list):
            waiting.extend(current)


def is_storable(text: str) -> bool:
    """Whether a database can hold this text: no NUL, no lone surrogate."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class Reader:
    """Reads members of one JSON object, naming the pointer of whatever is not as it should be."""

    __slots__ = ("_above", "_name", "value")

    def __init__(self, value: Any, pointer: str = "", *, above: "Reader | None" = None) -> None:
        """`pointer` names the object, or with `above` its member there; it is spelt out for a fault only."""
        self._above = above
        self._name = pointer
        if not isinstance(value, dict):
            raise WireFault(self.pointer, "must be an object")
        self.value: dict[str, Any] = value

    @property
    def pointer(self) -> str:
        """The JSON pointer of the object."""
        return self._name if self._above is None else self._above.at(self._name)

    def at(self, key: str) -> str:
        """Return the pointer of a member."""
        return f"{self.pointer}/{key.replace('~', '~0').replace('/', '~1')}"

    def required(self, key: str) -> Any:
        """Return a member that must be there and not be null."""
        value = self.value.get(key)
        if value is None:
            raise WireFault(self.at(key), "is missing")
        return value

    def text(self, key: str, *, most: int = 100_000) -> str:
        value = self.required(key)
        if not isinstance(value, str) or len(value) > most:
            raise WireFault(self.at(key), f"must be text of at most {most} characters")
        return value

    def optional_text(self, key: str, *, most: int = 100_000) -> str | None:
        return None if self.value.get(key) is None else self.text(key, most=most)

    def choice(self, key: str, *allowed: str) -> str:
        value = self.text(key)
        if value not in allowed:
            raise WireFault(self.at(key), f"must be one of: {', '.join(allowed)}")
        return value

    def integer(self, key: str, *, least: int = 0) -> int:
        value = self.required(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_INTEGER:
            raise WireFault(self.at(key), f"must be a whole number from {least} to 2^53")
        return value

    def optional_integer(self, key: str, *, least: int = 0) -> int | None:
        return None if self.value.get(key) is None else self.integer(key, least=least)

    def number(self, key: str, *, least: float, most: float) -> float:
        value = self.required(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise WireFault(self.at(key), f"must be a number from {least} to {most}")
        return float(value)

    def boolean(self, key: str) -> bool:
        value = self.required(key)
        if not isinstance(value, bool):
            raise WireFault(self.at(key), "must be true or false")
        return value

    def uuid(self, key: str) -> UUID:
        value = self.required(key)
        try:
            return UUID(value)
        except (TypeError, ValueError, AttributeError):
            raise WireFault(self.at(key), "must be a UUID") from None

    def optional_uuid(self, key: str) -> UUID | None:
        return None if self.value.get(key) is None else self.uuid(key)

    def uuids(self, key: str) -> tuple[UUID, ...]:
        return tuple(_uuid(value, f"{self.at(key)}/{n}") for n, value in enumerate(self.array(key)))

    def array(self, key: str) -> list[Any]:
        value = self.required(key)
        if not isinstance(value, list):
            raise WireFault(self.at(key), "must be a list")
        return value

    def digest(self, key: str) -> bytes:
        """Read a SHA-256 as 64 hex digits."""
        value = self.required(key)
        try:
            digest = bytes.fromhex(value)
        except (TypeError, ValueError):
            digest = b""
        if len(digest) != 32:
            raise WireFault(self.at(key), "must be a SHA-256 as 64 hex digits")
        return digest

    def optional_digest(self, key: str) -> bytes | None:
        return None if self.value.get(key) is None else self.digest(key)

    def base64(self, key: str) -> bytes:
        value = self.text(key, most=32_000_000)
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise WireFault(self.at(key), "must be base64") from None

    def instant(self, key: str) -> datetime:
        """Read an RFC 3339 time; the result is UTC."""
        value = self.text(key, most=40)
        try:
            instant = datetime.fromisoformat(value)
            if instant.tzinfo is None:
                raise ValueError
            return instant.astimezone(UTC)
        except (ValueError, OverflowError):
            raise WireFault(
                self.at(key), "must be a time with its offset, such as 2026-11-24T02:10:00Z"
            ) from None

    def within(self, key: str) -> "Reader":
        """Return a reader of a member that is an object."""
        return Reader(self.required(key), key, above=self)


def _uuid(value: Any, pointer: str) -> UUID:
    try:
        return UUID(value)
    except (TypeError, ValueError, AttributeError):
        raise WireFault(pointer, "must be a UUID") from None


def read_clock(reader: Reader) -> Clock:
    """Read raw clock readings."""
    return Clock(
        wall=reader.instant("wall"),
        tz=reader.text("tz", most=64),
        monotonic_ms=reader.integer("monotonic_ms"),
        boot_id=reader.text("boot_id", most=128),
        native=reader.boolean("native"),
        anchor=reader.optional_text("anchor", most=256),
        anchor_monotonic_ms=reader.optional_integer("anchor_monotonic_ms"),
        anchor_boot_id=reader.optional_text("anchor_boot_id", most=128),
        rtt_ms=reader.optional_integer("rtt_ms"),
    )


def write_clock(clock: Clock) -> dict[str, Any]:
    """Write raw clock readings."""
    return {
        "wall": write_instant(clock.wall),
        "tz": clock.tz,
        "monotonic_ms": clock.monotonic_ms,
        "boot_id": clock.boot_id,
        "native": clock.native,
        "anchor": clock.anchor,
        "anchor_monotonic_ms": clock.anchor_monotonic_ms,
        "anchor_boot_id": clock.anchor_boot_id,
        "rtt_ms": clock.rtt_ms,
    }


def write_instant(instant: datetime) -> str:
    """Write a time as UTC with microseconds and a Z."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def read_envelope(reader: Reader) -> Envelope:
    """Read a DSSE envelope; the payload is kept as the exact bytes."""
    listed = reader.array("signatures")
    signatures = [Reader(value, f"{reader.at('signatures')}/{n}") for n, value in enumerate(listed)]
    return Envelope(
        payload_type=reader.text("payloadType", most=256),
        payload=reader.base64("payload"),
        signatures=tuple(
            Signature(keyid=one.text("keyid", most=128), sig=one.base64("sig")) for one in signatures[:8]
        ),
    )


def write_envelope(envelope: Envelope) -> dict[str, Any]:
    """Write a DSSE envelope."""
    return {
        "payloadType": envelope.payload_type,
        "payload": base64.b64encode(envelope.payload).decode(),
        "signatures": [
            {"keyid": one.keyid, "sig": base64.b64encode(one.sig).decode()} for one in envelope.signatures
        ],
    }


_ITEM_KEYS = {"v", "item_id", "device_id", "staff_id", "seq", "prev", "type", "seen_seq", "clock", "body"}


def read_item(payload: bytes) -> Item:
    """Read the bytes an envelope signs."""
    reader = Reader(parse(payload))
    return Item(
        item_id=reader.uuid("item_id"),
        device_id=reader.uuid("device_id"),
        staff_id=reader.uuid("staff_id"),
        seq=reader.integer("seq", least=1),
        prev=reader.optional_digest("prev"),
        type=reader.text("type", most=64),
        seen_seq=reader.integer("seen_seq"),
        clock=read_clock(reader.within("clock")),
        body=reader.within("body").value,
        extra={key: value for key, value in reader.value.items() if key not in _ITEM_KEYS},
    )


def write_item(item: Item) -> bytes:
    """Write an item as the bytes to be signed. Done once, on the phone; never again by anybody."""
    members: dict[str, Any] = {
        "v": 1,
        "item_id": str(item.item_id),
        "device_id": str(item.device_id),
        "staff_id": str(item.staff_id),
        "seq": item.seq,
        "prev": None if item.prev is None else item.prev.hex(),
        "type": item.type,
        "seen_seq": item.seen_seq,
        "clock": write_clock(item.clock),
        "body": item.body,
        **item.extra,
    }
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


def read_batch(raw: bytes) -> PushBatch:
    """Read a push request."""
    reader = Reader(parse(raw))
    items = reader.array("items")
    if not 1 <= len(items) <= MAX_ITEMS:
        raise WireFault("/items", f"must have 1 to {MAX_ITEMS} items")
    return PushBatch(
        batch_id=reader.uuid("batch_id"),
        clock=read_clock(reader.within("clock")),
        items=tuple(read_pushed(Reader(value, f"/items/{n}")) for n, value in enumerate(items)),
    )


def read_pushed(reader: Reader) -> PushedItem:
    """Read one item of a push request."""
    return PushedItem(
        id=reader.uuid("id"),
        seq=reader.integer("seq", least=1),
        prev=reader.optional_digest("prev"),
        envelope=read_envelope(reader.within("envelope")),
    )


def write_pushed(item: PushedItem) -> dict[str, Any]:
    """Write one item of a push request."""
    return {
        "id": str(item.id),
        "seq": item.seq,
        "prev": None if item.prev is None else item.prev.hex(),
        "envelope": write_envelope(item.envelope),
    }
