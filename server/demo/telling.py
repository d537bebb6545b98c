"""How is the story told, and how do we know that it came out as told?"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Say = Callable[[str], None]


@dataclass(slots=True)
class Teller:
    """Prints the story and remembers every step that did not come out."""

    say: Say
    failures: list[str] = field(default_factory=list)
    steps: int = 0

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self.say(f"\n— {title}")

    def tell(self, sentence: str) -> None:
        """Say something that needs no proof."""
        self.say(f"    {sentence}")

    def check(self, holds: bool, sentence: str, *, found: object = None) -> None:
        """Say something that must be so; what was found is shown when it is not."""
        self.steps += 1
        if holds:
            self.say(f"  ✓ {sentence}")
            return
        self.failures.append(sentence)
        self.say(f"  ✗ {sentence}   [found: {found!r}]")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; Chinese characters are two columns wide."""
        widths = [max(_width(row[n]) for row in [head, *rows]) for n in range(len(head))]
        for n, row in enumerate([head, *rows]):
            cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
            self.say("  " + "  ".join(cells).rstrip())
            if n == 0:
                self.say("  " + "  ".join("─" * width for width in widths))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
