"""What does a session tell the app while it runs?

Each event is a frozen dataclass; `Event` is all of them. A listener is called in the session's own thread,
after what it is told of has become durable. New kinds may come with any release: ignore what you do not know.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sync.record import RecordDoubt
from sync.witness import Doubt


@dataclass(frozen=True, slots=True)
class ItemsReceipted:
    """So many items have their receipt since the session began; so many are still waiting."""

    receipted: int
    waiting: int


@dataclass(frozen=True, slots=True)
class PageApplied:
    """A page of the feed was applied; `pulled` counts the changes since the session began."""

    pulled: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class FeedReset:
    """The phone starts its feed over and offers again what it still holds.

    `stale`: the office cannot continue from where the phone is. `differs`: the digests disagreed.
    """

    why: Literal["stale", "differs"]


@dataclass(frozen=True, slots=True)
class FileMoved:
    """So many bytes of a file are at the office."""

    evidence_id: UUID
    arrived: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FileArrived:
    """A file is at the office, whole and with the promised digest. `files` counts this session's."""

    evidence_id: UUID
    files: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """An item or file cannot go without a person's help; the others go on."""

    what: Literal["item", "file"]
    id: UUID
    why: str


@dataclass(frozen=True, slots=True)
class NoRoom:
    """What came has no place on the phone; the session does what needs none, and ends with PhoneFull."""

    why: str


@dataclass(frozen=True, slots=True)
class RescueWritten:
    """So many bytes of a rescue bundle are written."""

    volume: int
    volumes: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Paused:
    """A loop waits until its next session. `reason` is None when the last one ended well."""

    seconds: float
    failures: int
    reason: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class LogDoubted:
    """The office's log did not grow out of what this phone saw of it; the phone recorded both heads."""

    doubt: Doubt


@dataclass(frozen=True, slots=True)
class RecordDiffers:
    """The office still holds another record of this phone, after it was offered all that is here.

    A backup lost what this phone no longer has, or the phone was copied or put back: the office must look.
    The phone recorded both digests, once for each difference.
    """

    doubt: RecordDoubt


Event = (
    ItemsReceipted
    | PageApplied
    | FeedReset
    | FileMoved
    | FileArrived
    | Stuck
    | NoRoom
    | RescueWritten
    | Paused
    | LogDoubted
    | RecordDiffers
)
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""
