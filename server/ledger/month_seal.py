"""What is a closed month's digest over?"""

import hashlib
import json
from typing import Any


class MonthSeal:
    """The digest over a month's tariff and the facts of its people, in the order of their ids."""

    def __init__(self, kept_tariff: dict[str, Any]) -> None:
        self._digest = hashlib.sha256(_canonical(kept_tariff))
        self.people = 0

    def add(self, kept: dict[str, Any]) -> None:
        """Add the next person's facts."""
        self._digest.update(b"\n" + _canonical(kept))
        self.people += 1

    def digest(self) -> bytes:
        """Return the digest of everything added so far."""
        return self._digest.digest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
