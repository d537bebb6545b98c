"""How does everything that is encrypted come under the newest key while the office works?

The encrypted columns are read from the tables' own description, so a new one cannot be forgotten. Rows are
taken in the order of their primary key, a batch a transaction. A batch locks its rows and passes over those
that somebody else has locked: it never waits for anybody, overwrites nobody's change, and cannot deadlock;
what it passed over is taken in the next sweep. What is done already is skipped, so a killed run is simply
started again. Blind indexes beside the encrypted columns are made anew in the same sweep, or for the first
time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
import tink
from sqlalchemy.dialects.postgresql import BYTEA
from sqlalchemy.orm import Session

from server import blind, pii
from server.blind import BlindIndex
from server.database import db, snapshot, transaction
from server.keysets import prefix_of, primary_of
from server.pii import Encrypted

PREFIX_BYTES: Final = 5
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Primaries:
    """The keys that write: what is encrypted, and what is looked up by."""

    pii: int
    lookup: int


@dataclass(frozen=True, slots=True)
class EncryptedTable:
    """A table with encrypted columns, as ciphertext. `columns`: name -> what the ciphertext is bound to.

    `indexes`: the blind indexes of some of these columns.
    """

    name: str
    keys: tuple[str, ...]
    columns: Mapping[str, str]
    indexes: Mapping[str, BlindIndex]
    raw: sa.TableClause

    def key(self) -> sa.Tuple:
        """Return the primary key as one thing to compare and to order by."""
        return sa.tuple_(*(self.raw.c[name] for name in self.keys))

    def is_stale(self, primary: Primaries) -> sa.ColumnElement[bool]:
        """Say that a row holds something that another key wrote, or lacks an index."""
        return sa.or_(
            *(self._begins(name) != prefix_of(primary.pii) for name in self.columns),
            *(self._lacks(name, index, primary) for name, index in self.indexes.items()),
        )

    def _lacks(self, name: str, index: BlindIndex, primary: Primaries) -> sa.ColumnElement[bool]:
        of_newest = sa.func.coalesce(self._begins(name), b"") == prefix_of(primary.lookup)
        return sa.and_(self.raw.c[index.of].is_not(None), sa.not_(of_newest))

    def is_under(self, number: int) -> sa.ColumnElement[bool]:
        """Say that a row holds something that this key wrote."""
        return sa.or_(*(self._begins(name) == prefix_of(number) for name in (*self.columns, *self.indexes)))

    def _begins(self, name: str) -> sa.ColumnElement[bytes]:
        return sa.func.substring(self.raw.c[name], 1, PREFIX_BYTES, type_=BYTEA())


@dataclass(slots=True)
class Sweep:
    """What one sweep over a table did. `unreadable`: rows that none of the keys opens."""

    table: str
    rewritten: int = 0
    unreadable: list[str] = field(default_factory=list)


def primaries() -> Primaries:
    """Return the keys that this process writes with now."""
    return Primaries(primary_of(pii.writing_keyset()), primary_of(blind.writing_keyset()))


def encrypted_tables() -> list[EncryptedTable]:
    """Describe every table that has an encrypted column."""
    return [_described(table) for table in db.metadata.sorted_tables if _encrypted(table)]


def _encrypted(table: sa.Table) -> dict[str, str]:
    return {column.name: column.type.column for column in table.c if isinstance(column.type, Encrypted)}


def _indexes(table: sa.Table) -> dict[str, BlindIndex]:
    return {column.name: column.type for column in table.c if isinstance(column.type, BlindIndex)}


def _described(table: sa.Table) -> EncryptedTable:
    encrypted, indexes = _encrypted(table), _indexes(table)
    keys = tuple(column.name for column in table.primary_key.columns)
    columns = [sa.column(name, table.c[name].type) for name in keys]
    raw = sa.table(table.name, *columns, *(sa.column(name, BYTEA()) for name in (*encrypted, *indexes)))
    return EncryptedTable(table.name, keys, encrypted, indexes, raw)


def rewrite(table: EncryptedTable, *, primary: Primaries, batch: int) -> Iterator[Sweep]:
    """Bring a table's rows under the primary key, one batch a step; yields the sweep as it stands."""
    sweep, after = Sweep(table.name), None
    while rows := _rewrite_batch(table, sweep, after=after, primary=primary, batch=batch):
        after = [rows[-1][name] for name in table.keys]
        yield sweep
    yield sweep


