"""What changed for this phone since it last asked?

One page of the change feed, read in one snapshot: rows in the order of their numbers, bodies as they
stand now. What a phone may see is decided when a change is published, never here; it forgets what is
removed (I2).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from server.authority import Actor
from server.bulk import insert_rows
from server.database import snapshot, transaction
from server.driver import run
from server.errors import Gone
from server.models.access import AccessEntry
from server.models.feed import EVERYONE, hex_digest, publish, staff_scope
from server.signing import current_signer
from server.workflows.exchange.anchors import make_anchor
from server.workflows.exchange.carried import BODIES, Body
from server.workflows.exchange.tellings import tell
from server.workflows.transparency.watched import grown_since
from sync.feed import Cursor, Head, StaleCursor, advance, continue_from, read_cursor, write_cursor
from sync.protocol import uuid7

MOST: Final = 1000

Key = tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the feed and the phone's own record stand, in one snapshot."""

    heads: Mapping[str, Head]
    digests: Mapping[str, str]
    acked_seq: int
    durable_seq: int


def pull(
    *, cursor: str | None, limit: int, log_size: int | None, actor: Actor, now: datetime
) -> dict[str, Any]:
    """Return one page of the phone's feed. Raises Gone (`feed-reset`) when the cursor cannot be continued."""
    assert actor.staff_id is not None and actor.device_id is not None
    own = staff_scope(actor.staff_id)
    with snapshot() as session:
        standing = _standing(session, [EVERYONE, own], device_id=actor.device_id)
        begun, after = _start(cursor, standing.heads)
        rows = _rows(session, after, standing.heads, limit=limit + 1)
        page, has_more = rows[:limit], len(rows) > limit
        bodies = _bodies(session, page)
        log = None if has_more else grown_since(session, log_size)
    given = {
        row.entity_id: (row.seq, bodies[row.kind, row.entity_id])
        for row in page
        if row.kind == "finding" and row.op == "put" and (row.kind, row.entity_id) in bodies
    }
    if given:
        tell(given, after=after.get(own, 0), actor=actor, now=now)
    lost = [row for row in page if row.op == "put" and (row.kind, row.entity_id) not in bodies]
    _note(bodies, lost, actor=actor, now=now)
    reached = _reached(page, after, standing.heads, has_more=has_more)
    return {
        "epoch": str(standing.heads[own].epoch) if own in standing.heads else None,
        "changes": [_change(row, bodies) for row in page],
        "cursor": write_cursor(advance(begun, standing.heads, reached)),
        "seen": reached,
        "has_more": has_more,
        "scope_digest": {} if has_more else _digests(standing, lost),
        "anchor": make_anchor(current_signer(), device_id=actor.device_id, now=now),
        "ack_seq": standing.acked_seq,
        "durable_through": standing.durable_seq,
        "rescue_key": current_signer().rescue_key,
        "log": log,
    }


def _standing(session: Session, scopes: Sequence[str], *, device_id: UUID) -> Standing:
    rows = run(session, _STANDING, {"device_id": device_id, "scopes": list(scopes)})
    known = [row for row in rows if row.scope is not None]
    return Standing(
        heads={row.scope: Head(row.epoch, row.seq, row.oldest_tombstone) for row in known},
        digests={row.scope: hex_digest(row.digest) for row in known},
        acked_seq=rows[0].acked_seq,
        durable_seq=min(rows[0].durable_seq, rows[0].acked_seq),
    )


_STANDING: Final = """
    SELECT devices.acked_seq,
           CASE WHEN EXISTS (SELECT FROM backups WHERE completed_at IS NOT NULL)
                THEN devices.durable_seq ELSE devices.acked_seq END AS durable_seq,
           feed_heads.scope, feed_heads.epoch, feed_heads.seq, feed_heads.oldest_tombstone,
           feed_heads.digest::text AS digest
    FROM devices LEFT JOIN feed_heads ON feed_heads.scope = ANY (%(scopes)s)
    WHERE devices.id = %(device_id)s
"""


