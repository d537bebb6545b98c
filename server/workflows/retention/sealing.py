"""Did the office erase somebody, or somebody who has the database but not the office's key?

An erasure is signed by the server as it is written, and `check-log` asks for that: without it whoever
blanks a debtor's rows and writes an erasure beside them would hide whatever they like.
"""

from typing import Any, Final

from server.signing import Signer, canonical
from sync.wire import write_instant

SEALED: Final = "application/vnd.fieldvisit.erasure+json"


def seal(erasure: Any, signer: Signer) -> bytes:
    """Sign an erasure that is about to be written: whose, when, by which rule, and what it took."""
    return signer.sign(SEALED, _told(erasure))


def is_sealed(erasure: Any, signer: Signer) -> bool:
    """Whether the office signed it as it stands."""
    return signer.has_signed(SEALED, _told(erasure), erasure.seal)


def _told(erasure: Any) -> bytes:
    return canonical(
        {
            "v": 1,
            "erasure_id": str(erasure.id),
            "debtor_id": str(erasure.debtor_id),
            "erased_at": write_instant(erasure.erased_at),
            "ended_at": write_instant(erasure.ended_at),
            "kept_days": erasure.kept_days,
            "things_sha256": erasure.things_sha256.hex(),
        }
    )