def fill_indexes() -> None:
    """Make the blind indexes that a release before them left empty. What is locked waits for a rotation."""
    newest = primaries()
    for table in encrypted_tables():
        if table.indexes:
            for _ in rewrite(table, primary=newest, batch=BATCH):
                continue


def _rewrite_batch(
    table: EncryptedTable, sweep: Sweep, *, after: Sequence[Any] | None, primary: Primaries, batch: int
) -> Sequence[sa.RowMapping]:
    """Rewrite the next rows that are stale and that nobody has locked; return them."""
    with transaction() as session:
        query = sa.select(*table.raw.c).where(table.is_stale(primary)).order_by(*table.key().clauses)
        if after is not None:
            query = query.where(table.key() > _tuple(table, after))
        locked = query.limit(batch).with_for_update(key_share=True, skip_locked=True)
        rows = session.execute(locked).mappings().all()
        fresh = [one for one in (_fresh(table, row, sweep) for row in rows) if one is not None]
        _write(session, table, fresh)
    sweep.rewritten += len(fresh)
    return rows


def _tuple(table: EncryptedTable, values: Sequence[Any]) -> sa.Tuple:
    pairs = zip(table.keys, values, strict=True)
    return sa.tuple_(*(sa.literal(value, table.raw.c[name].type) for name, value in pairs))


def _fresh(table: EncryptedTable, row: sa.RowMapping, sweep: Sweep) -> dict[str, Any] | None:
    """Return a row encrypted anew; None, and a note, when no key of ours opens it."""
    fresh: dict[str, Any] = {f"key_{name}": row[name] for name in table.keys}
    clear: dict[str, str | None] = {}
    try:
        for name, bound_to in table.columns.items():
            clear[name] = None if row[name] is None else pii.decrypt(bound_to, bytes(row[name]))
    except tink.TinkError:
        which = ", ".join(str(row[name]) for name in table.keys)
        sweep.unreadable.append(f"{table.name} {which}")
        return None
    for name, bound_to in table.columns.items():
        text = clear[name]
        fresh[name] = None if text is None else pii.encrypt(bound_to, text)
    return fresh | {name: index.digest(clear[index.of]) for name, index in table.indexes.items()}


def _write(session: Session, table: EncryptedTable, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    same = [table.raw.c[name] == sa.bindparam(f"key_{name}") for name in table.keys]
    values = {name: sa.bindparam(name, type_=BYTEA()) for name in (*table.columns, *table.indexes)}
    changed = sa.update(table.raw).where(*same).values(values)
    session.connection().execute(changed, list(rows))


def rows_under(number: int) -> dict[str, int]:
    """Count, by table, the rows in which something is still encrypted with a key."""
    return _counted(lambda table: table.is_under(number))


def rows_not_under(primary: Primaries) -> dict[str, int]:
    """Count, by table, the rows in which something is not of the newest key."""
    return _counted(lambda table: table.is_stale(primary))


def _counted(condition: Any) -> dict[str, int]:
    with snapshot() as session:
        counts = {
            table.name: session.scalar(
                sa.select(sa.func.count()).select_from(table.raw).where(condition(table))
            )
            for table in encrypted_tables()
        }
    return {name: count for name, count in counts.items() if count}


def begun_until_now() -> str:
    """Return a mark that lies after every transaction that is writing now."""
    with snapshot() as session:
        return session.execute(sa.text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")).scalar_one()


def all_ended(mark: str) -> bool:
    """Whether every transaction that was writing at a mark has ended: none can still bring an old key in."""
    query = sa.text("SELECT pg_snapshot_xmin(pg_current_snapshot()) >= CAST(:mark AS xid8)")
    with snapshot() as session:
        return bool(session.execute(query, {"mark": mark}).scalar_one())
