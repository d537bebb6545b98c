"""What does a page of the feed say?

Form only. Kinds and members that this phone does not know are kept or ignored; what it relies on must be
there, or the answer is somebody else's.
"""

from dataclasses import dataclass
from typing import Any

from sync.protocol import Change
from sync.wire import Reader
from sync.witness import Growth, read_growth


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the feed. Members that came with later releases may be missing."""

    changes: list[Change]
    cursor: str
    seen: dict[str, int]
    anchor: dict[str, Any]
    has_more: bool
    durable_through: int | None
    record_digest: bytes | None
    scope_digest: dict[str, str]
    rescue_key: dict[str, Any] | None
    growth: Growth | None


def read_page(told: Reader) -> Page:
    """Read a pull's answer. Raises WireFault."""
    seen = Reader(told.value.get("seen", {}), "/seen")
    digests = Reader(told.value.get("scope_digest") or {}, "/scope_digest")
    rescue_key = told.value.get("rescue_key")
    return Page(
        changes=[
            _read_change(Reader(value, f"/changes/{n}")) for n, value in enumerate(told.array("changes"))
        ],
        cursor=told.text("cursor"),
        seen={scope: seen.integer(scope) for scope in seen.value},
        anchor=read_anchor(told.within("anchor")),
        has_more=told.boolean("has_more"),
        durable_through=told.optional_integer("durable_through"),
        record_digest=told.optional_digest("record_digest"),
        scope_digest={scope: digests.text(scope, most=128) for scope in digests.value},
        rescue_key=rescue_key if isinstance(rescue_key, dict) else None,
        growth=None if told.value.get("log") is None else read_growth(told.within("log")),
    )


def read_anchor(told: Reader) -> dict[str, Any]:
    """Read an anchor that items can carry. Raises WireFault."""
    told.text("token", most=256)
    told.instant("server_time")
    return told.value


def _read_change(reader: Reader) -> Change:
    is_put = reader.choice("op", "put", "remove") == "put"
    return Change(
        scope=reader.text("scope"),
        kind=reader.text("kind"),
        id=reader.uuid("id"),
        op="put" if is_put else "remove",
        rev=reader.integer("rev"),
        body=reader.within("body").value if is_put else None,
    )