def _start(cursor: str | None, heads: Mapping[str, Head]) -> tuple[Cursor, dict[str, int]]:
    """Return the phone's cursor and the number to go on after in each scope."""
    try:
        begun = read_cursor(cursor) if cursor else {}
        return begun, continue_from(begun, heads)
    except StaleCursor as error:
        raise Gone("feed-reset", f"Forget the cursor and pull from the beginning: {error}.") from None


def _rows(
    session: Session, after: Mapping[str, int], heads: Mapping[str, Head], *, limit: int
) -> Sequence[Any]:
    """Return the next rows, one scope after the other, so that a page is a prefix of each scope."""
    behind = sorted(scope for scope, seq in after.items() if seq < heads[scope].seq)
    if not behind:
        return []
    places = {"scopes": behind, "after": [after[scope] for scope in behind], "most": limit}
    return run(session, _ROWS, places)


_ROWS: Final = """
    SELECT place.scope, found.seq, found.kind, found.entity_id, found.op, found.rev
    FROM unnest(%(scopes)s::text[], %(after)s::int8[]) WITH ORDINALITY AS place (scope, after, n)
    CROSS JOIN LATERAL (
        SELECT seq, kind, entity_id, op, rev FROM feed
        WHERE feed.scope = place.scope AND feed.seq > place.after ORDER BY seq LIMIT %(most)s
    ) AS found
    ORDER BY place.n, found.seq LIMIT %(most)s
"""


def _bodies(session: Session, page: Sequence[Any]) -> dict[Key, Body]:
    wanted: dict[str, list[UUID]] = defaultdict(list)
    for row in page:
        if row.op == "put":
            wanted[row.kind].append(row.entity_id)
    bodies: dict[Key, Body] = {}
    for kind, load in BODIES.items():
        if wanted[kind]:
            bodies |= {(kind, entity_id): body for entity_id, body in load(session, wanted[kind]).items()}
    return bodies


def _reached(
    page: Sequence[Any], after: Mapping[str, int], heads: Mapping[str, Head], *, has_more: bool
) -> dict[str, int]:
    """Return how far the phone is once it applied the page: the head where nothing is left."""
    if not has_more:
        return {scope: head.seq for scope, head in heads.items()}
    reached = dict(after)
    for row in page:
        reached[row.scope] = row.seq
    return reached


def _change(row: Any, bodies: Mapping[Key, Body]) -> dict[str, Any]:
    body = bodies.get((row.kind, row.entity_id)) if row.op == "put" else None
    return {
        "scope": row.scope,
        "kind": row.kind,
        "id": str(row.entity_id),
        "op": row.op if body is not None else "remove",
        "rev": row.rev,
        "body": body,
    }


def _digests(standing: Standing, lost: Sequence[Any]) -> dict[str, str]:
    """Return the digests of what the phone now holds; not of a scope whose rows were not all there."""
    spoiled = {row.scope for row in lost}
    return {scope: digest for scope, digest in standing.digests.items() if scope not in spoiled}


def _note(bodies: Mapping[Key, Body], lost: Sequence[Any], *, actor: Actor, now: datetime) -> None:
    """Note that the phone was given names and addresses in clear; take what is lost out of the feed."""
    given = [body for (kind, _), body in bodies.items() if kind == "assignment"]
    if not given and not lost:
        return
    entries = [
        {
            "id": uuid7(),
            "at": now,
            "staff_id": actor.staff_id,
            "action": "sync.pull",
            "entity_kind": "case",
            "entity_id": UUID(body["case"]["id"]),
            "fields": ["debtors.name", "addresses.text"],
            "reason": "",
            "request": {"assignment_id": body["id"], "device_id": str(actor.device_id)},
        }
        for body in given
    ]
    with transaction() as session:
        insert_rows(session, AccessEntry, entries)
        for row in lost:
            if row.kind in BODIES:
                publish(row.scope, kind=row.kind, entity_id=row.entity_id, op="remove")
