"""How is a script played? By a real phone: signed items, pushes, uploads; then what came is inspected.

Phones act in the order of their days, and the office's clock goes with them. Files are examined in
processes of their own; the words an engine would hear are handed over as an engine's, with its slips.
"""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from bench.reconciliation.honest import narrative
from bench.reconciliation.media import File, examine_bytes, recorded
from bench.reconciliation.script import Fate, Script
from bench.reconciliation.stage import Crew, Stage
from server.database import db
from server.media.inspection import Inspection
from server.media.transcriber import Transcription, Words
from server.models.evidence import Evidence
from server.storage import current_store
from server.workflows.inspection.inspecting import keep_inspection
from server.workflows.inspection.transcribing import keep_transcript
from sync.client import Report
from sync.phone import Phone, claims_of
from sync.protocol import Clock as ClockReading
from sync.protocol import uuid7
from sync.wire import write_clock
from tests.phones import office

LINGER: Final = 1.05  # how much longer than the recording a visit takes
BEFORE: Final = timedelta(minutes=5)


@dataclass(slots=True)
class Play:
    """What goes on: which files are being looked at, and what phones will do later."""

    stage: Stage
    examiners: Executor
    scratch: str
    heard: dict[UUID, tuple[Words, ...]] = field(default_factory=dict)
    unseen: set[UUID] = field(default_factory=set)
    looking: dict[UUID, tuple[str, Future[Inspection]]] = field(default_factory=dict)
    later: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)

    def visit(self, script: Script, photos: list[File], recordings: list[File]) -> None:
        """Play one visit, and what other phones were to do before it."""
        self.catch_up(script.arrives - BEFORE)
        crew = self.stage.crews[script.crew]
        self.stage.clock.turn(script.arrives - BEFORE)
        before = _read_before(crew, script)
        self._greet_the_morning(crew, script)
        _Visit(self, crew, script, before).play(photos, recordings)
        self.keep_up(most_waiting=40)

    def _greet_the_morning(self, crew: Crew, script: Script) -> None:
        """Pull before the visit, as a phone does when it has a network; a restarted one has none since.

        Phones are off at night: another day's wrong clock is that of another boot.
        """
        if crew.at.date() != self.stage.clock.at.date():
            crew.watch.boot = f"boot-{script.day}"
        crew.at, crew.watch.skew = self.stage.clock.at, script.skew
        if not (script.is_rebooted or script.hold == "unknown"):
            with office(self.stage.app) as http:
                crew.phone.connect(http).pull(Report())
        if script.is_rebooted:
            crew.watch.boot = f"boot-{script.number}"

    def afterwards(self, at: datetime, deed: Callable[[], None]) -> None:
        """Have something done when its time comes."""
        self.later.append((at, len(self.later), deed))
        self.later.sort(key=lambda one: one[:2])

    def catch_up(self, until: datetime) -> None:
        """Do what is due by then, in the order of time."""
        while self.later and self.later[0][0] <= until:
            at, _, deed = self.later.pop(0)
            self.stage.clock.turn(at)
            deed()

    def keep_up(self, *, most_waiting: int = 0) -> None:
        """Have new files examined and keep what was found, as the worker does."""
        self._look()
        for name in list(self.looking):
            key, future = self.looking[name]
            if len(self.looking) > most_waiting or future.done():
                del self.looking[name]
                self._keep(name, key, future.result())

    def _look(self) -> None:
        arrived = sa.select(Evidence).where(Evidence.id.in_(self.unseen), Evidence.storage_key.is_not(None))
        store = current_store()
        for evidence in db.session.scalars(arrived).all():
            content = b"".join(store.read(str(evidence.storage_key)))
            future = self.examiners.submit(examine_bytes, content, evidence.mime or "", self.scratch)
            self.looking[evidence.id] = (str(evidence.storage_key), future)
            self.unseen.remove(evidence.id)
        db.session.rollback()

    def _keep(self, name: UUID, key: str, found: Inspection) -> None:
        now = self.stage.clock.at
        keep_inspection(name, found, key=key, now=now)
        if found.sound is None:
            return
        # An engine is only asked where somebody speaks, and hears only there.
        words = [one for one in self.heard.get(name, ()) if _speaks(one, found.sound.speech)]
        heard = Transcription(tuple(words), "zh")
        keep_transcript(name, heard, key=key, engine="bench", failed=None, now=now)


def _read_before(crew: Crew, script: Script) -> dict[datetime, ClockReading]:
    """Read the clock for what was captured before the phone last heard from the office."""
    readings: dict[datetime, ClockReading] = {}
    crew.watch.skew = script.skew
    for photo in script.photos:
        if photo.at < script.arrives - BEFORE:
            crew.at = photo.at
            readings[photo.at] = crew.phone.read_clock()
    return readings


def _speaks(words: Words, speech: list[tuple[float, float]]) -> bool:
    return any(start < words.end and words.start < until for start, until in speech)


