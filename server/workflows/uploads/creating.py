"""How does an upload begin, change hands and end without being finished?

Creation is idempotent on (device, evidence, digest, length), so a lost answer leads to the same upload.
Every HEAD and PATCH takes a new fence: whoever resumed last may write.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.driver import run, run_alone
from server.errors import Conflict, Forbidden, Gone, Invalid, NotFound, TooLarge, Unavailable
from server.jobs import enqueue, task
from server.models.evidence import Evidence, Upload
from server.models.people import Device
from server.workflows.uploads.grant import GRANTED, LIFETIME, MAX_BYTES, Grant, WantedUpload
from sync.protocol import uuid7

MISMATCHES_ALLOWED = 2
_TRIES: Final = 3


def create(wanted: WantedUpload, *, brings_bytes: bool, actor: Actor, now: datetime) -> Grant:
    """Start an upload, or return the one that an earlier, unanswered request started.

    One whose request brings bytes becomes durable with them: nobody hears of it before.
    Raises TooLarge; Invalid when it contradicts the promise or has failed twice; Forbidden for evidence that
    another person's phone promised; Gone for evidence that was erased.
    """
    if wanted.length is not None and wanted.length > MAX_BYTES:
        raise TooLarge("upload-too-large", f"One file may have {MAX_BYTES} bytes.", limit_bytes=MAX_BYTES)
    told = {**_told(wanted, actor, now), "is_durable": not brings_bytes}
    for _ in range(_TRIES):
        if started := run_alone(db.engine, _START_OR_FIND, told):
            return Grant.of(started[0])
        _clear_the_way(wanted, told, actor=actor, now=now)
    raise Unavailable("upload-busy", "Others are changing this file's uploads; try again.", retry_after=1)


def resume(upload_id: UUID, *, actor: Actor, now: datetime) -> Grant:
    """Take the upload over from whoever was writing to it, and say how far it is.

    Raises NotFound (also for another phone's upload) and Gone.
    """
    asked = {"id": upload_id, "device_id": actor.device_id, "now": now}
    taken = run_alone(db.engine, _TAKE_OVER, asked) or _expire(asked)
    if not taken:
        raise NotFound("upload-unknown", "There is no such upload of this phone. Create it again.")
    grant = Grant.of(taken[0])
    grant.refuse_gone()
    return grant


def set_length(grant: Grant, length: int) -> Grant:
    """Fix the length of an upload that was created without one."""
    if grant.length is not None and grant.length != length:
        raise Conflict("length-fixed", f"This upload has {grant.length} bytes; its length cannot change.")
    if length > MAX_BYTES:
        raise TooLarge("upload-too-large", f"One file may have {MAX_BYTES} bytes.", limit_bytes=MAX_BYTES)
    if length < grant.offset:
        raise Conflict("length-below-offset", f"{grant.offset} bytes have been received already.")
    fixed = sa.update(Upload).where(Upload.id == grant.id, Upload.length.is_(None)).values(length=length)
    try:
        with transaction() as session:
            session.execute(fixed)
    except IntegrityError as twin:
        detail = "Another upload of this file has this length; create yours with Upload-Length to get it."
        raise Conflict("length-taken", detail) from twin
    return replace(grant, length=length)


def terminate(upload_id: UUID, *, actor: Actor, now: datetime) -> None:
    """Give an unfinished upload up. Evidence that is complete or was promised stays."""
    grant = resume(upload_id, actor=actor, now=now)
    with transaction() as session:
        evidence = session.get_one(Evidence, grant.evidence_id, with_for_update=True, populate_existing=True)
        upload = session.get_one(Upload, upload_id, with_for_update=True, populate_existing=True)
        if upload.state == "complete" or evidence.promised_item is not None:
            raise Forbidden(
                "evidence-stays", "This file was promised or is complete; it cannot be withdrawn."
            )
        upload.state = "terminated"
        enqueue("discard_segments", upload_id=str(upload_id))


@task("expire_uploads", every="23 * * * *")
def expire_uploads(*, now: datetime) -> None:
    """Give up every unfinished upload whose time is over. Evidence is never touched, nor what is all here."""
    with transaction() as session:
        _expire_each(session, now=now)


def _clear_the_way(wanted: WantedUpload, told: Mapping[str, Any], *, actor: Actor, now: datetime) -> None:
    """Say why `_START_OR_FIND` started nothing, or give up the stale upload in its way."""
    with transaction() as session:
        ((owner, promised, state),) = session.execute(
            sa.select(Device.staff_id, Evidence.sha256, Evidence.state)
            .join_from(Evidence, Device, Evidence.device_id == Device.id)
            .where(Evidence.id == wanted.evidence_id)
        )
        if owner != actor.staff_id:
            raise Forbidden("evidence-of-another", "This evidence was promised by somebody else's phone.")
        if state == "erased":
            raise Gone("evidence-erased", "Its time is over: nobody wants these bytes any more. Delete them.")
        if promised is not None and wanted.sha256 not in (None, promised):
            raise Invalid("digest-not-promised", "The promise names another SHA-256 for it; send that file.")
        earlier = run(session, _IN_THE_WAY, told)
        if sum(one.state == "mismatched" for one in earlier) >= MISMATCHES_ALLOWED:
            raise Invalid("digest-mismatch-again", _CHANGED)
        _expire_each(session, Upload.id.in_(one.id for one in earlier if one.state == "open"), now=now)


def _expire(asked: Mapping[str, Any]) -> list[Any]:
    """Give an upload up whose time is over and return it; nothing when this phone has no such upload."""
    with transaction() as session:
        _expire_each(session, Upload.id == asked["id"], now=asked["now"])
        return run(session, _GIVEN_UP, asked)


def _expire_each(session: Session, *which: sa.ColumnElement[bool], now: datetime) -> None:
    """Give up those of these uploads whose time is over and whose bytes are not all here."""
    is_partial = Upload.upload_offset.is_distinct_from(Upload.length)
    over = sa.update(Upload).where(Upload.state == "open", Upload.expires_at <= now, is_partial, *which)
    for upload_id in session.scalars(over.values(state="expired").returning(Upload.id)).all():
        enqueue("discard_segments", upload_id=str(upload_id))


def _told(wanted: WantedUpload, actor: Actor, now: datetime) -> dict[str, Any]:
    """What a creation says, as the statements below name it."""
    return {
        "id": uuid7(),
        "device_id": actor.device_id,
        "staff_id": actor.staff_id,
        "evidence_id": wanted.evidence_id,
        "sha256": wanted.sha256,
        "length": wanted.length,
        "filename": wanted.filename,
        "mime": wanted.mime,
        "raw_metadata": wanted.raw_metadata,
        "now": now,
        "expires_at": now + LIFETIME,
    }


_CHANGED: Final = (
    "This file arrived twice with another SHA-256 than promised: it changed on the phone. Report it."
)

# A phone creates an upload for every photo and takes it over for every piece: each is one statement and a
# transaction of its own, and what it refuses is explained afterwards. Creations for one file come one after
# the other, because its evidence is locked first.
_OVER: Final = "state = 'open' AND expires_at <= %(now)s AND upload_offset IS DISTINCT FROM length"
_SAME_PROMISE: Final = """
    device_id = %(device_id)s AND evidence_id = %(evidence_id)s
    AND sha256 IS NOT DISTINCT FROM %(sha256)s AND length IS NOT DISTINCT FROM %(length)s
"""
_IN_THE_WAY: Final = f"""
    SELECT id, state FROM uploads
    WHERE {_SAME_PROMISE} AND (state = 'mismatched' OR {_OVER})
"""
_START_OR_FIND: Final = f"""
    WITH expected AS (
        INSERT INTO evidence AS kept (id, device_id, state)
        VALUES (%(evidence_id)s, %(device_id)s, 'uploading')
        ON CONFLICT (id) DO UPDATE SET state = CASE
            WHEN kept.state IN ('expected', 'missing', 'mismatched') THEN 'uploading' ELSE kept.state END
        WHERE (kept.device_id = %(device_id)s
               OR kept.device_id IN (SELECT id FROM devices WHERE staff_id = %(staff_id)s))
          AND coalesce(kept.sha256 = %(sha256)s, true) AND kept.state <> 'erased'
          AND NOT EXISTS (SELECT FROM uploads
                          WHERE {_SAME_PROMISE} AND {_OVER})
          AND (SELECT count(*) FROM uploads WHERE {_SAME_PROMISE} AND state = 'mismatched')
              < {MISMATCHES_ALLOWED}
        RETURNING id
    )
    INSERT INTO uploads (id, device_id, evidence_id, sha256, length, filename, mime, raw_metadata,
                         upload_offset, fence, state, created_at, expires_at)
    SELECT %(id)s, %(device_id)s, expected.id, %(sha256)s, %(length)s, %(filename)s, %(mime)s,
           %(raw_metadata)s, 0, 1, 'open', %(now)s, %(expires_at)s
      FROM expected
     WHERE %(is_durable)s OR set_config('synchronous_commit', 'off', true) IS NOT NULL
    ON CONFLICT (device_id, evidence_id, coalesce(sha256, ''::bytea), coalesce(length, -1))
        WHERE state IN ('open', 'checking', 'complete')
        DO UPDATE SET fence = uploads.fence + 1
    RETURNING {GRANTED}
"""

# Nothing is lost with a fence that a crash of the database takes back: an offset moves only from where it
# stands, and the whole file's digest is verified.
_TAKE_OVER: Final = f"""
    UPDATE uploads SET fence = fence + 1
    WHERE id = %(id)s AND device_id = %(device_id)s AND NOT ({_OVER})
      AND set_config('synchronous_commit', 'off', true) IS NOT NULL
    RETURNING {GRANTED}
"""
_GIVEN_UP: Final = f"SELECT {GRANTED} FROM uploads WHERE id = %(id)s AND device_id = %(device_id)s"
