"""How are passwords kept and compared?

Argon2id, with at most a few computations at once: each takes about 64 MiB and a fifth of a second, and a
burst of sign-ins must not starve the phones that are syncing.
"""

import secrets
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH = 12
_hasher = PasswordHasher()
_turns = BoundedSemaphore(2)
_decoy = _hasher.hash(secrets.token_urlsafe(16))


def hash_password(password: str) -> str:
    """Return the password's Argon2id hash, parameters and salt included."""
    with _turns:
        return _hasher.hash(password)


def is_right(password: str, *, hashed: str | None) -> bool:
    """Whether the password fits the hash; takes as long when there is no hash (unknown user)."""
    with _turns:
        try:
            matches = _hasher.verify(hashed or _decoy, password)
        except (VerificationError, InvalidHashError):
            return False
    return matches and hashed is not None


def make_password() -> str:
    """Make a password for somebody who will change it."""
    return secrets.token_urlsafe(12)
