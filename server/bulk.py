"""How do many rows reach a table in one statement?

One parameter per column, unfolded by PostgreSQL: ids, numbers, times and bytes as arrays, everything that is
text or JSON as one JSON list. The statement reads the same for any number of rows, and the driver converts
columns instead of thousands of single values. For the tables that phones fill.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session

from server.database import Model

_ARRAYS: dict[type[sa.types.TypeEngine[Any]], str] = {
    sa.Uuid: "uuid",
    sa.BigInteger: "int8",
    BYTEA: "bytea",
    sa.DateTime: "timestamptz",
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
    types = _types(model)
    values: dict[str, Any] = {name: [row[name] for row in rows] for name in columns}
    for name in columns:
        if _array_of(types[name]) is None:
            values[name] = json.dumps(values[name], ensure_ascii=False, default=str)
    result = session.execute(_statement(model, columns, then), values)
    return result.scalars().all() if "RETURNING" in then else []


def any_of(column: InstrumentedAttribute[Any], parameter: str) -> sa.ColumnElement[bool]:
    """Say that a column has one of the values of a list parameter.

    One parameter, however many values: the statement can be built once, and stays prepared.
    """
    return column == sa.any_(sa.bindparam(parameter, type_=ARRAY(column.type)))


@lru_cache
def _types(model: type[Model]) -> dict[str, sa.types.TypeEngine[Any]]:
    return {column.name: column.type for column in sa.inspect(model).columns}


def _array_of(type_: sa.types.TypeEngine[Any]) -> str | None:
    """Return the element type of the array a column travels in; None: it travels as JSON."""
    for known, name in _ARRAYS.items():
        if isinstance(type_, known):
            return name
    if isinstance(type_, sa.Text | JSONB | ARRAY):
        return None
    raise TypeError(f"columns of {type_!r} cannot be filled in bulk")


@lru_cache
def _statement(model: type[Model], columns: tuple[str, ...], then: str) -> sa.TextClause:
    types = _types(model)
    selected = ", ".join(_selected(name, types[name]) for name in columns)
    sources = ", ".join(_source(name, types[name]) for name in columns)
    names = ", ".join(columns)
    return sa.text(
        f"INSERT INTO {model.__tablename__} ({names})"
        f" SELECT {selected} FROM ROWS FROM ({sources}) AS added ({names}) {then}"
    )


def _source(name: str, type_: sa.types.TypeEngine[Any]) -> str:
    if element := _array_of(type_):
        return f"unnest(CAST(:{name} AS {element}[]))"
    unfold = "jsonb_array_elements_text" if isinstance(type_, sa.Text) else "jsonb_array_elements"
    return f"{unfold}(CAST(:{name} AS jsonb))"


def _selected(name: str, type_: sa.types.TypeEngine[Any]) -> str:
    if isinstance(type_, JSONB):
        return f"nullif(added.{name}, 'null')"
    if isinstance(type_, ARRAY):
        element = _array_of(type_.item_type) or "text"
        return f"CAST(ARRAY(SELECT jsonb_array_elements_text(added.{name})) AS {element}[])"
    return f"added.{name}"
