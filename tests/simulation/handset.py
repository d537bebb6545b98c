"""A phone in the simulation: a folder, clocks that lie, and what its visitor remembers of the day.

Each use opens the folder and closes it again, so every step is a restart of the app. A folder can be copied:
that makes a clone, or brings an old image back onto the phone.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sync.phone import Clocks, Phone, claims_of
from sync.protocol import uuid7

SKEWS = {
    "ahead": timedelta(days=5 * 365),
    "behind": timedelta(days=-5 * 365),
    "right": timedelta(0),
}


@dataclass(slots=True)
class Handset:
    """One folder with its clocks. `remembered` are the visits it started, with their latest account."""

    folder: Path
    true_time: Callable[[], datetime]
    booted: datetime
    boots: int = 1
    skew: timedelta = timedelta(0)
    image: "Handset | None" = None
    written: dict[UUID, datetime] = field(default_factory=dict)

    @contextmanager
    def switched_on(self) -> Iterator[Phone]:
        """Open the phone for one use."""
        phone = Phone(self.folder, clocks=self._clocks())
        try:
            yield phone
        finally:
            phone.close()

    def _clocks(self) -> Clocks:
        booted = self.booted
        return Clocks(
            wall=lambda: self.true_time() + self.skew,
            monotonic_ms=lambda: (self.true_time() - booted) // timedelta(milliseconds=1),
            boot_id=lambda: f"boot-{self.boots}",
        )

    def turn(self, what: str) -> None:
        """Reboot it, or set its wall clock wrong."""
        if what == "reboot":
            self.boots, self.booted = self.boots + 1, self.true_time()
        else:
            self.skew = SKEWS[what]

    def copy_to(self, folder: Path) -> "Handset":
        """Copy everything on it into another folder: a clone, or an image to come back to."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder, image=None, written=dict(self.written))

    def item_ids(self) -> set[UUID]:
        """Return the ids of all items it holds."""
        with self.switched_on() as phone:
            return {one["id"] for one in phone.outbox.outcomes()}

    # The visitor's memory, in the folder, so that it is copied with it.

    def remembered(self) -> list[dict[str, Any]]:
        path = self.folder / "notes.json"
        return json.loads(path.read_text()) if path.exists() else []

    def remember(self, visits: list[dict[str, Any]]) -> None:
        (self.folder / "notes.json").write_text(json.dumps(visits))

    # What the visitor does.

    def do(self, deed: str, n: int, *, case_id: UUID) -> None:
        """Record one thing."""
        with self.switched_on() as phone:
            before = len(phone.outbox.outcomes())
            getattr(self, f"_{deed}")(phone, n, case_id)
            for one in phone.outbox.outcomes()[before:]:
                self.written[one["id"]] = self.true_time()

    def _start(self, phone: Phone, n: int, case_id: UUID) -> None:
        """Knock: at a door the phone knows, or (nothing held) at one the office does not know."""
        held = phone.today()
        if held:
            visit_id = phone.start_visit(held[n % len(held)], team=[phone.staff_id], position=None)
        else:
            visit_id = uuid7()
            body = {"visit_id": str(visit_id), "assignment_id": str(uuid7()), "team": [str(phone.staff_id)]}
            phone.record("visit.started", body)
        self.remember([*self.remembered(), {"visit": str(visit_id), "account": None}])

    def _visits(self, phone: Phone, n: int, case_id: UUID) -> list[dict[str, Any]]:
        """Return the visits of the day, the first of which begins now if there is none."""
        if not self.remembered():
            self._start(phone, n, case_id)
        return self.remembered()

    def _account(self, phone: Phone, n: int, case_id: UUID) -> None:
        self._write(phone, n, case_id, amends=False)

    def _amend(self, phone: Phone, n: int, case_id: UUID) -> None:
        self._write(phone, n, case_id, amends=True)

    def _write(self, phone: Phone, n: int, case_id: UUID, *, amends: bool) -> None:
        visits = self._visits(phone, n, case_id)
        visit, now = visits[n % len(visits)], self.true_time()
        parent = UUID(visit["account"]) if amends and visit["account"] else None
        claims = claims_of(
            arrived_at=now, left_at=now, team=[phone.staff_id], met="nobody", outcome="not_home"
        )
        visit["account"] = str(
            phone.write_account(
                UUID(visit["visit"]), claims=claims, narrative="无人应答，未留言。", amends=parent
            )
        )
        self.remember(visits)

    def _end(self, phone: Phone, n: int, case_id: UUID) -> None:
        visits = self._visits(phone, n, case_id)
        phone.end_visit(UUID(visits[n % len(visits)]["visit"]), position=None)

    def _evidence(self, phone: Phone, n: int, case_id: UUID) -> None:
        visits = self._visits(phone, n, case_id)
        content = f"page {n} of {len(visits)} by {phone.device_id} {self.true_time()}".encode() * 9
        visit_id = UUID(visits[n % len(visits)]["visit"])
        phone.capture(content, visit_id=visit_id, kind="scan", purpose="other", mime="image/jpeg")

    def _answer(self, phone: Phone, n: int, case_id: UUID) -> None:
        if held := phone.today():
            type_ = "assignment.declined" if n % 4 == 3 else "assignment.acknowledged"
            body = {"assignment_id": str(held[n % len(held)].id), "reason": "busy"}
            phone.record(type_, body)

    def _report(self, phone: Phone, n: int, case_id: UUID) -> None:
        phone.record(("gap.explained", "equipment.taken", "of.the.future")[n % 3], {"what": n})

    def _complaint(self, phone: Phone, n: int, case_id: UUID) -> None:
        phone.record("complaint.raised", {"case_id": str(case_id), "text": "要求停止上门。"})

    def _hold(self, phone: Phone, n: int, case_id: UUID) -> None:
        body = {"case_id": str(case_id), "reason": ("stop_requested", "other")[n % 2], "text": "x"}
        phone.record("hold.requested", body)
