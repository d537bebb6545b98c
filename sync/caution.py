"""How carefully are items pushed after a batch of them broke on its way?

A broken connection, or an answer that is not the office's, says nothing of the items, until it happens to the
same ones while the office can be reached: somebody on the way then cuts what is too large for them, or blocks
words they do not like, and as every session begins with the oldest items, all others wait behind those. So a
phone remembers that a batch broke. Its next session asks the office something small first, offers half, and
halves on after each break, for as long as the office still answers in between; an item that broke alone
stands aside. It is offered again, alone and last, once a session, and never dropped.

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

    Of the oldest `suspects` items, those of the last batch that broke, one may be bad; items with a number in
    `aside` are bad. `size` is how many to offer next.
    """

    outbox: Outbox
    suspects: int
    aside: list[int]
    is_warned: bool
    size: int = BATCH
    patience: int = BATCH
    may_set_aside: bool = True
    set_aside: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, outbox: Outbox) -> "Caution":
        """Return what the phone remembers."""
        kept: dict[str, Any] = outbox.fact(CAUTION) or {}
        caution = cls(outbox, 0, list(kept.get("aside", [])), is_warned=bool(kept))
        caution._suspect(kept.get("suspects", 0))
        return caution

    def _suspect(self, items: int) -> None:
        """Go on with half of so many suspects."""
        self.suspects = items
        if items:
            self.size = max(items // 2, 1)

    def went(self, batch: Sequence[PushedItem]) -> None:
        """Look among the rest, or offer more again. What breaks now breaks where others go."""
        self.size = min(self.size * 2, BATCH)
        self._suspect(max(self.suspects - len(batch), 0))
        self.patience = min(self.patience + len(batch), BATCH)
        self.may_set_aside = True

    def broke(self, batch: Sequence[PushedItem], fault: SyncFault) -> bool:
        """Remember that a batch broke; say whether the session may go on if the office still answers."""
        if not fault.may_be_content:
            return False
        self.patience -= len(batch)
        may_go_on = self.is_warned and self.patience > 0
        self._suspect(len(batch))
        if len(batch) == 1 and self.is_warned:
            may_go_on &= self._set_aside(batch[0].seq)
        self._note(suspects=self.suspects, aside=self.aside)
        return may_go_on

    def _set_aside(self, seq: int) -> bool:
        """Let an item stand aside. Two in a row may not: then it is the way that is closed, not they."""
        may_set_aside, self.may_set_aside = self.may_set_aside and len(self.aside) < MOST_ASIDE, False
        if may_set_aside:
            self.suspects = 0
            self.aside.append(seq)
            self.set_aside.append(seq)
        return may_set_aside

    def due(self) -> list[int]:
        """Return who stood aside before this session: they are tried, until one breaks again."""
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
        self._note(**({"aside": self.aside} if self.aside else {}))

    def _note(self, **kept: Any) -> None:
        if kept != (self.outbox.fact(CAUTION) or {}):
            self.outbox.remember(**{CAUTION: kept or None})
