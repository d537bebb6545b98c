"""How do the statements of every push reach PostgreSQL by the shortest way?

`run` hands constant SQL text to the driver on the session's own connection: SQLAlchemy's compiler and result
layers cost several times what such a statement costs itself. Many values of one column travel as one array,
packed here into PostgreSQL's binary form, so that neither side parses text. Errors come out as SQLAlchemy's.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
NULL: Final = b"\xff\xff\xff\xff"

_HEAD: Final = struct.Struct(">iiIii")
_LENGTH: Final = struct.Struct(">i")
_INT: Final = struct.Struct(">ii")
_LONG: Final = struct.Struct(">iq")
_dialect: Final = PGDialect_psycopg()


Statement = tuple[str, Mapping[str, Any]]
"""Constant SQL and its values."""


def run(where: Session | Connection, statement: str, values: Mapping[str, Any]) -> list[Any]:
    """Run constant SQL (`%(name)s`) in the transaction that is open there; return rows as named tuples."""
    return run_on(_raw(where), statement, values)


def run_each(where: Session | Connection, *statements: Statement) -> list[list[Any]]:
    """Run several statements in one round trip, none of which needs what another answers."""
    return _run_each_on(_raw(where), statements)


def _raw(where: Session | Connection) -> psycopg.Connection[Any]:
    connection = where.connection() if isinstance(where, Session) else where
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def run_alone(engine: Engine, statement: str, values: Mapping[str, Any]) -> list[Any]:
    """Run one statement as a transaction of its own: one round trip, and nothing is held afterwards.

    Its plan is not held to keys (`FIND_BY_KEY`): a setting before it, in the same round trip, costs 50 us of
    the web and 12 us of the database, as against 62 and 22 of a look-up alone. What it would save lasts no
    longer than a minute, until autovacuum has counted a table that grew manifold and the plan is made anew.
    """
    with _autocommitting(engine, statement) as raw:
        return run_on(raw, statement, values)


def run_holding(engine: Engine, lock: str, statement: str, values: Mapping[str, Any]) -> list[Any]:
    """Run one statement as a transaction of its own that first waits for a lock (constant SQL).

    The statement sees everything that was committed while the lock was waited for.
    """
    with _autocommitting(engine, statement) as raw:
        with _as_sqlalchemy(lock):
            raw.execute(f"BEGIN; {lock}".encode())
        rows = run_on(raw, statement, values)
        with _as_sqlalchemy("COMMIT"):
            raw.execute(b"COMMIT")
        return rows


def look_up(engine: Engine, *questions: Statement) -> list[list[Any]]:
    """Ask several statements that find rows by key, in one snapshot and one round trip; return each one's."""
    with _autocommitting(engine, _BEGIN[0]) as raw:
        return _run_each_on(raw, (_BEGIN, FIND_BY_KEY, *questions, _COMMIT))[2:-1]


_BY_KEY: Final = " || ".join(
    f"set_config('{name}', '{value}', true)"
    for name, value in {
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "max_parallel_workers_per_gather": "0",
    }.items()
)
FIND_BY_KEY: Final[Statement] = (f"SELECT {_BY_KEY}", {})
"""For the rest of the transaction, prepared statements keep their plan, and it walks indexes.

For transactions that only find a few rows by key; it comes before the first of them. Planning them anew takes
PostgreSQL a sixth of the time of a push. But a plan made while a table was small, or misjudged, reads all of
it, and is kept: after 40,000 items pushes cost the database twice as much, until autovacuum came by; a first
sync took three times as long.
"""
_BEGIN: Final[Statement] = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {})
_COMMIT: Final[Statement] = ("COMMIT", {})


