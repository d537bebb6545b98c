"""What does a phone hear about the items it pushed, now or at any later time?

Everything is read back from the inbox, so that a repeat hears what the first one heard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.bulk import any_of
from server.database import transaction
from server.models.people import Device
from server.models.visits import ConflictingItem, Item
from sync.admission import Candidate
from sync.chain import missing_ranges

# What a phone hears of outcomes that are the office's own: corrected is dealt with, as if applied before.
ANSWERED: Final = {"received": "held", "corrected": "duplicate", "set_aside": "quarantined"}
SET_ASIDE: Final = {"slug": "set-aside", "detail": "The office has looked at it and set it aside."}
SETTLED: Final = ("corrected", "set_aside")
MOST_ABOVE: Final = 5000
MOST_RANGES: Final = 200


def outcomes_of(
    session: Session, candidates: Sequence[Candidate], *, fresh: set[UUID], device_id: UUID
) -> list[dict[str, Any]]:
    """Return one outcome per pushed item, in their order. `fresh` are the ids that this very push brought."""
    stored = _stored(session, candidates, device_id)
    conflicts = _conflict_receipts(session, device_id, stored, candidates)
    return [
        _outcome(
            one,
            stored[one.pushed.id],
            conflict=conflicts.get((one.pushed.id, one.digest)),
            is_fresh=one.pushed.id in fresh,
        )
        for one in candidates
    ]


def _stored(session: Session, candidates: Sequence[Candidate], device_id: UUID) -> dict[UUID, Any]:
    ids = [one.pushed.id for one in candidates]
    rows = session.execute(_STORED, {"device_id": device_id, "ids": ids})
    return {row.item_id: row for row in rows}


_STORED: Final = sa.select(
    Item.item_id, Item.sha256, Item.outcome, Item.flags, Item.problem, Item.receipt
).where(Item.device_id == sa.bindparam("device_id"), any_of(Item.item_id, "ids"))


def _outcome(one: Candidate, row: Any, *, conflict: dict[str, Any] | None, is_fresh: bool) -> dict[str, Any]:
    if row.sha256 != one.digest:
        problem = {"slug": "other-bytes", "detail": "Another item is stored under this id; both are kept."}
        return {
            "id": str(one.pushed.id),
            "outcome": "conflicting",
            "flags": [],
            "problem": problem,
            "receipt": conflict,
        }
    outcome = ANSWERED.get(row.outcome, row.outcome)
    if outcome == "applied" and not is_fresh:
        outcome = "duplicate"
    return {
        "id": str(one.pushed.id),
        "outcome": outcome,
        "flags": row.flags,
        "problem": {"corrected": None, "set_aside": SET_ASIDE}.get(row.outcome, row.problem),
        "receipt": row.receipt,
    }


def _conflict_receipts(
    session: Session, device_id: UUID, stored: dict[UUID, Any], candidates: Sequence[Candidate]
) -> dict[tuple[UUID, bytes], dict[str, Any]]:
    ids = {one.pushed.id for one in candidates if stored[one.pushed.id].sha256 != one.digest}
    if not ids:
        return {}
    rows = session.execute(
        sa.select(ConflictingItem.item_id, ConflictingItem.sha256, ConflictingItem.receipt).where(
            ConflictingItem.device_id == device_id, ConflictingItem.item_id.in_(ids)
        )
    )
    return {(item_id, sha256): receipt for item_id, sha256, receipt in rows}


@dataclass(frozen=True, slots=True)
class Progress:
    """The number up to which nothing of a phone is missing, and the first 200 ranges missing above it."""

    acked_seq: int
    missing: list[tuple[int, int]]


def progress_of(session: Session, device_id: UUID, *, acked: int) -> Progress:
    """Go on from the number that was complete before, over at most 5,000 numbers at a time."""
    above = session.scalars(_ABOVE, {"device_id": device_id, "acked": acked}).all()
    reached = acked
    for seq in above:
        if seq != reached + 1:
            break
        reached = seq
    beyond = [seq - reached for seq in above if seq > reached]
    gaps = missing_ranges(beyond, highest=beyond[-1]) if beyond else []
    missing = [(first + reached, last + reached) for first, last in gaps[:MOST_RANGES]]
    return Progress(acked_seq=reached, missing=missing)


_ABOVE: Final = (
    sa.select(Item.seq)
    .where(Item.device_id == sa.bindparam("device_id"), Item.seq > sa.bindparam("acked"))
    .distinct()
    .order_by(Item.seq)
    .limit(MOST_ABOVE)
)


@dataclass(frozen=True, slots=True)
class Status:
    """Where a phone's submissions stand."""

    acked_seq: int
    missing: list[tuple[int, int]]
    quarantined: list[UUID]
    held: list[UUID]
    settled: list[dict[str, Any]]


def status(*, actor: Actor) -> Status:
    """Say what of this phone is stored, missing, held or quarantined."""
    assert actor.device_id is not None
    with transaction() as session:
        acked = session.scalar(sa.select(Device.acked_seq).where(Device.id == actor.device_id)) or 0
        progress = progress_of(session, actor.device_id, acked=acked)
        rows = session.execute(
            sa.select(Item.item_id, Item.outcome).where(
                Item.device_id == actor.device_id, Item.outcome.in_(["held", "quarantined", *SETTLED])
            )
        ).all()
    return Status(
        acked_seq=progress.acked_seq,
        missing=progress.missing,
        quarantined=[row.item_id for row in rows if row.outcome == "quarantined"],
        held=[row.item_id for row in rows if row.outcome == "held"],
        settled=[{"id": row.item_id, "outcome": row.outcome} for row in rows if row.outcome in SETTLED],
    )
