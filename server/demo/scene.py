"""What do all chapters share: the plan of the day, the desks, the phones, and a clock that can be turned?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from server.demo.agency import CASES, DAY, LIN, QIAN, ZHAO, at
from server.demo.day import Handset, Plan
from server.demo.office import Desk, Office
from server.demo.telling import Teller
from sync.phone import Held

MORNING: Final = at(DAY, 8, 30)
NOON: Final = at(DAY, 11, 45)
EVENING: Final = at(DAY, 18, 40)
UPLOAD_CUTS: Final = 5
BY_NAME: Final = {case.name: case for case in CASES}

PLANS: Final[Mapping[str, tuple[Plan, ...]]] = {
    LIN.number: (
        Plan("honest", at(DAY, 10), has_letter=True),
        Plan(
            "hardship",
            at(DAY, 14),
            narrative="债务人患病在家，已温和说明情况，未作催促。",
            amendment="补充：债务人离开前表示下周还款五百元。",
        ),
    ),
    ZHAO.number: (
        Plan("held", at(DAY, 13, 30)),
        Plan("reused", at(DAY, 15, 30), photo_of="held"),
    ),
    QIAN.number: (
        Plan("cut", at(DAY, 9, 40)),
        Plan("short", at(DAY, 11), recorded=timedelta(seconds=20)),
        Plan(
            "faked",
            at(DAY, 16),
            is_faked=True,
            narrative="债务人态度恶劣，骂他老赖后离开，并收取现金五百元。",
        ),
    ),
}
# What the auditor must find: every finding above a note, and the notes that matter.
EXPECTED: Final[Mapping[str, set[str]]] = {
    "honest": set(),
    "hardship": {"amendment-reverses"},
    "held": {"visited-under-hold"},
    "reused": {"same-picture", "same-recording"},
    "cut": set(),
    "short": {"recording-too-short"},
    "faked": {
        "check-in-elsewhere",
        "mock-location",
        "photo-elsewhere",
        "wording-insult",
        "wording-cash",
    },
}


@dataclass(slots=True)
class Scene:
    """The running product and everybody on stage. Desks are filled when the office opens."""

    base_url: str
    http: httpx.Client
    teller: Teller
    folder: Path
    office: Office
    is_over: bool
    desks: dict[str, Desk] = field(default_factory=dict)
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    handsets: dict[str, Handset] = field(default_factory=dict)

    @property
    def dispatcher(self) -> Desk:
        return self.desks["dispatcher"]

    @property
    def supervisor(self) -> Desk:
        return self.desks["supervisor"]

    @property
    def auditor(self) -> Desk:
        return self.desks["auditor"]

    def clock(self, moment: datetime) -> None:
        """Turn the server's clock forward; on a later run the day is over already."""
        if not self.is_over:
            turn_clock(self.folder, moment, now=datetime.now(UTC))

    def server_now(self) -> datetime:
        """Return what the server's clock shows: honest phones show the same."""
        return datetime.now(UTC) + timedelta(seconds=float((self.folder / "clock").read_text()))

    def held(self, number: str, case: str) -> Held:
        """Return the permit a team's phone holds for a case."""
        on_phone = self.handsets[number].phone.today()
        return next(one for one in on_phone if one.body["case"]["reference"] == f"case-{case}")

    def visit_ids(self) -> dict[str, UUID]:
        """Return the day's visits by case."""
        return {case: one for handset in self.handsets.values() for case, one in handset.visits.items()}


def turn_clock(folder: Path, moment: datetime, *, now: datetime) -> None:
    """Make it `moment` on the server; the file appears whole."""
    draft = folder / "clock.draft"
    draft.write_text(str((moment - now).total_seconds()))
    draft.replace(folder / "clock")
