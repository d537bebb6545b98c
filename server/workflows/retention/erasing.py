"""How is a debtor's data erased so that nothing that was proven stops being proven?

One transaction a debtor, under the lock that dispatch takes too: what is due and what holds it is asked again
there. Words and marks are blanked, the log's entries about them lose salt and record but keep their place and
hash, so every other proof stands; the erasure itself becomes an entry of the log. Bytes in the store go after
the commit (`objects`), and phones let go of what they still hold.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from psycopg import Error as DatabaseError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from server.database import db, transaction
from server.jobs import enqueue, enqueue_each, task
from server.models.cases import Debtor
from server.models.feed import FeedRow, publish
from server.models.retention import ErasedObject, ErasedThing, Erasure
from server.signing import current_signer
from server.workflows.retention.belongings import LEAVES, Belongings, blank, gather
from server.workflows.retention.due import Due, due, erased, nights_of_a_round, told_again
from server.workflows.retention.sealing import seal
from sync.protocol import uuid7

MOST_A_NIGHT: Final = 500
"""So that a wrong parameter is noticed before much is gone."""
PAGE: Final = 100

log = structlog.get_logger()


class ErasureFailed(Exception):
    """Somebody could not be erased; everybody else was. The log names them."""


# Tried again by itself, a night would erase more than MOST_A_NIGHT: whoever failed is due the next one too.
@task("retention.erase_due", every="41 18 * * *", attempts=1)
def erase_due(*, now: datetime) -> None:
    """Erase whose time is over and whom nothing holds, and what came of those who were erased before.

    In China it is the small hours then. One debtor's fault stops nobody else; raises ErasureFailed at the
    end, so that the job stands as failed.
    """
    done, failed = _erase_each(_due_now(now), most=MOST_A_NIGHT, now=now)
    again, failed_again = _erase_each(_told_of_again(now), most=None, now=now)
    failed += failed_again
    log.info("retention.erased", debtors=done, again=again, failed=failed)
    if failed:
        raise ErasureFailed(f"{failed} debtors could not be erased")


def _due_now(now: datetime) -> Iterator[Due]:
    after = None
    while True:
        with transaction() as session:
            page = due(session, now=now, after=after, limit=PAGE)
        if not page:
            return
        yield from page
        after = page[-1].debtor_id


def _told_of_again(now: datetime) -> Iterator[Due]:
    with transaction() as session:
        nights = nights_of_a_round(session)
    after = None
    while True:
        with transaction() as session:
            asked = erased(session, night=now.toordinal(), nights=nights, after=after, limit=PAGE)
            page = told_again(session, asked)
        if not asked:
            return
        yield from page
        after = asked[-1]


def _erase_each(found: Iterator[Due], *, most: int | None, now: datetime) -> tuple[int, int]:
    """Erase them one by one; return how many were erased, and how many could not be."""
    done, failed = 0, 0
    for one in found:
        if one.held_by:
            continue
        if done == most:
            break
        try:
            done += erase(one.debtor_id, now=now)
        except DBAPIError as error:
            failed += 1
            _say_what_failed(one.debtor_id, error)
    return done, failed


def _say_what_failed(debtor_id: UUID, error: DBAPIError) -> None:
    """Log it without PostgreSQL's own words, which quote the row; raise it when the database went away."""
    if error.connection_invalidated or not isinstance(error.orig, DatabaseError):
        raise error
    refused = error.orig.diag
    log.error(
        "retention.erasure_failed",
        debtor=str(debtor_id),
        error=type(error.orig).__name__,
        table=refused.table_name,
        constraint=refused.constraint_name,
    )


def erase(debtor_id: UUID, *, now: datetime) -> bool:
    """Erase one debtor's data; False when they are not due any more, or held by now."""
    with transaction() as session:
        session.execute(sa.select(Debtor.id).where(Debtor.id == debtor_id).with_for_update())
        standing = due(session, now=now, limit=1, locked=debtor_id)
        standing = standing or told_again(session, [debtor_id])
        if not standing or standing[0].held_by:
            return False
        _erase(session, standing[0], now=now)
    return True


