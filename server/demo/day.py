"""What do the three phones live through, from the morning's sync to the evening's?

Each phone is a real `sync.phone.Phone` with its own folder; only its clocks are turned by hand, so that a
day passes in seconds. Photos are real JPEGs with EXIF, recordings real audio. What was recorded stays in
the phone's outbox: a second run of the story records nothing again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from server.demo.agency import DAY, Entrusted, at
from server.demo.network import BreakingNetwork
from server.demo.scenes import make_photo, make_recording
from sync.client import Report, SyncFault
from sync.phone import Clocks, Held, Phone, claims_of

STAY: Final = timedelta(minutes=3)
TRIES: Final = 60
BOOTED: Final = at(DAY, 6)


@dataclass(slots=True)
class Watch:
    """A phone's clocks; `now` is turned by the story."""

    now: datetime

    def clocks(self) -> Clocks:
        return Clocks(
            wall=lambda: self.now.astimezone(UTC),
            monotonic_ms=lambda: (self.now - BOOTED) // timedelta(milliseconds=1),
            boot_id=lambda: "boot-of-the-day",
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """One visit as the visitor will do and tell it. `photo_of` names whose door the photo really shows."""

    case: str
    arrives: datetime
    met: str = "debtor"
    outcome: str = "refused"
    narrative: str = "按约到达，向债务人出示证件并说明来意，债务人确认欠款，表示将与银行联系。"
    recorded: timedelta = STAY
    claimed_stay: timedelta = STAY
    drift_m: float = 12.0
    is_faked: bool = False
    photo_of: str | None = None
    has_letter: bool = False
    amendment: str = ""


@dataclass(slots=True)
class Handset:
    """One lead visitor's phone and team."""

    phone: Phone
    watch: Watch
    team: list[UUID]
    visits: dict[str, UUID] = field(default_factory=dict)
    sessions: int = 0


def open_handset(folder: Path, *, team: list[UUID]) -> Handset:
    """Open a phone's folder, new or as an earlier run left it."""
    watch = Watch(now=at(DAY, 8, 30))
    handset = Handset(phone=Phone(folder, clocks=watch.clocks()), watch=watch, team=team)
    recorded = handset.phone.outbox.fact("visits") or {}
    handset.visits = {case: UUID(visit_id) for case, visit_id in recorded.items()}
    return handset


def offset(case: Entrusted, *, metres: float) -> dict[str, Any]:
    """Return a position some metres north of a case's address."""
    return {"lat": case.lat + metres / 111_320, "lon": case.lon, "accuracy_m": 18.0, "mock": False}


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo or recording, made before its visit is played: making takes seconds, the items do not."""

    kind: str
    purpose: str
    mime: str
    content: bytes
    begins: datetime
    ends: datetime


def work(handset: Handset, plan: Plan, case: Entrusted, *, held: Held, door: Entrusted) -> UUID:
    """Make one visit offline and write its account; nothing happens if this phone already has."""
    if plan.case in handset.visits:
        return handset.visits[plan.case]
    position = offset(case, metres=2500 if plan.is_faked else plan.drift_m)
    if plan.is_faked:
        position["mock"] = True
    shots = _shoot(plan, door, position)
    visit_id = _arrive(handset, plan, held, position)
    for shot in shots:
        _capture(handset, shot, visit_id, position)
    handset.watch.now = plan.arrives + STAY
    handset.phone.end_visit(visit_id, position=position)
    _tell(handset, plan, visit_id)
    handset.visits[plan.case] = visit_id
    handset.phone.outbox.remember(visits={name: str(one) for name, one in handset.visits.items()})
    return visit_id


def _arrive(handset: Handset, plan: Plan, held: Held, position: Mapping[str, Any]) -> UUID:
    handset.watch.now = plan.arrives
    checklist = dict.fromkeys(held.permit["checklist"], True)
    return handset.phone.start_visit(held, team=handset.team, position=dict(position), checklist=checklist)


def _shoot(plan: Plan, door: Entrusted, position: Mapping[str, Any]) -> list[Shot]:
    """Take the badge photo, the door photo, a letter's photo if there is one, and the recording."""
    seed = sum(door.name.encode())
    wanted = [("badge", 0, 1000 + seed + plan.arrives.hour), ("door", 1, seed)]
    if plan.has_letter:
        wanted.append(("delivery", 2, 5000 + seed))
    shots = []
    for purpose, minute, picture in wanted:
        moment = plan.arrives + timedelta(minutes=minute, seconds=10)
        photo = make_photo(
            seed=picture,
            taken_at=moment,
            position=(position["lat"], position["lon"]),
            accuracy_m=18,
            quality=70 if plan.photo_of else 85,
        )
        shots.append(Shot("photo", purpose, "image/jpeg", photo, moment, moment))
    sound = make_recording(seconds=plan.recorded.total_seconds(), speech=plan.met != "nobody", seed=seed)
    ends = plan.arrives + plan.recorded
    return [*shots, Shot("audio", "recording", "audio/webm", sound, plan.arrives, ends)]


def _capture(handset: Handset, shot: Shot, visit_id: UUID, position: Mapping[str, Any]) -> None:
    """Promise one file, with the clock readings of its beginning and end."""
    handset.watch.now = shot.begins
    begin = handset.phone.read_clock()
    handset.watch.now = shot.ends
    handset.phone.capture(
        shot.content,
        visit_id=visit_id,
        kind=shot.kind,
        purpose=shot.purpose,
        mime=shot.mime,
        captured=(begin, handset.phone.read_clock()),
        position=dict(position) if shot.kind == "photo" else None,
    )


def _tell(handset: Handset, plan: Plan, visit_id: UUID) -> None:
    """Write the account in the car, and amend it later if the plan says so."""
    handset.watch.now = plan.arrives + STAY + timedelta(minutes=10)
    letter = {"template": "reminder-1", "delivery": "handed_to_debtor", "recipient": "debtor"}
    claims = claims_of(
        arrived_at=plan.arrives,
        left_at=plan.arrives + plan.claimed_stay,
        team=handset.team,
        met=plan.met,
        outcome=plan.outcome,
        debt="confirmed",
        letters=[letter] if plan.has_letter else [],
    )
    first = handset.phone.write_account(visit_id, claims=claims, narrative=plan.narrative)
    if plan.amendment:
        handset.watch.now += timedelta(minutes=30)
        promise = {"amount_fen": 50_000, "due_on": (DAY + timedelta(days=7)).isoformat()}
        amended = {**claims, "outcome": "promise", "promise": promise}
        handset.phone.write_account(visit_id, claims=amended, narrative=plan.amendment, amends=first)


def sync_until_done(
    handset: Handset, base_url: str, network: BreakingNetwork, *, say: Callable[[str], None]
) -> Report:
    """Sync again and again, as a phone does, until everything has arrived."""
    total = Report()
    for _ in range(TRIES):
        handset.sessions += 1
        with httpx.Client(transport=network, base_url=base_url, timeout=30) as http:
            client = handset.phone.connect(http)
            try:
                client.push(total)
                client.pull(total)
                client.send_media(total)
            except SyncFault as fault:
                if not fault.is_transient:
                    raise
                say(f"    … {fault}")
                continue
        if handset.phone.outbox.count_waiting() == (0, 0):
            return total
    raise SyncFault("the day's sync did not come to an end", is_transient=False)
