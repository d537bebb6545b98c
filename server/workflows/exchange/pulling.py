"""What changed for this phone since it last asked?

One page of the change feed, read in one snapshot: rows in the order of their numbers, bodies as they
stand now. What a phone may see is decided when a change is published, never here; it forgets what is
removed (I2).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from server.authority import Actor
from server.database import db, transaction
from server.driver import look_up, run_alone
from server.errors import Gone
from server.models.feed import EVERYONE, hex_digest, publish, staff_scope
from server.signing import current_signer
from server.workflows.exchange.anchors import make_anchor
from server.workflows.exchange.carried import CARRIED, KINDS, body_of, write
from server.workflows.exchange.tellings import tell
from server.workflows.log_growth import NEWEST, grown_since
from sync.feed import Cursor, Head, StaleCursor, advance, continue_from, read_cursor, write_cursor
from sync.protocol import uuid7

MOST: Final = 1000
MOST_NUMBER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the feed and the phone's own record stand, in one snapshot."""

    heads: Mapping[str, Head]
    digests: Mapping[str, str]
    acked_seq: int
    durable_seq: int
    record_digest: str


def pull(*, cursor: str | None, limit: int, log_size: int | None, actor: Actor, now: datetime) -> str:
    """Return one page of the phone's feed, as JSON.

    Raises Gone (`feed-reset`) when the cursor cannot be continued.
    """
    assert actor.staff_id is not None and actor.device_id is not None
    own = staff_scope(actor.staff_id)
    begun = _begun(cursor)
    standing, rows, head = _look(begun, [EVERYONE, own], device_id=actor.device_id, most=limit + 1)
    after = _after(begun, standing.heads)
    page, has_more = rows[:limit], len(rows) > limit
    bodies = [body_of(row) for row in page]
    lost = [row for row, body in zip(page, bodies, strict=True) if row.op == "put" and body is None]
    _tell(page, bodies, after=after.get(own, 0), actor=actor, now=now)
    _note(page, bodies, actor=actor, now=now)
    _take_out(lost)
    reached = _reached(page, after, standing.heads, has_more=has_more)
    about = {
        "epoch": str(standing.heads[own].epoch) if own in standing.heads else None,
        "cursor": write_cursor(advance(begun, standing.heads, reached)),
        "seen": reached,
        "has_more": has_more,
        "scope_digest": {} if has_more else _digests(standing, lost),
        "anchor": make_anchor(current_signer(), device_id=actor.device_id, now=now),
        "ack_seq": standing.acked_seq,
        "durable_through": standing.durable_seq,
        "record_digest": standing.record_digest,
        "rescue_key": current_signer().rescue_key,
        "log": None if has_more else grown_since(head, log_size),
    }
    changes = ",".join(map(_change, page, bodies))
    return f'{write(about)[:-1]},"changes":[{changes}]}}'


def _begun(cursor: str | None) -> Cursor:
    try:
        return read_cursor(cursor) if cursor else {}
    except StaleCursor as error:
        raise _reset(error) from None


def _after(begun: Cursor, heads: Mapping[str, Head]) -> Mapping[str, int]:
    """Return the number to go on after in each scope."""
    try:
        return continue_from(begun, heads)
    except StaleCursor as error:
        raise _reset(error) from None


def _reset(error: StaleCursor) -> Gone:
    return Gone("feed-reset", f"Forget the cursor and pull from the beginning: {error}.")


def _look(
    begun: Cursor, scopes: Sequence[str], *, device_id: UUID, most: int
) -> tuple[Standing, Sequence[Any], Any]:
    """Return how things stand, the rows after the cursor with what they carry, and the log's newest head.

    The rows are those of a cursor that can be continued; whether it can is known only from the heads. They
    come one scope after the other, so that a page is a prefix of each scope.
    """
    numbers = [begun[scope].seq if scope in begun else 0 for scope in scopes]
    standing, rows, heads = look_up(
        db.engine,
        (_STANDING, {"device_id": device_id, "scopes": list(scopes)}),
        (_ROWS, {"scopes": list(scopes), "after": [min(n, MOST_NUMBER) for n in numbers], "most": most}),
        (NEWEST, {}),
    )
    known = [row for row in standing if row.scope is not None]
    stands = Standing(
        heads={row.scope: Head(row.epoch, row.seq, row.oldest_tombstone) for row in known},
        digests={row.scope: hex_digest(row.digest) for row in known},
        acked_seq=standing[0].acked_seq,
        durable_seq=min(standing[0].durable_seq, standing[0].acked_seq),
        record_digest=hex_digest(standing[0].record_digest),
    )
    return stands, rows, next(iter(heads), None)


