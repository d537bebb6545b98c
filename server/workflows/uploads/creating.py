"""How does an upload begin, change hands and end without being finished?

Creation is idempotent on (device, evidence, digest, length), so a lost answer leads to the same upload.
Every HEAD and PATCH takes a new fence: whoever resumed last may write.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import transaction
from server.driver import run
from server.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from server.jobs import enqueue, task
from server.models.evidence import Evidence, Upload
from server.models.people import Device
from server.workflows.uploads.grant import GRANTED, LIFETIME, MAX_BYTES, Grant, WantedUpload
from sync.protocol import uuid7

MISMATCHES_ALLOWED = 2


def create(wanted: WantedUpload, *, actor: Actor, now: datetime) -> Grant:
    """Start an upload, or return the one that an earlier, unanswered request started.

    Raises TooLarge; Invalid when it contradicts the promise or has failed twice; Forbidden for evidence that
    another person's phone promised.
    """
    if wanted.length is not None and wanted.length > MAX_BYTES:
        raise TooLarge("upload-too-large", f"One file may have {MAX_BYTES} bytes.", limit_bytes=MAX_BYTES)
    with transaction() as session:
        _expect_evidence(session, wanted, actor)
        told = _told(wanted, actor, now)
        earlier = run(session, _EARLIER, told)
        _refuse_third_mismatch(earlier)
        if any(one.state == "open" for one in earlier):
            _expire_stale(session, wanted, actor, now)
        return Grant.of(run(session, _START_OR_FIND, told)[0])


def resume(upload_id: UUID, *, actor: Actor, now: datetime) -> Grant:
    """Take the upload over from whoever was writing to it, and say how far it is.

    Raises NotFound (also for another phone's upload) and Gone.
    """
    with transaction() as session:
        asked = {"id": upload_id, "device_id": actor.device_id, "now": now}
        upload = next(iter(run(session, _TAKE_OVER, asked)), None)
        if upload is None:
            raise NotFound("upload-unknown", "There is no such upload of this phone. Create it again.")
        grant = Grant.of(upload)
        if grant.state == "expired":
            enqueue("discard_segments", upload_id=str(upload_id))
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
    """Give up every unfinished upload whose time is over. Evidence is never touched."""
    with transaction() as session:
        over = session.scalars(
            sa.update(Upload)
            .where(Upload.state == "open", Upload.expires_at <= now)
            .values(state="expired")
            .returning(Upload.id)
        ).all()
        for upload_id in over:
            enqueue("discard_segments", upload_id=str(upload_id))


def _expect_evidence(session: Session, wanted: WantedUpload, actor: Actor) -> None:
    """Make or find the evidence this upload is for, locked, and refuse what can only fail."""
    asked = {"id": wanted.evidence_id, "device_id": actor.device_id}
    (evidence,) = run(session, _EXPECT, asked)
    if evidence.device_id != actor.device_id:
        owner = session.scalar(sa.select(Device.staff_id).where(Device.id == evidence.device_id))
        if owner != actor.staff_id:
            raise Forbidden("evidence-of-another", "This evidence was promised by somebody else's phone.")
    if evidence.sha256 is not None and wanted.sha256 not in (None, evidence.sha256):
        raise Invalid("digest-not-promised", "The promise names another SHA-256 for it; send that file.")


def _refuse_third_mismatch(earlier: Sequence[Any]) -> None:
    if sum(one.state == "mismatched" for one in earlier) >= MISMATCHES_ALLOWED:
        raise Invalid(
            "digest-mismatch-again",
            "This file arrived twice with another SHA-256 than promised: it changed on the phone. Report it.",
        )


def _expire_stale(session: Session, wanted: WantedUpload, actor: Actor, now: datetime) -> None:
    stale = sa.update(Upload).where(
        *_same_promise(wanted, actor), Upload.state == "open", Upload.expires_at <= now
    )
    for upload_id in session.scalars(stale.values(state="expired").returning(Upload.id)).all():
        enqueue("discard_segments", upload_id=str(upload_id))


def _same_promise(wanted: WantedUpload, actor: Actor) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Upload.device_id == actor.device_id,
        Upload.evidence_id == wanted.evidence_id,
        Upload.sha256.is_not_distinct_from(wanted.sha256),
        Upload.length.is_not_distinct_from(wanted.length),
    )


def _told(wanted: WantedUpload, actor: Actor, now: datetime) -> dict[str, Any]:
    """What a creation says, as the statements below name it."""
    return {
        "id": uuid7(),
        "device_id": actor.device_id,
        "evidence_id": wanted.evidence_id,
        "sha256": wanted.sha256,
        "length": wanted.length,
        "filename": wanted.filename,
        "mime": wanted.mime,
        "raw_metadata": wanted.raw_metadata,
        "now": now,
        "expires_at": now + LIFETIME,
    }


# A phone creates an upload for every photo and takes it over for every piece: each step is one statement. The
# evidence's row stays locked until the commit, so creations for one file come one after the other.
_EXPECT: Final = """
    INSERT INTO evidence AS kept (id, device_id, state) VALUES (%(id)s, %(device_id)s, 'uploading')
    ON CONFLICT (id) DO UPDATE SET state = CASE
        WHEN kept.state IN ('expected', 'missing', 'mismatched') THEN 'uploading' ELSE kept.state END
    RETURNING device_id, sha256
"""
_EARLIER: Final = """
    SELECT state FROM uploads
    WHERE device_id = %(device_id)s AND evidence_id = %(evidence_id)s
      AND sha256 IS NOT DISTINCT FROM %(sha256)s AND length IS NOT DISTINCT FROM %(length)s
      AND (state = 'mismatched' OR state = 'open' AND expires_at <= %(now)s)
"""
_START_OR_FIND: Final = f"""
    INSERT INTO uploads (id, device_id, evidence_id, sha256, length, filename, mime, raw_metadata,
                         upload_offset, fence, state, created_at, expires_at)
    VALUES (%(id)s, %(device_id)s, %(evidence_id)s, %(sha256)s, %(length)s, %(filename)s, %(mime)s,
            %(raw_metadata)s, 0, 1, 'open', %(now)s, %(expires_at)s)
    ON CONFLICT (device_id, evidence_id, coalesce(sha256, ''::bytea), coalesce(length, -1))
        WHERE state IN ('open', 'checking', 'complete')
        DO UPDATE SET fence = uploads.fence + 1
    RETURNING {GRANTED}
"""
_TAKE_OVER: Final = f"""
    UPDATE uploads SET fence = fence + 1, state = CASE
        WHEN state = 'open' AND expires_at <= %(now)s THEN 'expired' ELSE state END
    WHERE id = %(id)s AND device_id = %(device_id)s
    RETURNING {GRANTED}
"""
