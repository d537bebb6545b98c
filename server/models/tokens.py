"""How is a bearer token made? 256 random bits; the database keeps their SHA-256 only."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from server.models.people import Token


@dataclass(frozen=True, slots=True)
class FreshToken:
    """A token in clear: shown once, kept nowhere."""

    token: str = field(repr=False)
    staff_id: UUID
    expires_at: datetime


def new_token(
    staff_id: UUID, *, device_id: UUID | None, lasts: timedelta, now: datetime
) -> tuple[Token, FreshToken]:
    """Make a token's row and its clear form; the caller adds the row to its transaction."""
    clear = secrets.token_urlsafe(32)
    row = Token(
        sha256=hashlib.sha256(clear.encode()).digest(),
        staff_id=staff_id,
        device_id=device_id,
        issued_at=now,
        expires_at=now + lasts,
    )
    return row, FreshToken(token=clear, staff_id=staff_id, expires_at=now + lasts)
