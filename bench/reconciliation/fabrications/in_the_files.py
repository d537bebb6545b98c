"""What gives the files and the phone's own records away? Traces that nobody meant to leave."""

import random
from collections.abc import Sequence
from datetime import timedelta

from bench.reconciliation.fabrications.registry import DEBTOR, fabrication
from bench.reconciliation.script import Photo, Script


def _photo(script: Script, purpose: str) -> Photo:
    return next(one for one in script.photos if one.purpose == purpose)


@fabrication("picture edited", must=["media-edited"], touches=["door file"])
def edited(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _photo(script, "door").software = chance.choice(("Adobe Photoshop 26.1", "Snapseed 2.0", "Meitu 11.2"))


@fabrication("picture of another camera", must=["other-camera"], touches=["door file", "badge"])
def other_camera(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _photo(script, "door").model = chance.choice(("23013RK75C", "M2102J2SC"))


@fabrication("badge photo in the dark", must=["photo-unusable"], touches=["badge"])
def in_the_dark(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _photo(script, "badge").is_dark = True


@fabrication(
    "recording of another day, says the file",
    must=["recording-time-differs"],
    scenes=DEBTOR,
    touches=["talk"],
)
def another_day(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    (sound,) = script.sounds
    sound.container, sound.made_at = "m4a", script.arrives - timedelta(days=chance.uniform(1, 30))


@fabrication("no check-out", must=["step-unrecorded"], touches=["place", "stay"])
def no_check_out(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.has_check_out = False


@fabrication(
    "clock set during the visit",
    must=["clock-changed"],
    may=["photo-time-differs"],
    touches=["clock", "door file"],
)
def clock_set(script: Script, chance: random.Random, _: Sequence[Script]) -> bool:
    if script.is_rebooted:
        return False
    away = 1 if script.skew >= timedelta(0) else -1
    script.clock_set_by = away * timedelta(minutes=chance.uniform(20, 90))
    return True
