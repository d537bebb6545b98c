"""How does somebody who does not trust us see that a record is in the log, and that the log only grew?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.database import snapshot
from server.errors import Invalid, NotFound
from server.ledger.tiles import WIDTH, Cached, consistency_proof, inclusion_proof
from server.models.transparency import LogCheckpoint, LogLeaf, LogTile
from server.workflows.transparency.sequencing import sequence
from server.workflows.transparency.shelf import Shelf, newest_head


@dataclass(frozen=True, slots=True)
class Proven:
    """One leaf and its path to the head of `Proofs`. `record` and `salt` are None once erased."""

    kind: str
    subject_id: UUID
    record: str | None
    salt: bytes | None
    entry: bytes
    index: int
    path: list[bytes]


@dataclass(frozen=True, slots=True)
class Proofs:
    """Leaves with their paths, all to one signed head."""

    checkpoint: str
    size: int
    leaves: list[Proven]


@dataclass(frozen=True, slots=True)
class Growth:
    """That the log of `later_size` began as the log of `size`."""

    size: int
    later_size: int
    proof: list[bytes]
    checkpoint: str


def newest() -> LogCheckpoint:
    """Return the newest signed head. NotFound before anything was logged."""
    with snapshot() as session:
        return _head(session)


def leaves_about(session: Session, subject_ids: Sequence[UUID]) -> Sequence[int]:
    """Return the ids of the leaves about these things that there are in the caller's snapshot."""
    return session.scalars(sa.select(LogLeaf.id).where(LogLeaf.subject_id.in_(subject_ids))).all()


def prove_subjects(
    subject_ids: Sequence[UUID], *, kind: str | None = None, only: Sequence[int] | None = None, now: datetime
) -> Proofs:
    """Prove every leaf about these things, in the order of the log; whatever waits is sequenced first.

    `only`: none but these leaves, so that what is proven is not younger than what it is held against.
    """
    while sequence(now=now):
        pass
    with snapshot() as session:
        head = _head(session)
        query = sa.select(LogLeaf).where(LogLeaf.subject_id.in_(subject_ids), LogLeaf.leaf_index < head.size)
        if kind is not None:
            query = query.where(LogLeaf.kind == kind)
        if only is not None:
            query = query.where(LogLeaf.id.in_(only))
        leaves = session.scalars(query.order_by(LogLeaf.leaf_index)).all()
        places = [leaf.leaf_index for leaf in leaves if leaf.leaf_index is not None]
        tiles = Shelf(session).with_ways(head.size, *places)
        proven = [_prove(leaf, tiles, size=head.size) for leaf in leaves]
    return Proofs(checkpoint=head.note, size=head.size, leaves=proven)


def _prove(leaf: LogLeaf, tiles: Cached, *, size: int) -> Proven:
    assert leaf.leaf_index is not None
    return Proven(
        kind=leaf.kind,
        subject_id=leaf.subject_id,
        record=leaf.record,
        salt=leaf.salt,
        entry=leaf.entry,
        index=leaf.leaf_index,
        path=inclusion_proof(tiles, index=leaf.leaf_index, size=size),
    )


def growth_since(size: int) -> Growth:
    """Prove that the newest head grew out of an earlier one. Invalid when the log never had that size."""
    with snapshot() as session:
        return growth(session, size)


def growth(session: Session, size: int) -> Growth:
    """The same inside the caller's snapshot."""
    head = _head(session)
    if size > head.size:
        raise Invalid(
            "log-shorter",
            f"The log has {head.size} leaves. If you hold a signed head of {size}, keep it and call the "
            "auditor: this server lost part of its log.",
            log_size=head.size,
        )
    tiles = Shelf(session).with_ways(head.size, size - 1)
    proof = consistency_proof(tiles, size=size, later_size=head.size)
    return Growth(size=size, later_size=head.size, proof=proof, checkpoint=head.note)


def tile(level: int, number: int) -> bytes:
    """Return a tile for somebody who keeps a copy of the whole tree. NotFound where there is none."""
    with snapshot() as session:
        query = sa.select(LogTile.hashes).where(LogTile.level == level, LogTile.number == number)
        hashes = session.scalar(query)
    if hashes is None:
        raise NotFound("tile-unknown", f"The log has no such tile; tiles hold {WIDTH} hashes, from 0 on.")
    return hashes


def _head(session: Session) -> LogCheckpoint:
    head = newest_head(session)
    if head is None:
        raise NotFound("log-empty", "Nothing was logged yet; ask again in a minute.")
    return head


def to_json(proofs: Proofs) -> dict[str, Any]:
    """Write proofs as they stand in answers and bundles: bytes as hexadecimal digits."""
    return {
        "checkpoint": proofs.checkpoint,
        "size": proofs.size,
        "leaves": [
            {
                "kind": leaf.kind,
                "subject_id": str(leaf.subject_id),
                "record": leaf.record,
                "salt": None if leaf.salt is None else leaf.salt.hex(),
                "entry": leaf.entry.hex(),
                "index": leaf.index,
                "path": [one.hex() for one in leaf.path],
            }
            for leaf in proofs.leaves
        ],
    }
