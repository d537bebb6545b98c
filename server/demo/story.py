"""A day at the sample agency, from assignment to audited visit, on real parts.

A dispatcher is refused and then granted visits; three phones work offline with real photos and recordings
and sync over a network that keeps breaking; an auditor is shown which accounts do not fit. Every sentence
with a mark is checked; a second run goes on with the same data and doubles nothing.
"""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import httpx

from server.demo.chapters import audit, dispatching, field, opening
from server.demo.office import Office
from server.demo.scene import EVENING, MORNING, Scene, turn_clock
from server.demo.telling import Teller
from server.readiness import var_folder

CHAPTERS = (
    opening.the_office_opens,
    opening.phones_enrol,
    dispatching.gates_refuse,
    dispatching.visits_are_granted,
    field.three_phones_work_offline,
    field.phones_come_back,
    audit.evidence_settles,
    audit.an_auditor_looks,
)


def demo_folder(environ: Mapping[str, str]) -> Path:
    """Return where the story keeps what it must remember: the clock, passwords, the phones."""
    return var_folder(environ).absolute() / "demo"


def environment(now: datetime) -> Mapping[str, str]:
    """Return the settings the story needs: a clock that it can turn."""
    folder = demo_folder(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    turn_clock(folder, EVENING if (folder / "day-is-over").exists() else MORNING, now=now)
    return {"CLOCK_SHIFT_FILE": str(folder / "clock")}


def run(base_url: str, *, environ: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Tell the story on the running product; 0 when every step came out as told."""
    teller = Teller(say)
    folder = demo_folder(environ)
    with httpx.Client(base_url=base_url, timeout=60) as http:
        scene = Scene(
            base_url=base_url,
            http=http,
            teller=teller,
            folder=folder,
            office=Office(http, folder=folder, environ=environ),
            is_over=(folder / "day-is-over").exists(),
        )
        for chapter in CHAPTERS:
            chapter(scene)
    if teller.failures:
        say(f"\n{len(teller.failures)} of {teller.steps} steps did not come out as told:")
        for sentence in teller.failures:
            say(f"  ✗ {sentence}")
        return 1
    (folder / "day-is-over").touch()
    say(f"\nAll {teller.steps} steps came out as told. API documentation: {base_url}/api/v1/docs/")
    return 0
