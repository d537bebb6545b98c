"""How much goes with one request?

Each request costs the phone a round trip and the office as much work as a megabyte, so many small ones waste
both; but a proxy that takes a body whole before it passes it on loses all of it when the connection breaks.
So a request carries what the connection was seen to take in a few seconds, and little after a break; never as
much as somebody on the way found too large, and less of a file that broke again and again: not everybody who
cuts what is too large for them says so. A pull asks for fewer rows where an answer was longer than a phone
takes.
"""

from dataclasses import dataclass
from typing import Final

LEAST_BYTES: Final = 256 * 1024
# Nobody who lets a push through takes less than this.
FEWEST_BYTES: Final = 16 * 1024
MOST_BYTES: Final = 4 * 1024**2
SECONDS: Final = 4
MOST_ROWS: Final = 500


@dataclass(slots=True)
class Pace:
    """What the connection carries; it outlives a session."""

    piece_bytes: int = LEAST_BYTES
    most_bytes: int = MOST_BYTES
    page_rows: int = MOST_ROWS

    def saw(self, sent_bytes: int, *, took_ms: int) -> None:
        """Learn from a piece that arrived. One that was shorter than allowed can only show that more goes."""
        carried = min(max(sent_bytes * 1000 * SECONDS // max(took_ms, 1), LEAST_BYTES), self.most_bytes)
        self.piece_bytes = carried if sent_bytes >= self.piece_bytes else max(carried, self.piece_bytes)

    def after(self, breaks: int) -> int:
        """Return how much goes with one request of a file that broke so often in a row."""
        if not breaks:
            return self.piece_bytes
        return min(self.piece_bytes, max(LEAST_BYTES >> min(breaks, 16), FEWEST_BYTES))

    def broke(self) -> None:
        """Begin small again."""
        self.piece_bytes = min(LEAST_BYTES, self.most_bytes)

    def was_too_large(self, sent_bytes: int) -> None:
        """Send less from now on: a proxy takes no body of this size."""
        self.most_bytes = max(min(self.most_bytes, sent_bytes // 2), FEWEST_BYTES)
        self.piece_bytes = min(self.piece_bytes, self.most_bytes)

    def was_too_long(self) -> bool:
        """Ask for shorter pages from now on: one was longer than a phone takes. False if none is shorter."""
        can_shrink = self.page_rows > 1
        self.page_rows = max(self.page_rows // 2, 1)
        return can_shrink
