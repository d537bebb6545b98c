"""What does a photo look like and a recording sound like, so that it is found again elsewhere?

Narrow tables beside `evidence`: a look-up touches thousands of these rows, and a wide row costs a page each.
"""

from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BIT
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model

BANDS: Final = 16
BAND_BITS: Final = 16
EXACT_WITHIN: Final = 2 * BANDS - 1
"""Pictures this many bits apart, or fewer, always share a band that differs in at most one bit."""

_BANDS_OF_BITS = ", ".join(
    f"{band << BAND_BITS} + substring(bits, {band * BAND_BITS + 1}, {BAND_BITS})::integer"
    for band in range(BANDS)
)


class PicturePrint(Model):
    """A photo's PDQ hash, cut into bands for multi-index hashing (Norouzi, Punjani, Fleet, 2012).

    Each of `bands` carries its number above its 16 bits, so that one index serves all.
    """

    __tablename__ = "picture_prints"
    __table_args__ = (
        sa.Index(
            "ix_picture_prints_bands", "bands", postgresql_using="gin", postgresql_with={"fastupdate": "off"}
        ),
    )

    evidence_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("evidence.id", ondelete="CASCADE"), primary_key=True
    )
    bits: Mapped[str] = mapped_column(BIT(256))
    bands: Mapped[list[int]] = mapped_column(
        ARRAY(sa.Integer()), sa.Computed(f"ARRAY[{_BANDS_OF_BITS}]", persisted=True)
    )


class SoundPrint(Model):
    """Landmarks of a recording (`server.media.landmarks`): all packed, the rare ones to be found by.

    Both are kept beside the row (migration 0040): a look-up passes thousands of rows and reads a few.
    """

    __tablename__ = "sound_prints"
    __table_args__ = (
        sa.Index(
            "ix_sound_prints_keys", "keys", postgresql_using="gin", postgresql_with={"fastupdate": "off"}
        ),
    )

    evidence_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("evidence.id", ondelete="CASCADE"), primary_key=True
    )
    keys: Mapped[list[int]] = mapped_column(ARRAY(sa.Integer()))
    landmarks: Mapped[bytes]
