"""For how long does the feed remember that something was taken away?

A removal is kept until every phone can be expected to have heard of it. Then it is deleted, and the scope's
head remembers up to which number: a phone that was away for longer starts over (410). Each scope is taken
alone and in small bites, so that nobody who publishes waits for long.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from server.database import transaction
from server.driver import run
from server.jobs import task

KEPT_FOR: Final = timedelta(days=90)
AT_ONCE: Final = 1000


@task("forget_removals", every="23 2 * * *")
def forget_removals(*, now: datetime) -> None:
    """Delete removals older than 90 days; a scope that is being written to is left for another time."""
    del now  # ages are compared with the database's own clock, which stamped them
    with transaction() as session:
        scopes = [row.scope for row in run(session, _DUE, {"kept_for": KEPT_FOR})]
    for scope in scopes:
        while _forget_some(scope) == AT_ONCE:
            continue


def _forget_some(scope: str) -> int:
    with transaction() as session:
        return 0 if _is_busy(session, scope) else _delete(session, scope)


def _is_busy(session: Session, scope: str) -> bool:
    """Lock the head first, as writers do; whoever has it now is not waited for."""
    return not run(session, _LOCK, {"scope": scope})


def _delete(session: Session, scope: str) -> int:
    values = {"scope": scope, "kept_for": KEPT_FOR, "most": AT_ONCE}
    (row,) = run(session, _DELETE, values)
    return row.deleted


_DUE: Final = """
    SELECT DISTINCT scope FROM feed WHERE op = 'remove' AND changed_at < now() - %(kept_for)s ORDER BY scope
"""
_LOCK: Final = "SELECT scope FROM feed_heads WHERE scope = %(scope)s FOR UPDATE SKIP LOCKED"
_DELETE: Final = """
    WITH old AS (
        SELECT scope, seq FROM feed
        WHERE scope = %(scope)s AND op = 'remove' AND changed_at < now() - %(kept_for)s
        ORDER BY seq LIMIT %(most)s
    ), gone AS (
        DELETE FROM feed USING old WHERE feed.scope = old.scope AND feed.seq = old.seq RETURNING feed.seq
    ), moved AS (
        UPDATE feed_heads SET oldest_tombstone = greatest(oldest_tombstone, (SELECT max(seq) FROM gone))
        WHERE scope = %(scope)s
    )
    SELECT count(*) AS deleted FROM gone
"""
