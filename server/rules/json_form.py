"""How do frozen facts become JSON and the same facts again?

One codec for every dataclass of this package, driven by the type hints. A stored decision is read back
exactly, so that a replay judges what was judged.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID


def stamp(at: datetime) -> str:
    """Write an instant as ISO 8601 in UTC with Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_json(value: Any) -> Any:
    """Turn a value of this package into plain JSON values."""
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, (UUID, date, time)):
        return str(value)
    if isinstance(value, Mapping):
        return {to_json(key): to_json(below) for key, below in value.items()}
    if isinstance(value, frozenset):
        return sorted(to_json(below) for below in value)
    if isinstance(value, (tuple, list)):
        return [to_json(below) for below in value]
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    return value


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def from_json(kind: Any, value: Any) -> Any:
    """Read a value of type `kind` back; members that the type has since gained take their defaults."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _from_optional(kind, value)
    if origin is tuple:
        return tuple(from_json(get_args(kind)[0], below) for below in value)
    if origin is frozenset:
        return frozenset(from_json(get_args(kind)[0], below) for below in value)
    if origin is not None and issubclass(origin, Mapping):
        key_kind, value_kind = get_args(kind)
        return {from_json(key_kind, key): from_json(value_kind, below) for key, below in value.items()}
    if kind is datetime or kind is date or kind is time:
        return kind.fromisoformat(value)
    if kind is UUID:
        return UUID(value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{name: from_json(hints[name], below) for name, below in value.items() if name in hints})
    return value


def _from_optional(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    return from_json(next(part for part in get_args(kind) if part is not type(None)), value)
