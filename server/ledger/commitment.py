"""How are words held to the log that stand encrypted, so that no digest of theirs may be guessed at?

A commitment is a random salt and SHA-256 over salt and words. The row and its logged text carry it; whoever
has the words sees that they are the ones, whoever has not learns nothing. It goes when the words are erased.
"""

import hashlib
import hmac
from typing import Final

SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32


def commit(words: str, *, salt: bytes) -> bytes:
    """Return the commitment to some words under a fresh salt."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return salt + hashlib.sha256(salt + words.encode()).digest()


def is_of(commitment: bytes, words: str) -> bool:
    """Whether a commitment was made to these words."""
    if len(commitment) != SALT_BYTES + _DIGEST_BYTES:
        return False
    return hmac.compare_digest(commit(words, salt=commitment[:SALT_BYTES]), commitment)
