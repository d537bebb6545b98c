"""How carefully are items pushed after a batch of them broke on its way?

A broken connection, or an answer that is not the office's, says nothing of the items, until it happens to the
same ones while the office can be reached: somebody on the way then cuts what is too large for them, or blocks
words they do not like, and as every session begins with the oldest items, all others wait behind those. So a
phone remembers that a batch broke. Its next session asks the office something small first, offers half, and
halves on after each break, for as long as the office still answers in between; an item that broke alone twice
stands aside. It is offered again, alone and last, once a session, and never dropped.

Whoever asks to wait is believed once. When that was done, the office answers the small question, and the same
is asked again, it counts as a break; the session ends all the same, so that each wait is kept.

A session loses one whole batch to breaks, as every session did that broke, and besides it no more items than
went: where nothing goes, breaks cost a battery no more than before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sync.connection import SyncFault
from sync.outbox import Outbox
from sync.protocol import PushedItem

BATCH: Final = 25
MOST_ASIDE: Final = 100
CAUTION: Final = "push_caution"
"""Under this name a phone keeps what breaks taught it: among how many items one is bad, which stand aside."""


@dataclass(slots=True)
class Caution:
    """What one push knows of breaks. `is_warned`: an earlier session broke.

    Of the oldest `suspects` items, those of the last batch that broke, one may be bad; the one with the
    number `alone` was such a batch by itself; those in `aside` are bad. `has_waited`: as somebody asked.
    `size` is how many to offer next,
    `patience` how many may still break; the way `is_open` unless none went since one was set aside.
    """

    outbox: Outbox
    suspects: int
    alone: int | None
    aside: list[int]
    has_waited: bool
    is_warned: bool
    size: int = BATCH
    patience: int = BATCH
    is_open: bool = True
    set_aside: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, outbox: Outbox) -> "Caution":
        """Return what the phone remembers."""
        kept: dict[str, Any] = outbox.fact(CAUTION) or {}
        caution = cls(
            outbox,
            suspects=0,
            alone=kept.get("alone"),
            aside=list(kept.get("aside", [])),
            has_waited=kept.get("has_waited", False),
            is_warned=bool(kept),
        )
        caution._suspect(kept.get("suspects", 0))
        return caution

    def _suspect(self, items: int) -> None:
        """Go on with half of so many suspects."""
        self.suspects = items
        if items:
            self.size = max(items // 2, 1)

    def went(self, batch: Sequence[PushedItem]) -> None:
        """Look among the rest, or offer more again."""
        self.size = min(self.size * 2, BATCH)
        self._suspect(max(self.suspects - len(batch), 0))
        self.patience = min(self.patience + len(batch), BATCH)
        self.is_open = True

    def broke(self, batch: Sequence[PushedItem], fault: SyncFault) -> bool:
        """Remember that a batch broke; say whether the session may go on if the office still answers."""
        if not fault.may_be_content:
            return False
        asks_to_wait = fault.retry_after is not None
        if asks_to_wait and not self.has_waited:
            self.has_waited = True
            self._note()
            return False
        self.patience -= len(batch)
        may_go_on = self.is_warned and self.is_open and self.patience > 0 and not asks_to_wait
        self._suspect(len(batch))
        was_alone, self.alone = self.alone, batch[0].seq if len(batch) == 1 else None
        if self.alone is not None and self.alone == was_alone:
            self._set_aside(self.alone)
        self._note()
        return may_go_on

    def _set_aside(self, seq: int) -> None:
        self.is_open = False
        if len(self.aside) < MOST_ASIDE:
            self.suspects, self.alone = 0, None
            self.aside.append(seq)
            self.set_aside.append(seq)

    def due(self) -> list[int]:
        """Return those who stood aside before this session: they are tried, until one breaks again."""
        return [seq for seq in self.aside if seq not in self.set_aside]

    def left(self, seq: int) -> None:
        """Forget an item that has its receipt."""
        self.aside.remove(seq)

    def broke_again(self, seq: int) -> None:
        """Let another one be the first to be tried next time."""
        self.aside.remove(seq)
        self.aside.append(seq)

    def end(self) -> None:
        """Forget what is over: all that could go went."""
        self.suspects, self.alone, self.has_waited = 0, None, False
        self._note()

    def _note(self) -> None:
        known = {
            "suspects": self.suspects,
            "alone": self.alone,
            "aside": self.aside,
            "has_waited": self.has_waited,
        }
        kept = {name: value for name, value in known.items() if value}
        if kept != (self.outbox.fact(CAUTION) or {}):
            self.outbox.remember(**{CAUTION: kept or None})
