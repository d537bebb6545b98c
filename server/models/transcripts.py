"""What was said in a recording, as an engine heard it?"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model
from server.pii import Encrypted


class Transcript(Model):
    """One recording as one engine heard it. `failed` says why there is nothing, or is null."""

    __tablename__ = "transcripts"

    evidence_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("evidence.id", ondelete="CASCADE"), primary_key=True
    )
    engine: Mapped[str]
    language: Mapped[str | None]
    made_at: Mapped[datetime]
    failed: Mapped[str | None]


class TranscriptSegment(Model):
    """Words between two seconds of a recording. People speak their names and numbers: kept encrypted."""

    __tablename__ = "transcript_segments"
    __table_args__ = (
        sa.CheckConstraint("0 <= start_seconds AND start_seconds <= end_seconds", name="runs_forward"),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_is_a_share"),
    )

    evidence_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("transcripts.evidence_id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start_seconds: Mapped[float]
    end_seconds: Mapped[float]
    text: Mapped[str] = mapped_column(Encrypted("transcript_segments.text"))
    confidence: Mapped[float | None]
