"""How are passwords kept and compared?

Argon2id, with at most a few computations at once: each takes about 64 MiB and a fifth of a second, and a
burst of sign-ins must not starve the phones that are syncing. Who waits too long for a turn is sent away.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.errors import Unavailable

MIN_LENGTH = 12
PATIENCE_SECONDS = 5
_hasher = PasswordHasher()
_turns = BoundedSemaphore(2)


@contextmanager
def _turn() -> Iterator[None]:
    """Wait for a turn, but not for long: every waiting thread is one that serves no phone."""
    if not _turns.acquire(timeout=PATIENCE_SECONDS):
        raise Unavailable("sign-in-busy", "Too many people are signing in. Try again.", retry_after=5)
    try:
        yield
    finally:
        _turns.release()


def hash_password(password: str) -> str:
    """Return the password's Argon2id hash, parameters and salt included."""
    with _turn():
        return _hasher.hash(password)


@cache
def _decoy() -> str:
    """Return what an unknown user's password is compared with; made by the first who needs it."""
    return _hasher.hash(secrets.token_urlsafe(16))


def is_right(password: str, *, hashed: str | None) -> bool:
    """Whether the password fits the hash; takes as long when there is no hash (unknown user)."""
    with _turn():
        try:
            matches = _hasher.verify(hashed or _decoy(), password)
        except (VerificationError, InvalidHashError):
            return False
    return matches and hashed is not None


def make_password() -> str:
    """Make a password for somebody who will change it."""
    return secrets.token_urlsafe(12)
