"""Which place in the log does each new leaf get, and what head is signed then?

One sequencer at a time (an advisory lock) takes the waiting leaves in batches, gives them dense places, grows
the tree and signs its head, all in one transaction: a signed head always has its whole tree behind it. Leaves
that commit late are simply taken in the next round.
"""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.database import transaction
from server.jobs import task
from server.ledger.tiles import Cached, Place, grow, root
from server.models.transparency import LogCheckpoint, LogTile
from server.signing import current_signer
from server.workflows.transparency.shelf import Shelf, newest_head, origin_of
from sync.checkpoint import Checkpoint, sign_checkpoint
from sync.merkle import leaf_hash

MOST_AT_ONCE: Final = 20_000
LOCK: Final = 0x6C6F67  # "log": nobody else takes this number


@task("sequence_log", every="* * * * *")
def sequence_log(*, now: datetime) -> None:
    """Sequence whatever waits."""
    while sequence(now=now) == MOST_AT_ONCE:
        pass


def sequence(*, now: datetime) -> int:
    """Sequence one batch; return how many leaves it had."""
    with transaction() as session:
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        waiting = session.execute(_WAITING, {"most": MOST_AT_ONCE}).all()
        if not waiting:
            return 0
        head = newest_head(session)
        size = head.size if head else 0
        placed = {"ids": [row.id for row in waiting], "base": size - 1}
        session.execute(_PLACE, placed)
        shelf = Shelf(session)
        changed = grow(shelf, size=size, leaves=[leaf_hash(row.entry) for row in waiting])
        _keep(session, changed)
        _sign(session, Cached(shelf, changed), size=size + len(waiting), now=now)
    return len(waiting)


_WAITING: Final = sa.text("SELECT id, entry FROM log_leaves WHERE leaf_index IS NULL ORDER BY id LIMIT :most")
_PLACE: Final = sa.text(
    """
    UPDATE log_leaves SET leaf_index = :base + place.n
      FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS place (id, n)
     WHERE log_leaves.id = place.id
    """
)


def _keep(session: Session, changed: dict[Place, bytes]) -> None:
    rows = [{"level": level, "number": n, "hashes": tile} for (level, n), tile in sorted(changed.items())]
    statement = insert(LogTile)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["level", "number"], set_={"hashes": statement.excluded.hashes}
        ),
        rows,
    )


def _sign(session: Session, tiles: Cached, *, size: int, now: datetime) -> None:
    signer = current_signer()
    head = Checkpoint(origin_of(signer), size, root(tiles, size))
    note = sign_checkpoint(head, key=signer.key)
    session.add(LogCheckpoint(size=size, root=head.root, note=note, signed_at=now))
