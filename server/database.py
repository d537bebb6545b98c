"""How does code reach PostgreSQL?

`db` and `Model` are the declarative base; `transaction()` is the only thing that commits. Hooks that
must write last (the change feed locks its counters as the final statement) register with `before_commit`.
PostgreSQL is the only dialect; the embedded server lives in `embedded.py`.
"""

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event, pool
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import DeclarativeBase, Session, registry

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

TYPES: dict[Any, Any] = {
    UUID: sa.Uuid(),
    datetime: sa.DateTime(timezone=True),
    date: sa.Date(),
    str: sa.Text(),
    int: sa.BigInteger(),
    bytes: BYTEA(),
    dict[str, Any]: JSONB(),
    list[Any]: JSONB(),
    list[str]: ARRAY(sa.Text()),
    list[UUID]: ARRAY(sa.Uuid()),
}


class Base(DeclarativeBase):
    """The declarative base: our column types for Python's, and names for every constraint."""

    registry = registry(metadata=sa.MetaData(naming_convention=NAMING), type_annotation_map=TYPES)


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
if TYPE_CHECKING:
    Model = Base  # type checkers do not see what Flask-SQLAlchemy makes of it
else:
    Model = db.Model

Hook = Callable[[Session], None]
_hooks: list[Hook] = []


def before_commit(hook: Hook) -> Hook:
    """Register a function that runs after the flush, immediately before every commit of `transaction()`."""
    _hooks.append(hook)
    return hook


@contextmanager
def transaction() -> Iterator[Session]:
    """Run the block in one READ COMMITTED transaction and commit it; any exception rolls all of it back.

    A read transaction that is still open (the token look-up of this request) is ended first. Nesting is
    a design fault and raises RuntimeError, as does unflushed work that nobody opened a transaction for.
    """
    session = db.session()
    if session.info.get("in_transaction"):
        raise RuntimeError("transaction() inside transaction(): split the workflow")
    release_connection()
    session.info["in_transaction"] = True
    try:
        yield session
        session.flush()
        for hook in _hooks:
            hook(session)
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.clear()


@contextmanager
def snapshot() -> Iterator[Session]:
    """Read in one REPEATABLE READ, read-only transaction: everything seen is of one instant."""
    release_connection()
    session = db.session()
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    session.connection(execution_options=options)
    try:
        yield session
    finally:
        session.rollback()


def release_connection() -> None:
    """End the read transaction, if one is open, and give the connection back to the pool.

    Call it before waiting for the network or a disk.
    """
    session = db.session()
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("unsaved changes outside transaction()")
    session.commit()


@event.listens_for(pool.QueuePool, "checkout")
def _notice_the_dead(connection: Any, _record: Any, _pooled: Any) -> None:
    """Replace a pooled connection whose server has gone, without asking it.

    PostgreSQL says nothing unasked to an idle client but good-bye. A question instead (pool_pre_ping) costs a
    round trip on every request.
    """
    if connection.closed or _has_something_to_read(connection.fileno()):
        raise DisconnectionError("the server has closed this connection")


def _has_something_to_read(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


def one_of(column: str, *values: str) -> sa.CheckConstraint:
    """Return a CHECK that holds a text column to these values."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")
