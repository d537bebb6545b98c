"""What lies at the desk, oldest first: quarantined, held and forked items, doubts, conflicts, raw bytes?

Six kinds of one idea: each entry is named by kind, phone, item and digest, for ever. A doubt is what a phone
says of the office: its log did not only grow, or it lacks what the phone has receipts for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from server.database import db
from server.errors import NotFound
from server.models.people import Device
from server.models.quarantine import KINDS, DeskDecision
from server.models.visits import UNSEEN_DOUBT, UNSEEN_FORK, ConflictingItem, Item, RawSubmission

SEEN: Final = {"fork": "fork_seen", "doubt": "doubt_seen"}
"""Items of these kinds are applied; they lie here until somebody has looked, which this flag says."""
Stored = Item | ConflictingItem | RawSubmission
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Ref:
    """The name of an entry: what kind of thing, of which phone, under which id, with which digest."""

    kind: str
    device_id: UUID
    item_id: UUID
    sha256: bytes

    def __str__(self) -> str:
        return f"{self.kind}.{self.device_id.hex}.{self.item_id.hex}.{self.sha256.hex()}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a name; NotFound for what is none."""
        try:
            kind, device, item, digest = text.split(".")
            ref = cls(kind, UUID(hex=device), UUID(hex=item), bytes.fromhex(digest))
        except ValueError:
            raise unknown() from None
        if kind not in KINDS or len(ref.sha256) != _DIGEST_BYTES:
            raise unknown()
        return ref


