"""What does the store hold, when was it last read back, and what has become of it?

One row for each object that evidence names, written by a trigger of `evidence`, so that nothing can be stored
and never be looked at again. Rot is what a check found otherwise than it was stored.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from server.database import Model, one_of
from server.driver import Statement
from sync.protocol import uuid7

ROT_KINDS = ("altered", "missing", "unreadable")
COLLECTING: Final = 0x636F6C  # "col": nobody else takes this number


class KeptObject(Model):
    """An object that evidence names. It was verified when it was stored: that is its first check."""

    __tablename__ = "kept_objects"
    __table_args__ = (
        one_of("outcome", "sound", *ROT_KINDS),
        sa.CheckConstraint("size_bytes >= 0", name="size_not_negative"),
        sa.Index("ix_kept_objects_checked", "checked_at"),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int]
    checked_at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(server_default="sound", default="sound")


class Rot(Model):
    """An object that is not what was stored: from the check that saw it first to one that saw it whole."""

    __tablename__ = "rot"
    __table_args__ = (
        one_of("kind", *ROT_KINDS),
        sa.CheckConstraint("found_at <= seen_at", name="seen_after_found"),
        sa.CheckConstraint("(kind = 'altered') = (found_sha256 IS NOT NULL)", name="altered_into_something"),
        sa.Index("uq_rot_open", "key", unique=True, postgresql_where=sa.text("mended_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    key: Mapped[str]
    kind: Mapped[str]
    found_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    found_sha256: Mapped[bytes | None]
    found_bytes: Mapped[int | None]
    mended_at: Mapped[datetime | None]


class DoomedObject(Model):
    """An object that nothing names and that is being removed. Nothing may name it before it is gone."""

    __tablename__ = "doomed_objects"

    key: Mapped[str] = mapped_column(primary_key=True)
    doomed_at: Mapped[datetime]


class Collection(Model):
    """A removal that is over. The newest id tells an upload whether any took place while it was finished."""

    __tablename__ = "collections"

    id: Mapped[int] = mapped_column(sa.Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    objects: Mapped[int]


def asking_what_is_collected(key: str) -> tuple[Statement, Statement]:
    """Return what holds collecting off until the transaction ends, and then asks what was collected.

    Two statements: what was collected while the first one waited is seen by the second alone.
    """
    return (HOLD_COLLECTING_OFF, {}), (_WHAT_IS_COLLECTED, {"key": key})


def may_be_named(collected: Any, *, since: int) -> bool:
    """Whether an object that was seen in the store is still there; `collected` is what the question told.

    `since` is the newest id of `collections` (0 if there is none) from before it was seen. False means: it is
    being removed, or others were meanwhile; look again.
    """
    return not collected.doomed and collected.newest == since


HOLD_COLLECTING_OFF: Final = f"SELECT pg_advisory_xact_lock_shared({COLLECTING})"
_WHAT_IS_COLLECTED: Final = """
    SELECT EXISTS (SELECT FROM doomed_objects WHERE key = %(key)s) AS doomed,
           (SELECT coalesce(max(id), 0) FROM collections) AS newest
"""


def collect_alone(session: Session) -> None:
    """Wait until nobody is about to name an object, and let nobody until this transaction ends."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(COLLECTING)))


class StoreMove(Model):
    """A move of all objects from one store to another, and the last key up to which it is done."""

    __tablename__ = "store_moves"
    __table_args__ = (
        sa.Index(
            "uq_store_moves_running", "source", "target", unique=True,
            postgresql_where=sa.text("finished_at IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    source: Mapped[str]
    target: Mapped[str]
    reached: Mapped[str]
    objects: Mapped[int]
    size_bytes: Mapped[int]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
