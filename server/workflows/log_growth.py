"""What does a phone need to see that the log only grew since it last looked?

A loader for the last page of a pull. What is wrong with the log never stops a pull: the phone then gets no
proof, and says so itself.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final

import structlog

from server.database import db
from server.driver import Statement, longs, run_alone
from server.ledger.tiles import Kept, Place, TreeBroken, consistency_proof, ways

log = structlog.get_logger()

NEWEST: Final = "SELECT size, note FROM log_checkpoints ORDER BY size DESC LIMIT 1"
"""Asked by every pull: the newest signed head, if there is one."""


def grown_since(head: Any | None, size: int | None) -> dict[str, Any] | None:
    """Return the newest head and the proof that it grew out of the head of `size`; None before the first.

    A phone without a head, or with one of more leaves than there are, gets no proof: neither has one.
    """
    if head is None:
        return None
    since = head.size if size is None else min(size, head.size)
    return {"checkpoint": head.note, "since": since, "proof": _proof(since, head.size)}


def _proof(since: int, size: int) -> list[str]:
    if since == size:
        return []
    try:
        tiles = Kept(told(run_alone(db.engine, *tiles_at(ways(size, since - 1)))))
        proof = consistency_proof(tiles, size=since, later_size=size)
    except TreeBroken as fault:
        log.error("log.broken", fault=str(fault))
        return []
    return [one.hex() for one in proof]


# Asked by every pull that brings a newer head.
TILES: Final = """
    SELECT level, number, hashes FROM log_tiles
      JOIN unnest(%(levels)s, %(numbers)s) AS wanted (level, number) USING (level, number)
"""


def tiles_at(places: Collection[Place]) -> Statement:
    """Return the question for all of these tiles at once."""
    return TILES, {"levels": longs(level for level, _ in places), "numbers": longs(n for _, n in places)}


def told(rows: Iterable[Any]) -> dict[Place, bytes]:
    """Read its answer."""
    return {(row.level, row.number): row.hashes for row in rows}