_STANDING: Final = """
    SELECT devices.acked_seq, devices.record_digest::text AS record_digest,
           CASE WHEN EXISTS (SELECT FROM backups WHERE completed_at IS NOT NULL)
                THEN devices.durable_seq ELSE devices.acked_seq END AS durable_seq,
           feed_heads.scope, feed_heads.epoch, feed_heads.seq, feed_heads.oldest_tombstone,
           feed_heads.digest::text AS digest
    FROM devices LEFT JOIN feed_heads ON feed_heads.scope = ANY (%(scopes)s)
    WHERE devices.id = %(device_id)s
"""
_ROWS: Final = f"""
    WITH found AS MATERIALIZED (
        SELECT place.n AS place, place.scope, each.seq, each.kind, each.entity_id, each.op, each.rev
        FROM unnest(%(scopes)s::text[], %(after)s::int8[]) WITH ORDINALITY AS place (scope, after, n)
        CROSS JOIN LATERAL (
            SELECT seq, kind, entity_id, op, rev FROM feed
            WHERE feed.scope = place.scope AND feed.seq > place.after ORDER BY seq LIMIT %(most)s
        ) AS each
        ORDER BY place.n, each.seq LIMIT %(most)s)
    {CARRIED}
"""


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


def _change(row: Any, body: str | None) -> str:
    op = "remove" if body is None else row.op
    return (
        f'{{"scope":"{row.scope}","kind":"{row.kind}","id":"{row.entity_id}","op":"{op}","rev":{row.rev},'
        f'"body":{body or "null"}}}'
    )


def _digests(standing: Standing, lost: Sequence[Any]) -> dict[str, str]:
    """Return the digests of what the phone now holds; not of a scope whose rows were not all there."""
    spoiled = {row.scope for row in lost}
    return {scope: digest for scope, digest in standing.digests.items() if scope not in spoiled}


def _tell(page: Sequence[Any], bodies: list[str | None], *, after: int, actor: Actor, now: datetime) -> None:
    """Write down which findings the phone is given, and put the visitor's own deadlines into their bodies."""
    found = {
        place: json.loads(body)
        for place, (row, body) in enumerate(zip(page, bodies, strict=True))
        if row.kind == "finding" and body is not None
    }
    if found:
        given = {UUID(page[place].entity_id): (page[place].seq, body) for place, body in found.items()}
        tell(given, after=after, actor=actor, now=now)
        for place, body in found.items():
            bodies[place] = write(body)


def _note(page: Sequence[Any], bodies: Sequence[str | None], *, actor: Actor, now: datetime) -> None:
    """Note that the phone is given names and addresses in clear: one entry a page, which lists the cases."""
    given = [
        row for row, body in zip(page, bodies, strict=True) if row.kind == "assignment" and body is not None
    ]
    if given:
        request = {
            "assignments": [row.entity_id for row in given],
            "cases": sorted({row.case_id for row in given}),
        }
        about = {"id": uuid7(), "now": now, "staff_id": actor.staff_id, "device_id": actor.device_id}
        run_alone(db.engine, _NOTE, about | {"request": write(request)})


_NOTE: Final = """
    INSERT INTO access_log (id, at, staff_id, action, entity_kind, entity_id, fields, reason, request)
    VALUES (%(id)s, %(now)s, %(staff_id)s, 'sync.pull', 'device', %(device_id)s,
            ARRAY['debtors.name', 'addresses.text'], '', %(request)s::jsonb)
"""


def _take_out(lost: Sequence[Any]) -> None:
    """Take what is not there any more out of the feed."""
    known = [row for row in lost if row.kind in KINDS]
    if known:
        with transaction():
            for row in known:
                publish(row.scope, kind=row.kind, entity_id=UUID(row.entity_id), op="remove")
