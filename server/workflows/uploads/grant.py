"""What a request may know and do about one upload."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from server.errors import Gone

SEGMENT_BYTES = 1024 * 1024
SEGMENTS_AT_ONCE = 4
"""A file of up to so many segments, sent by one request, is taken as a whole: most photos are."""
MAX_BYTES = 2 * 1024**3
LIFETIME = timedelta(days=7)
GRANTED = """
    id, evidence_id, sha256, length, upload_offset, fence, state, expires_at, raw_metadata,
    (SELECT coalesce(max(id), 0) FROM collections) AS collections
"""
"""What a Grant is made of, of a row of `uploads`."""


@dataclass(frozen=True, slots=True)
class WantedUpload:
    """What a phone announces before it sends. `length` and `sha256` may not be known yet."""

    evidence_id: UUID
    sha256: bytes | None
    length: int | None
    filename: str
    mime: str
    raw_metadata: str


@dataclass(frozen=True, slots=True)
class Grant:
    """An upload as its newest request sees it. `fence` is this request's right to write.

    `collections` is the newest id of `collections` from before any byte came (`server/models/storage.py`).
    """

    id: UUID
    evidence_id: UUID
    sha256: bytes | None
    length: int | None
    offset: int
    fence: int
    state: str
    expires_at: datetime
    raw_metadata: str
    collections: int

    @property
    def is_complete(self) -> bool:
        return self.state == "complete"

    @classmethod
    def of(cls, upload: Any) -> "Grant":
        """Copy a row of `uploads` (GRANTED), so that nothing of it is read outside its transaction."""
        return cls(
            id=upload.id,
            evidence_id=upload.evidence_id,
            sha256=upload.sha256,
            length=upload.length,
            offset=upload.upload_offset,
            fence=upload.fence,
            state=upload.state,
            expires_at=upload.expires_at,
            raw_metadata=upload.raw_metadata,
            collections=upload.collections,
        )

    def refuse_gone(self) -> None:
        """Raise Gone when this upload can never be continued."""
        why = {
            "mismatched": "The bytes received were not the promised file. Create the upload again.",
            "expired": "This upload was not finished in time. Create it again.",
            "terminated": "This upload was given up.",
        }.get(self.state)
        if why is not None:
            raise Gone(f"upload-{self.state}", why)
