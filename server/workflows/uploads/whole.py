"""How does a file that one request brings as a whole become evidence by the shortest way?

Most photos do. Nothing is staged: the bytes go under their content address, durable, and one statement
completes the upload, records the evidence and enqueues its inspection. What is not plain (other bytes than
promised, a newer request, an object that is just being removed) is left to `finishing`, which says so.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from server.database import db
from server.driver import run_holding
from server.jobs import enqueueing
from server.media.store import MediaStore, evidence_key
from server.models.storage import HOLD_COLLECTING_OFF
from server.workflows.uploads.grant import Grant


def keep_whole(grant: Grant, content: memoryview, *, store: MediaStore, now: datetime) -> Grant | None:
    """Keep the whole file and complete its upload; None when that must be left to `finishing`.

    Safe to repeat: until the commit nothing names the object, and the offset stays where it was.
    """
    if grant.state != "open" or (sha256 := store.keep(content, expected=grant.sha256)) is None:
        return None
    told = {
        "id": grant.id,
        "evidence_id": grant.evidence_id,
        "fence": grant.fence,
        "sha256": sha256,
        "key": evidence_key(sha256),
        "size": len(content),
        "collections": grant.collections,
        "now": now,
    }
    if not run_holding(db.engine, HOLD_COLLECTING_OFF, _COMPLETE_AND_STORE, told):
        return None
    return replace(grant, offset=len(content), state="complete")


# Locks evidence before upload, as creation does. An object may be named only if none was removed since before
# it was put (`server/models/storage.py`). A right file that came before keeps its place.
_COMPLETE_AND_STORE: Final = f"""
    WITH promised AS MATERIALIZED (
        SELECT id, state, sha256 FROM evidence WHERE id = %(evidence_id)s FOR UPDATE
    ), upload AS MATERIALIZED (
        SELECT uploads.id, uploads.mime, promised.id AS evidence_id, promised.state
          FROM promised JOIN uploads ON uploads.evidence_id = promised.id
         WHERE uploads.id = %(id)s AND uploads.fence = %(fence)s AND uploads.state = 'open'
           AND uploads.upload_offset = 0
           AND (promised.sha256 IS NULL OR promised.sha256 = %(sha256)s)
           FOR UPDATE OF uploads
    ), completed AS (
        UPDATE uploads SET state = 'complete', length = %(size)s, upload_offset = %(size)s
          FROM upload
         WHERE uploads.id = upload.id
           AND NOT EXISTS (SELECT FROM doomed_objects WHERE key = %(key)s)
           AND (SELECT coalesce(max(id), 0) FROM collections) = %(collections)s
        RETURNING upload.evidence_id, upload.state, upload.mime
    ), stored AS (
        UPDATE evidence SET storage_key = %(key)s, stored_at = %(now)s, size_bytes = %(size)s,
               state = CASE WHEN evidence.sha256 IS NULL THEN 'stored' ELSE 'verified' END,
               mime = coalesce(nullif(evidence.mime, ''), completed.mime)
          FROM completed
         WHERE evidence.id = completed.evidence_id AND completed.state NOT IN ('stored', 'verified')
        RETURNING evidence.id
    ), inspected AS (
        {enqueueing("inspect_evidence", each="stored", args="jsonb_build_object('evidence_id', id::text)")}
    )
    SELECT evidence_id FROM completed
"""
