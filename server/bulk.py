"""How do many rows reach a table in one statement?

One packed array per column, unfolded by PostgreSQL. The statement reads the same for any number of rows, so
it stays prepared, and the driver sees columns instead of thousands of values. For tables that phones fill.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session

from server.database import Model
from server.driver import blobs, dates, documents, longs, run, texts, times, uuids

Pack = Callable[[Sequence[Any]], bytes]

_PACKS: dict[type[sa.types.TypeEngine[Any]], Pack] = {
    sa.Uuid: uuids,
    sa.BigInteger: longs,
    BYTEA: blobs,
    sa.Date: dates,
    sa.DateTime: times,
    sa.Text: texts,
    JSONB: documents,
}


def insert_rows(
    session: Session, model: type[Model], rows: Sequence[dict[str, Any]], *, then: str = ""
) -> Sequence[Any]:
    """Insert rows that all have the same keys; `then` may be ON CONFLICT and RETURNING one column.

    Returns that column's values. Defaults made in Python are not filled in, the database's own are.
    """
    if not rows:
        return []
    columns = tuple(rows[0])
    packs = _packs(model)
    if unknown := [name for name in columns if name not in packs]:
        raise TypeError(f"columns {unknown} of {model.__tablename__} cannot be filled in bulk")
    values = {name: packs[name]([row[name] for row in rows]) for name in columns}
    return [row[0] for row in run(session, _statement(model, columns, then), values)]


def any_of(column: InstrumentedAttribute[Any], parameter: str) -> sa.ColumnElement[bool]:
    """Say that a column has one of the values of a list parameter.

    One parameter, however many values: the statement can be built once, and stays prepared.
    """
    return column == sa.any_(sa.bindparam(parameter, type_=ARRAY(column.type)))


@lru_cache
def _packs(model: type[Model]) -> dict[str, Pack]:
    """Return how the columns of a table are packed; those that cannot be are left out."""
    packs = {column.name: _pack_of(column.type) for column in sa.inspect(model).columns}
    return {name: pack for name, pack in packs.items() if pack is not None}


def _pack_of(type_: sa.types.TypeEngine[Any]) -> Pack | None:
    if isinstance(type_, ARRAY):
        return _lists
    return next((pack for kind, pack in _PACKS.items() if isinstance(type_, kind)), None)


def _lists(values: Sequence[Sequence[Any]]) -> bytes:
    """Pack lists as PostgreSQL writes them: an array of arrays would need all of one length."""
    return texts(["{" + ",".join(map(_quoted, value)) + "}" for value in values])


def _quoted(element: Any) -> str:
    escaped = str(element).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@lru_cache
def _statement(model: type[Model], columns: tuple[str, ...], then: str) -> str:
    types = {column.name: column.type for column in sa.inspect(model).columns}
    selected = ", ".join(_selected(name, types[name]) for name in columns)
    sources = ", ".join(f"%({name})s" for name in columns)
    names = ", ".join(columns)
    return (
        f"INSERT INTO {model.__tablename__} ({names})"
        f" SELECT {selected} FROM unnest({sources}) AS added ({names}) {then}"
    )


def _selected(name: str, type_: sa.types.TypeEngine[Any]) -> str:
    if isinstance(type_, ARRAY):
        element = "uuid" if isinstance(type_.item_type, sa.Uuid) else "text"
        return f"CAST(added.{name} AS {element}[])"
    return f"added.{name}"
