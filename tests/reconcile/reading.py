"""One account, read as of one day."""

from datetime import date
from typing import Final

from server.reconcile.narrative import Kind, read_narrative

TUESDAY: Final = date(2026, 11, 24)


def told(text: str, kind: Kind, *, day: date = TUESDAY) -> list[str]:
    """The values of one kind, in the order of the text."""
    return [claim.value for claim in read_narrative(text, day) if claim.kind == kind]
