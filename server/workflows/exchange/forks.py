"""Did two phones write with one key?

Each item names the one before. Where two follow the same one, or one follows none of those that are here, a
phone was cloned or its record was cut. Both sides are kept and applied, and both are flagged: which of them
came first says nothing about which is true.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.jobs import enqueue
from sync.chain import FORK

# The type of an item that is not signed by its phone's key, or cannot be read.
UNREADABLE: Final = "unreadable"


def flag_other_sides(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Flag what was stored before and forks with these new rows of a phone; its visits are judged again."""
    forked = [row for row in rows if FORK in row["flags"] and row["type"] != UNREADABLE]
    if not forked:
        return
    seqs = {row["seq"] + step for row in forked for step in (0, 1)}
    wanted = {"device_id": forked[0]["device_id"], "seqs": list(seqs), "fork": FORK, "unreadable": UNREADABLE}
    touched = {visit_id for (visit_id,) in session.execute(_FLAG, wanted)} - {None}
    if touched:
        enqueue("reconcile_visits", visit_ids=sorted(map(str, touched)))


_FLAG: Final = sa.text(
    """
    UPDATE items SET flags = flags || CAST(:fork AS text)
    WHERE device_id = :device_id AND seq = ANY(CAST(:seqs AS bigint[]))
      AND NOT CAST(:fork AS text) = ANY(flags)
      AND (EXISTS (SELECT FROM items other
                   WHERE other.device_id = items.device_id AND other.seq = items.seq
                     AND other.sha256 <> items.sha256 AND other.type <> :unreadable)
           OR (EXISTS (SELECT FROM items before
                       WHERE before.device_id = items.device_id AND before.seq = items.seq - 1)
               AND NOT EXISTS (SELECT FROM items before
                               WHERE before.device_id = items.device_id AND before.seq = items.seq - 1
                                 AND before.sha256 = items.prev)))
    RETURNING visit_id
    """
)
