"""How does an app write down what a visitor claims?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sync.wire import write_instant


def claims_of(
    *, arrived_at: datetime, left_at: datetime, team: Sequence[UUID], met: str, outcome: str, **others: Any
) -> dict[str, Any]:
    """Build an account's structured claims; what is not said gets the cautious value."""
    return {
        "arrived_at": write_instant(arrived_at),
        "left_at": write_instant(left_at),
        "team_present": [str(member) for member in team],
        "met": met,
        "identity_shown": True,
        "recording_announced": True,
        "debt": "not_discussed",
        "promise": None,
        "letters": [],
        "outcome": outcome,
        **others,
    }
