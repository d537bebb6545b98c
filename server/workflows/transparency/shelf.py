"""Where do the log's tiles and signed heads stand, for whoever computes with them?

A loader: reads only. Tiles only grow, so that whoever knows the size of a tree needs no snapshot of them.
"""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.driver import run
from server.ledger.tiles import Cached, Place, ways
from server.models.transparency import LogCheckpoint, LogTile
from server.signing import Signer
from server.workflows.log_growth import tiles_at, told
from sync.checkpoint import log_name


class Shelf:
    """The tiles of the database, as `server.ledger.tiles` reads them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def with_ways(self, size: int, *leaves: int) -> Cached:
        """Read what proofs about these leaves need in one query; whatever else is asked for comes singly."""
        return Cached(self, told(run(self._session, *tiles_at(ways(size, *leaves)))))

    def read(self, place: Place) -> bytes:
        """Return a tile's hashes; empty where there is none."""
        query = sa.select(LogTile.hashes).where(LogTile.level == place[0], LogTile.number == place[1])
        return self._session.scalar(query) or b""


def origin_of(signer: Signer) -> str:
    """Return the log's name: it is bound to the key that signs it."""
    return log_name(signer.keyid)


def newest_head(session: Session) -> LogCheckpoint | None:
    """Return the newest signed head, None before the first."""
    return session.scalar(sa.select(LogCheckpoint).order_by(LogCheckpoint.size.desc()).limit(1))
