"""What can go wrong in the domain, in words a person can act on.

Each error carries a stable slug, a detail that says what to do next, and facts. It knows nothing of
HTTP: `api/problems.py` alone maps a class to a status.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of an input. `pointer` is a JSON pointer (RFC 6901), e.g. "/team/0"."""

    pointer: str
    detail: str


class DomainError(Exception):
    """Base of every refusal the product makes on purpose."""

    title = "The request could not be carried out"

    def __init__(self, slug: str, detail: str, *, retry_after: int | None = None, **facts: object) -> None:
        super().__init__(f"{slug}: {detail}")
        self.slug = slug
        self.detail = detail
        self.retry_after = retry_after
        self.facts: Mapping[str, object] = facts


class NotFound(DomainError):
    """The thing does not exist, or the asker may not know that it does."""

    title = "Not found"


class Unauthenticated(DomainError):
    """Nobody known is asking: no token, or one that is expired or revoked."""

    title = "Sign in first"


class Forbidden(DomainError):
    """Somebody known is asking for what their role does not allow."""

    title = "Not allowed"


class Conflict(DomainError):
    """The state of the thing does not allow it (any more)."""

    title = "Conflict"


class Gone(DomainError):
    """It was here and will not come back: start over as `detail` says."""

    title = "Gone"


class ChecksumMismatch(DomainError):
    """The bytes of one request are not what their checksum says; none of them counts."""

    title = "Checksum mismatch"


class TooManyTries(DomainError):
    """Slow down; `retry_after` says how many seconds."""

    title = "Too many tries"


class TooLarge(DomainError):
    """The input is over a limit that `detail` names."""

    title = "Too large"


class Unavailable(DomainError):
    """Nothing was stored; the same request may be repeated after `retry_after` seconds."""

    title = "Temporarily unavailable"


class Invalid(DomainError):
    """The input was understood as a whole but has faults; all of them are listed."""

    title = "The input has faults"

    def __init__(self, slug: str, detail: str, *, faults: Sequence[Fault] = (), **facts: Any) -> None:
        super().__init__(slug, detail, **facts)
        self.faults = tuple(faults)


class Malformed(DomainError):
    """The input could not be read at all (broken JSON, wrong encoding, wrong header)."""

    title = "The input cannot be read"
