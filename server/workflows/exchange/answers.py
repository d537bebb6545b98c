"""What does a phone hear about the items it pushed, now or at any later time?

Everything is read back from the inbox, so that a repeat hears what the first one heard.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.bulk import any_of
from server.database import transaction
from server.driver import run
from server.models.feed import hex_digest
from server.models.visits import ConflictingItem, Item
from server.signing import current_signer
from server.workflows.exchange.anchors import make_anchor
from server.workflows.exchange.arrived import Result, Sender
from server.workflows.exchange.senders import lock_sender
from sync.admission import Candidate
from sync.chain import missing_ranges

# What a phone hears of outcomes that are the office's own: corrected is dealt with, as if applied before.
ANSWERED: Final = {"received": "held", "corrected": "duplicate", "set_aside": "quarantined"}
SET_ASIDE: Final = {"slug": "set-aside", "detail": "The office has looked at it and set it aside."}
SETTLED: Final = ("corrected", "set_aside")
MOST_ABOVE: Final = 5000
MOST_RANGES: Final = 200
MOST_NAMED: Final = 1000


def answers_of(results: Sequence[Result], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the outcomes of a push all of whose items are new, without reading them back."""
    return [
        {
            "id": str(row["item_id"]),
            "outcome": ANSWERED.get(one.outcome, one.outcome),
            "flags": one.flags,
            "problem": one.problem,
            "receipt": row["receipt"],
        }
        for one, row in zip(results, rows, strict=True)
    ]


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
    """The number up to which nothing of a phone is missing, and the first 200 ranges missing above it.

    `highest_seq` is the highest number there is; `durable_seq` what outlives a lost database (`backups`).
    """

    acked_seq: int
    missing: list[tuple[int, int]]
    highest_seq: int
    durable_seq: int


def progress_of(session: Session, sender: Sender, new: Set[int] = frozenset()) -> Progress:
    """Go on from the number that was complete before, over at most 5,000 stored numbers at a time.

    `new` are the numbers about to be stored.
    """
    known = {seq for seq in new if seq > sender.acked_seq}
    if sender.highest_seq > sender.acked_seq:
        wanted = {"device_id": sender.device_id, "acked": sender.acked_seq, "most": MOST_ABOVE}
        known |= {row.seq for row in run(session, _ABOVE, wanted)}
    reached = sender.acked_seq
    while reached + 1 in known:
        reached += 1
    beyond = sorted(seq - reached for seq in known if seq > reached)
    gaps = missing_ranges(beyond, highest=beyond[-1]) if beyond else []
    return Progress(
        acked_seq=reached,
        missing=[(first + reached, last + reached) for first, last in gaps[:MOST_RANGES]],
        highest_seq=max(sender.highest_seq, reached, *new),
        durable_seq=reached if sender.durable_seq is None else min(sender.durable_seq, reached),
    )


_ABOVE: Final = """
    SELECT seq FROM items WHERE device_id = %(device_id)s AND seq > %(acked)s
    UNION SELECT seq FROM raw_submissions WHERE device_id = %(device_id)s AND seq > %(acked)s
    ORDER BY seq LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a phone's submissions stand. Lists name at most the newest 1,000 items of their kind.

    What was applied is not read for it: phones ask at every contact, and have sent for years.

    `waiting`: stored, about to be applied. `raw`: how many submissions could not be read as items at all.
    """

    acked_seq: int
    highest_seq: int
    durable_through: int
    missing: list[tuple[int, int]]
    waiting: list[UUID]
    held: list[UUID]
    quarantined: list[UUID]
    conflicting: list[UUID]
    settled: list[dict[str, Any]]
    raw: int
    record_digest: str
    anchor: dict[str, Any]


def status(*, actor: Actor, now: datetime) -> Status:
    """Say what of this phone is stored, missing, waiting, held or quarantined, and what is in a backup."""
    assert actor.device_id is not None
    with transaction() as session:
        sender = lock_sender(session, actor.device_id)
        progress = progress_of(session, sender)
        wanted = {"device_id": actor.device_id, "most": MOST_NAMED}
        named = {row.outcome: row for row in run(session, _NAMED, wanted)}
        (counts,) = run(session, _COUNTS, wanted)
    lists = {name: named[name].item_ids if name in named else [] for name in NAMED}
    return Status(
        acked_seq=progress.acked_seq,
        highest_seq=progress.highest_seq,
        durable_through=progress.durable_seq,
        missing=progress.missing,
        waiting=lists["received"],
        held=lists["held"],
        quarantined=lists["quarantined"],
        conflicting=lists["conflicting"],
        settled=[{"id": item_id, "outcome": name} for name in SETTLED for item_id in lists[name]],
        raw=counts.raw,
        record_digest=hex_digest(counts.record_digest),
        anchor=make_anchor(current_signer(), device_id=actor.device_id, now=now),
    )


NAMED: Final = ("received", "held", "quarantined", "conflicting", *SETTLED)
_NAMED: Final = """
    SELECT outcome, (array_agg(item_id ORDER BY received_at DESC, item_id))[:%(most)s] AS item_ids
    FROM (SELECT item_id, outcome, received_at FROM items
          WHERE device_id = %(device_id)s AND outcome <> 'applied'
          UNION ALL
          SELECT DISTINCT ON (item_id) item_id, 'conflicting', received_at FROM conflicting_items
          WHERE device_id = %(device_id)s) AS told
    GROUP BY outcome
"""
_COUNTS: Final = """
    SELECT (SELECT count(*) FROM raw_submissions WHERE device_id = %(device_id)s) AS raw,
           (SELECT record_digest::text FROM devices WHERE id = %(device_id)s) AS record_digest
"""
