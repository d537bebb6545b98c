"""Was anything altered, deleted, moved or slipped in since it was logged?

Holds every logged row, every leaf, every tile and every signed head against each other, and names what does
not fit. Reads in batches, flat memory, changes nothing. What it cannot see, because somebody cut everything
back to an earlier signed head, or has the signing key and rewrote it consistently, is seen by whoever kept a
head: phones do, and what they saw is held against the log too.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.database import snapshot
from server.ledger.tiles import Cached, Place, TreeBroken, grow, root
from server.models.transparency import LogCheckpoint
from server.models.visits import FieldReport
from server.signing import current_signer
from server.workflows.transparency.acts import acts
from server.workflows.transparency.erased import erasures
from server.workflows.transparency.logged import Alteration
from server.workflows.transparency.projected import projected
from server.workflows.transparency.rows import rows
from server.workflows.transparency.shelf import Shelf, origin_of
from server.workflows.transparency.visited import visited
from sync.checkpoint import CheckpointFault, open_checkpoint
from sync.merkle import leaf_hash

BATCH: Final = 10_000
HEADS: Final = 500


def alterations() -> Iterator[Alteration]:
    """Name everything that does not fit; nothing when all is as it was."""
    with snapshot() as session:
        yield from _heads(session)
        yield from _tree(session)
        yield from _leaves(session)
        yield from rows(session)
        yield from erasures(session)
        yield from projected(session)
        yield from visited(session)
        yield from acts(session)
        yield from _witnessed(session)


def _heads(session: Session) -> Iterator[Alteration]:
    """Hold every signed head against the tree it names."""
    heads = sa.select(LogCheckpoint.size, LogCheckpoint.root, LogCheckpoint.note).order_by(LogCheckpoint.size)
    for page in session.execute(heads.execution_options(yield_per=HEADS)).partitions():
        tiles = Cached(Shelf(session))  # of one page: those of all heads are the whole tree
        for head in page:
            yield from _head(head, tiles)


def _head(head: Any, tiles: Cached) -> Iterator[Alteration]:
    signer, where = current_signer(), f"checkpoint {head.size}"
    try:
        told = open_checkpoint(head.note, origin=origin_of(signer), key=signer.key.public_key())
    except CheckpointFault as fault:
        yield Alteration(f"the signed head is not ours: {fault}", where)
        return
    if (told.size, told.root) != (head.size, head.root):
        yield Alteration("the head stands beside another's signature", where)
    try:
        is_root = root(tiles, told.size) == told.root
    except TreeBroken as fault:
        yield Alteration(str(fault), where)
        return
    if not is_root:
        yield Alteration("the tree is not the one whose head was signed", where)


class _Rebuilt:
    """A tree grown again from the leaves, kept only as far as growing and comparing need it."""

    def __init__(self) -> None:
        self.tiles: dict[Place, bytes] = {}

    def read(self, place: Place) -> bytes:
        return self.tiles.get(place, b"")


def _tree(session: Session) -> Iterator[Alteration]:
    """Grow the tree again from the entries and hold each tile against the kept one."""
    rebuilt, kept = _Rebuilt(), Shelf(session)
    size = 0
    while entries := _entries(session, size):
        numbers = [row.leaf_index for row in entries]
        if numbers != list(range(size, size + len(numbers))):
            lost = next(place for place, number in enumerate(numbers, size) if place != number)
            yield Alteration("a leaf was deleted", f"leaf {lost}")
            return
        changed = grow(rebuilt, size=size, leaves=[leaf_hash(row.entry) for row in entries])
        rebuilt.tiles |= changed
        size += len(numbers)
        for level, number in sorted(changed):
            kept_tile = kept.read((level, number))
            if not kept_tile.startswith(changed[level, number]):
                yield Alteration("the tile is not the hash of its leaves", f"tile {level}/{number}")
        newest = {level: max(n for lv, n in rebuilt.tiles if lv == level) for level, _ in rebuilt.tiles}
        rebuilt.tiles = {place: rebuilt.tiles[place] for place in newest.items()}
    yield from _beyond(session, rebuilt.tiles)
    signed = session.scalar(sa.select(sa.func.max(LogCheckpoint.size))) or 0
    if signed > size:
        yield Alteration("leaves at the end of the signed log are missing", f"leaf {size}")
    if size > signed:
        yield Alteration("leaves have places that no head was signed for", f"leaf {signed}")


def _beyond(session: Session, last: Mapping[Place, bytes]) -> Iterator[Alteration]:
    """Name kept tiles that know of more leaves than there are: some were cut off."""
    grown = {level: (number, len(tile)) for (level, number), tile in last.items()}
    query = """
        SELECT DISTINCT ON (level) level, number, octet_length(hashes) AS size FROM log_tiles
         ORDER BY level, number DESC
    """
    for row in session.execute(sa.text(query)):
        if (row.number, row.size) > grown.get(row.level, (-1, 0)):
            yield Alteration("the tile has hashes of leaves that are gone", f"tile {row.level}/{row.number}")


def _entries(session: Session, size: int) -> list[sa.Row[tuple[int, bytes]]]:
    query = sa.text(
        "SELECT leaf_index, entry FROM log_leaves WHERE leaf_index >= :size ORDER BY leaf_index LIMIT :most"
    )
    return list(session.execute(query, {"size": size, "most": BATCH}).all())  # pyright: ignore[reportReturnType]


def _leaves(session: Session) -> Iterator[Alteration]:
    """Hold each leaf's entry against its salt and record."""
    query = """
        SELECT kind, subject_id FROM log_leaves
         WHERE record IS NOT NULL AND entry <> sha256(salt || convert_to(record, 'UTF8')) ORDER BY id
    """
    for row in session.execute(sa.text(query)):
        yield Alteration("the leaf's record was altered", f"{row.kind} {row.subject_id}")


def _witnessed(session: Session) -> Iterator[Alteration]:
    """Hold the tree against the heads that phones kept and doubted; what we did not sign accuses nobody."""
    signer, tiles = current_signer(), Cached(Shelf(session))
    signed = session.scalar(sa.select(sa.func.max(LogCheckpoint.size))) or 0
    doubts = sa.select(FieldReport.device_id, FieldReport.body).where(FieldReport.type == "log.doubted")
    for device_id, body in session.execute(doubts.order_by(FieldReport.received_at, FieldReport.id)):
        try:
            held = open_checkpoint(
                str(body.get("held")), origin=origin_of(signer), key=signer.key.public_key()
            )
        except CheckpointFault:
            continue
        try:
            is_ours = held.size <= signed and root(tiles, held.size) == held.root
        except TreeBroken:
            is_ours = False
        if not is_ours:
            what = f"a phone holds our signed head of {held.size} leaves, and this log grew from another"
            yield Alteration(what, f"device {device_id}")