@dataclass(slots=True)
class _Visit:
    """One visit on its phone."""

    play_: Play
    crew: Crew
    script: Script
    before: dict[datetime, ClockReading]
    visit_id: UUID = field(default_factory=uuid7)
    leaves: datetime = datetime.min

    def play(self, photos: list[File], recordings: list[File]) -> None:
        script, crew = self.script, self.crew
        self.play_.stage.visits[script.number] = self.visit_id
        self.leaves = script.arrives + (script.stays or recorded(recordings) * LINGER)
        crew.at = script.arrives
        self._check_in()
        crew.watch.skew += script.clock_set_by
        for one, file in zip(script.photos, photos, strict=True):
            self._capture(file, begins=one.at, ends=one.at, fate=one.fate, position=script.check_in)
        taken = [one for one in script.sounds for _ in range(1 if one.call_after is None else 2)]
        for sound, file in zip(taken, recordings, strict=True):
            begins = sound.at + timedelta(seconds=file.after_seconds)
            ends = begins + timedelta(seconds=file.seconds)
            self._capture(file, begins=begins, ends=ends, fate=sound.fate, position=None)
        crew.at = max(crew.at, self.leaves)
        if script.has_check_out:
            crew.phone.end_visit(self.visit_id, position=_position(script.check_out))
        send = self._send_all if not script.sends_after else self._push
        if not script.has_account:
            self._at(self.leaves + timedelta(minutes=10), send)
        elif script.tells_after <= timedelta(minutes=30):
            self._at(self.leaves + script.tells_after, lambda: (self._account(), send()))
        else:
            self._at(self.leaves + timedelta(minutes=5), send)
            self._at(self.leaves + script.tells_after, lambda: (self._account(), self._push()))
        if script.sends_after:
            self._at(self.leaves + script.sends_after, self._send_all)

    def _at(self, moment: datetime, deed: Callable[[], Any]) -> None:
        """Do something when its time has come: other phones may act before."""

        def do() -> None:
            self.crew.at = moment
            deed()

        self.play_.afterwards(moment, do)

    def _check_in(self) -> None:
        script = self.script
        self.crew.phone.record(
            "visit.started",
            {
                "visit_id": str(self.visit_id),
                "assignment_id": str(self.play_.stage.assignments[script.number]),
                "permit_id": None,
                "position": _position(script.check_in),
                "team": [str(one) for one in self.crew.ids(script.present)],
                "checklist": {},
            },
        )

    def _capture(self, file: File, *, begins: datetime, ends: datetime, fate: Fate, position: Any) -> None:
        crew, phone = self.crew, self.crew.phone
        crew.at = begins
        begin = self.before.get(begins) or phone.read_clock()
        crew.at = ends
        end = self.before.get(ends) or phone.read_clock()
        told = _position(position) if file.kind == "photo" else None
        if fate == "never_sent":
            self._promise_only(file, write_clock(begin), write_clock(end))
            return
        content = file.content[: len(file.content) // 3] if fate == "cut" else file.content
        evidence_id = phone.capture(
            content, visit_id=self.visit_id, kind=file.kind, purpose=file.purpose, mime=file.mime,
            captured=(begin, end), position=told,
        )  # fmt: skip
        if fate == "swapped":
            (phone.media / str(evidence_id)).write_bytes(os.urandom(len(content)))
        self.play_.heard[evidence_id] = file.heard
        self.play_.unseen.add(evidence_id)

    def _promise_only(self, file: File, begin: Any, end: Any) -> None:
        self.crew.phone.record(
            "visit.evidence",
            {
                "visit_id": str(self.visit_id), "evidence_id": str(uuid7()), "kind": file.kind,
                "purpose": file.purpose, "sha256": os.urandom(32).hex(), "size_bytes": len(file.content),
                "mime": file.mime, "captured": {"from": begin, "until": end}, "position": None,
            },
        )  # fmt: skip

    def _account(self) -> None:
        script, phone = self.script, self.crew.phone
        arrived = script.arrives + timedelta(minutes=script.shifts[0])
        left = max(arrived, self.leaves + timedelta(minutes=script.shifts[1]))
        claims = claims_of(
            arrived_at=arrived, left_at=left, team=self.crew.ids(script.claimed_team),
            **script.boxes,
        )  # fmt: skip
        words = narrative(script, arrived=arrived, left=left)
        clone = self._clone() if script.is_cloned else None
        last = phone.write_account(self.visit_id, claims=claims, narrative=words)
        for amendment in script.amendments:
            claims = {**claims, **amendment.changes}
            told = words + amendment.narrative
            last = phone.write_account(self.visit_id, claims=claims, narrative=told, amends=last)
        if clone is not None:
            clone.write_account(self.visit_id, claims=claims, narrative=words)
            self._push()
            with office(self.play_.stage.app) as http:
                clone.connect(http).push(Report())
            clone.close()

    def _clone(self) -> Phone:
        """Copy the phone, key and all."""
        folder = self.play_.stage.folder / f"clone-{self.script.number}"
        shutil.copytree(self.crew.phone.folder, folder)
        return Phone(folder, clocks=self.crew.watch.clocks())

    def _push(self) -> None:
        with office(self.play_.stage.app) as http:
            self.crew.phone.connect(http).push(Report())

    def _send_all(self) -> None:
        with office(self.play_.stage.app) as http:
            client = self.crew.phone.connect(http)
            client.push(Report())
            client.send_media(Report())


def _position(point: Any) -> dict[str, Any] | None:
    if point is None:
        return None
    return {"lat": point.lat, "lon": point.lon, "accuracy_m": point.accuracy_m, "mock": point.mock}