def _erase(session: Session, one: Due, *, now: datetime) -> None:
    about = gather(session, one.debtor_id)
    keys = _objects(session, about)
    counts = blank(session, about)
    _end_uploads(session, about)
    things = _forget_leaves(session, about)
    erasure = Erasure(
        id=uuid7(),
        debtor_id=one.debtor_id,
        erased_at=now,
        ended_at=one.ended_at,
        kept_days=one.kept_days,
        source=one.source,
        counts={**counts, "objects": len(keys), "log entries": len(things)},
        things_sha256=things_digest(things),
    )
    erasure.seal = seal(erasure, current_signer())
    session.add(erasure)
    session.flush()
    session.add_all(ErasedThing(erasure_id=erasure.id, kind=kind, subject_id=about) for kind, about in things)
    session.add_all(ErasedObject(erasure_id=erasure.id, key=key) for key in keys)
    session.execute(sa.update(Debtor).where(Debtor.id == one.debtor_id).values(erased_at=now))
    _purge_phones(session, about)
    if keys:
        enqueue("retention.remove_objects", queueing_lock="retention.remove_objects")


def _objects(session: Session, about: Belongings) -> list[str]:
    """Return the keys of the store that the debtor's evidence names, and of what came in its place."""
    query = """
        SELECT key FROM evidence, unnest(ARRAY[storage_key, thumbnail_key, rendition_key]) AS key
         WHERE id = ANY(:evidence) AND key IS NOT NULL
         UNION SELECT concat('quarantine/', uploads.id)
                 FROM uploads JOIN evidence ON evidence.id = evidence_id AND evidence.state <> 'erased'
                WHERE evidence_id = ANY(:evidence) AND uploads.state = 'mismatched'
         ORDER BY key
    """
    return list(session.scalars(sa.text(query), {"evidence": about.ids["evidence"]}))


def _end_uploads(session: Session, about: Belongings) -> None:
    """Give up what is still on its way; whoever creates it again hears that it was erased.

    After the evidence, as everybody locks who finishes an upload.
    """
    ended = session.scalars(_END_UPLOADS, {"evidence": about.ids["evidence"]}).all()
    enqueue_each("discard_segments", {f"discard-{one}": {"upload_id": str(one)} for one in ended})


_END_UPLOADS: Final = sa.text(
    """
    UPDATE uploads SET state = 'terminated'
     WHERE evidence_id = ANY(:evidence) AND state IN ('open', 'checking') RETURNING id
    """
)


def _forget_leaves(session: Session, about: Belongings) -> list[tuple[str, UUID]]:
    """Take salt and record of the debtor's entries out of the log; return which."""
    found: set[tuple[str, UUID]] = set()
    for kind, name in LEAVES.items():
        rows = session.execute(_FORGET, {"kind": kind, "ids": about.ids[name]})
        found |= {(row.kind, row.subject_id) for row in rows}
    return sorted(found)


_FORGET: Final = sa.text(
    """
    UPDATE log_leaves SET salt = NULL, record = NULL 
     WHERE kind = :kind AND subject_id = ANY(:ids) AND record IS NOT NULL
    RETURNING kind, subject_id
    """
)


def things_digest(things: Sequence[tuple[str, UUID]]) -> bytes:
    """Return the digest that the log keeps of an erasure's entries."""
    return hashlib.sha256("".join(f"{kind} {about}\n" for kind, about in sorted(things)).encode()).digest()


def _purge_phones(session: Session, about: Belongings) -> None:
    """Take what is still in somebody's feed out of it: phones forget it at their next contact."""
    ids: list[UUID] = [*about.ids["assignments"], *about.ids["findings"]]
    rows: Sequence[Any] = session.scalars(
        sa.select(FeedRow).where(FeedRow.entity_id.in_(ids), FeedRow.op == "put")
    ).all()
    for row in rows:
        publish(row.scope, kind=row.kind, entity_id=row.entity_id, op="remove")


def list_erasures(
    *, debtor: UUID | None, after: UUID | None, limit: int
) -> list[tuple[Erasure, dict[str, int]]]:
    """Return one page of erasures, oldest first, each with how many of its objects are in which state."""
    query = sa.select(Erasure).order_by(Erasure.id).limit(limit)
    if after is not None:
        query = query.where(Erasure.id > after)
    if debtor is not None:
        query = query.where(Erasure.debtor_id == debtor)
    erasures = db.session.scalars(query).all()
    counted = db.session.execute(
        sa.select(ErasedObject.erasure_id, ErasedObject.state, sa.func.count())
        .where(ErasedObject.erasure_id.in_([one.id for one in erasures]))
        .group_by(ErasedObject.erasure_id, ErasedObject.state)
    ).all()
    return [
        (one, {state: many for erasure_id, state, many in counted if erasure_id == one.id})
        for one in erasures
    ]