@contextmanager
def _autocommitting(engine: Engine, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """Lend a pooled connection, in no transaction; it is thrown away if anything goes wrong."""
    with _as_sqlalchemy(statement):
        pooled = engine.raw_connection()
    raw = pooled.driver_connection
    assert isinstance(raw, psycopg.Connection)
    try:
        raw.autocommit = True
        yield raw
        raw.autocommit = False
    except BaseException:
        pooled.invalidate()
        raise
    finally:
        pooled.close()


def run_on(raw: psycopg.Connection[Any], statement: str, values: Mapping[str, Any]) -> list[Any]:
    """Run a statement on the driver's connection; failures are the exceptions SQLAlchemy would raise."""
    with _as_sqlalchemy(statement):
        cursor = _execute(raw, statement, values)
        return cursor.fetchall() if cursor.description else []


def _run_each_on(raw: psycopg.Connection[Any], statements: Sequence[Statement]) -> list[list[Any]]:
    with _as_sqlalchemy("; ".join(statement for statement, _ in statements)):
        with raw.pipeline():
            cursors = [_execute(raw, statement, values) for statement, values in statements]
        return [cursor.fetchall() if cursor.description else [] for cursor in cursors]


def _execute(raw: psycopg.Connection[Any], statement: str, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
    """Prepare it at its first use: left to itself psycopg has a statement planned five times before."""
    cursor = raw.cursor(row_factory=namedtuple_row, binary=True)
    return cursor.execute(statement.encode(), values, prepare=True)


@contextmanager
def _as_sqlalchemy(statement: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error, hide_parameters=True, dialect=_dialect
        ) from error


class Uuids(bytes):
    """uuid[]"""


class Longs(bytes):
    """int8[]"""


class Blobs(bytes):
    """bytea[]"""


class Dates(bytes):
    """date[]"""


class Times(bytes):
    """timestamptz[]"""


class Texts(bytes):
    """text[]"""


class Documents(bytes):
    """jsonb[]"""


def uuids(values: Iterable[UUID | None]) -> Uuids:
    """Pack ids."""
    size = _LENGTH.pack(16)
    return Uuids(_array(2950, [NULL if value is None else size + value.bytes for value in values]))


def longs(values: Iterable[int | None]) -> Longs:
    """Pack whole numbers."""
    return Longs(_array(20, [NULL if value is None else _LONG.pack(8, value) for value in values]))


def times(values: Iterable[datetime | None]) -> Times:
    """Pack moments, to the microsecond."""
    return Times(
        _array(
            1184,
            [NULL if value is None else _LONG.pack(8, (value - EPOCH) // MICROSECOND) for value in values],
        )
    )


def dates(values: Iterable[date | None]) -> Dates:
    """Pack days."""
    first = EPOCH.date()
    return Dates(
        _array(1082, [NULL if value is None else _INT.pack(4, (value - first).days) for value in values])
    )


def blobs(values: Iterable[bytes | None]) -> Blobs:
    """Pack bytes."""
    return Blobs(_array(17, [_sized(value) for value in values]))


def texts(values: Iterable[str | None]) -> Texts:
    """Pack texts."""
    return Texts(_array(25, [_sized(None if value is None else value.encode()) for value in values]))


def documents(values: Iterable[Any]) -> Documents:
    """Pack JSON documents; None is SQL's null, not JSON's."""
    return Documents(_array(3802, [_sized(None if value is None else _json(value)) for value in values]))


_write: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


def _json(value: Any) -> bytes:
    return b"\x01" + _write(value).encode()


def _sized(value: bytes | None) -> bytes:
    return NULL if value is None else _LENGTH.pack(len(value)) + value


def _array(element: int, parts: list[bytes]) -> bytes:
    """Return the binary form of an array of one dimension; `element` is the oid of its type."""
    if not parts:
        return _HEAD.pack(0, 0, element, 0, 0)[:12]
    return _HEAD.pack(1, int(NULL in parts), element, len(parts), 1) + b"".join(parts)


class _Packed(Dumper):
    """Sends what is packed as it is."""

    format = Format.BINARY

    def dump(self, obj: Any) -> Any:
        """Return the bytes."""
        return obj


for _kind, _oid in {
    Uuids: 2951,
    Longs: 1016,
    Blobs: 1001,
    Dates: 1182,
    Times: 1185,
    Texts: 1009,
    Documents: 3807,
}.items():
    psycopg.adapters.register_dumper(_kind, type(_kind.__name__, (_Packed,), {"oid": _oid}))