def unknown() -> NotFound:
    """What is said of a name that nothing has."""
    return NotFound("entry-unknown", "There is no such thing at the desk.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries to list."""

    kind: str | None = None
    device_id: UUID | None = None
    staff_id: UUID | None = None
    problem: str | None = None
    received_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing at the desk, without its bytes. `problem` is the slug of why it is here."""

    ref: Ref
    staff_id: UUID
    received_at: datetime
    type: str | None
    visit_id: UUID | None
    flags: list[str]
    problem: str
    size_bytes: int
    decisions: int


@dataclass(frozen=True, slots=True)
class Heap:
    """How many entries of one kind have one problem, and since when the oldest waits."""

    kind: str
    problem: str
    count: int
    oldest: datetime


def list_entries(wanted: Wanted, *, after: Ref | None, limit: int) -> list[Entry]:
    """Return one page, oldest first. `after` is the last entry seen; it may be settled by now."""
    start = None if after is None else _position(after)
    parts = [
        _ordered(_narrowed(part, wanted, after=start)).limit(limit)
        for part in _parts()
        if wanted.kind in (None, part.kind)
    ]
    every = sa.union_all(*(part.subquery().select() for part in parts)).subquery()
    page = every.select().order_by(every.c.received_at, every.c.item_id, every.c.sha256, every.c.kind)
    rows = db.session.execute(page.limit(limit)).all()
    return [_entry(row) for row in rows]


def summary() -> list[Heap]:
    """Count what lies at the desk, by kind and problem; the largest heap first."""
    every = sa.union_all(*(part.query.subquery().select() for part in _parts())).subquery()
    count = sa.func.count().label("count")
    rows = db.session.execute(
        sa.select(every.c.kind, every.c.problem, count, sa.func.min(every.c.received_at))
        .group_by(every.c.kind, every.c.problem)
        .order_by(count.desc(), every.c.kind, every.c.problem)
    )
    return [Heap(*row) for row in rows]


def list_decisions(*, after: UUID | None, limit: int) -> Sequence[DeskDecision]:
    """Return what was decided at the desk, newest first."""
    query = sa.select(DeskDecision).order_by(DeskDecision.id.desc()).limit(limit)
    if after is not None:
        query = query.where(DeskDecision.id < after)
    return db.session.scalars(query).all()


def decisions_about(session: Session, ref: Ref) -> Sequence[DeskDecision]:
    """Return what was decided about an entry, in order."""
    theirs = sa.select(DeskDecision).where(*_about(ref)).order_by(DeskDecision.number)
    return session.scalars(theirs).all()


def _about(ref: Ref) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        DeskDecision.kind == ref.kind,
        DeskDecision.device_id == ref.device_id,
        DeskDecision.item_id == ref.item_id,
        DeskDecision.sha256 == ref.sha256,
    )


def find(session: Session, ref: Ref, *, for_update: bool = False) -> Stored:
    """Return what an entry names, settled or not; NotFound when nothing has that name."""
    if ref.kind == "raw":
        key: Any = ref.item_id
    else:
        key = (ref.device_id, ref.item_id)
    model = {"raw": RawSubmission, "conflict": ConflictingItem}.get(ref.kind, Item)
    if model is ConflictingItem:
        key = (*key, ref.sha256)
    found = session.get(model, key, with_for_update=for_update, populate_existing=True)
    if found is None or found.device_id != ref.device_id or found.sha256 != ref.sha256:
        raise unknown()
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """The entries of one kind. `problem` and `owner` are what they are narrowed by."""

    kind: str
    query: Any
    model: Any
    item_id: Any
    problem: sa.ColumnElement[str]


def _parts() -> list[_Part]:
    slug = Item.problem["slug"].astext
    return [
        _of_items("item", Item.outcome == "quarantined", slug),
        _of_items("held", Item.outcome == "held", sa.literal("parent-missing")),
        _of_items("fork", sa.text(UNSEEN_FORK), sa.literal("chain-fork")),
        _of_items("doubt", sa.text(UNSEEN_DOUBT), sa.func.replace(Item.type, ".", "-")),
        _of_others(
            "conflict", ConflictingItem, ConflictingItem.item_id, ConflictingItem.payload, "other-bytes"
        ),
        _of_others("raw", RawSubmission, RawSubmission.id, RawSubmission.content, "bytes-unreadable"),
    ]


def _of_items(kind: str, chosen: Any, problem: Any) -> _Part:
    query = sa.select(
        sa.literal(kind).label("kind"),
        Item.device_id,
        Item.item_id.label("item_id"),
        Item.sha256,
        Device.staff_id,
        Item.received_at,
        Item.type,
        Item.visit_id,
        Item.flags,
        problem.label("problem"),
        sa.func.octet_length(Item.payload).label("size_bytes"),
        _decided(kind, Item.device_id, Item.item_id, Item.sha256).label("decisions"),
    ).join(Device, Device.id == Item.device_id)
    return _Part(kind, query.where(chosen), Item, Item.item_id, problem)


def _of_others(kind: str, model: Any, item_id: Any, content: Any, problem: str) -> _Part:
    query = sa.select(
        sa.literal(kind).label("kind"),
        model.device_id,
        item_id.label("item_id"),
        model.sha256,
        Device.staff_id,
        model.received_at,
        sa.null().cast(sa.Text).label("type"),
        sa.null().cast(sa.Uuid).label("visit_id"),
        sa.cast(sa.literal("{}"), ARRAY(sa.Text)).label("flags"),
        sa.literal(problem).label("problem"),
        sa.func.octet_length(content).label("size_bytes"),
        _decided(kind, model.device_id, item_id, model.sha256).label("decisions"),
    ).join(Device, Device.id == model.device_id)
    return _Part(kind, query.where(model.settled.is_(None)), model, item_id, sa.literal(problem))


def _decided(kind: str, device_id: Any, item_id: Any, sha256: Any) -> Any:
    return (
        sa.select(sa.func.count())
        .select_from(DeskDecision)
        .where(
            DeskDecision.kind == kind,
            DeskDecision.device_id == device_id,
            DeskDecision.item_id == item_id,
            DeskDecision.sha256 == sha256,
        )
        .scalar_subquery()
    )


def _narrowed(part: _Part, wanted: Wanted, *, after: tuple[Any, ...] | None) -> "_Part":
    query, model = part.query, part.model
    if wanted.device_id is not None:
        query = query.where(model.device_id == wanted.device_id)
    if wanted.staff_id is not None:
        query = query.where(Device.staff_id == wanted.staff_id)
    if wanted.problem is not None:
        query = query.where(part.problem == wanted.problem)
    if wanted.received_before is not None:
        query = query.where(model.received_at < wanted.received_before)
    if after is not None:
        place = sa.tuple_(model.received_at, part.item_id, model.sha256, sa.literal(part.kind))
        query = query.where(place > after)
    return _Part(part.kind, query, model, part.item_id, part.problem)


def _ordered(part: _Part) -> sa.Select[Any]:
    return part.query.order_by(part.model.received_at, part.item_id, part.model.sha256)


def _position(after: Ref) -> tuple[Any, ...]:
    found = find(db.session(), after)
    return (found.received_at, after.item_id, after.sha256, after.kind)


def _entry(row: Any) -> Entry:
    return Entry(
        ref=Ref(row.kind, row.device_id, row.item_id, row.sha256),
        staff_id=row.staff_id,
        received_at=row.received_at,
        type=row.type,
        visit_id=row.visit_id,
        flags=row.flags,
        problem=row.problem or "unknown",
        size_bytes=row.size_bytes,
        decisions=row.decisions,
    )
