"""What is made up of time, place, people and files? Lies that a phone's records give away."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bench.reconciliation.fabrications.registry import DEBTOR, fabrication
from bench.reconciliation.script import LEAD, LONG_TALK, MATE, STRANGER, Photo, Point, Script


def _photo(script: Script, purpose: str) -> Photo:
    return next(one for one in script.photos if one.purpose == purpose)


@fabrication("file never sent", must=["evidence-missing"], touches=["door file"])
def never_sent(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _photo(script, "door").fate = "never_sent"


@fabrication(
    "other bytes than promised", must=["digest-mismatch"], may=["evidence-missing"], touches=["door file"]
)
def swapped(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _photo(script, "door").fate = "swapped"


@fabrication("cut file", must=["evidence-unreadable"], touches=["door file"])
def cut_file(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _photo(script, "door").fate = "cut"


@fabrication(
    "no account",
    must=["account-missing"],
    touches=["account", "story", "stay", "talk", "team", "letters", "mood", "badge", "greeting", "address"],
)
def no_account(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.has_account = False
    script.boxes.pop("letters", None)


@fabrication("account days later", must=["account-late"], touches=["account"])
def account_late(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.tells_after = timedelta(days=chance.uniform(5, 6))


@fabrication("no badge photo", must=["evidence-not-taken"], touches=["badge"])
def no_badge(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.photos = [one for one in script.photos if one.purpose != "badge"]


@fabrication("no recording", must=["evidence-not-taken"], touches=["talk", "stay"])
def no_recording(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.sounds = []


@fabrication("cloned phone", must=["chain-fork"], may=["account-missing"], touches=["account"])
def cloned(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.is_cloned = True


@fabrication("photo of another hour", must=["captured-outside-visit"], touches=["door file"])
def another_hour(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    door = _photo(script, "door")
    by = timedelta(minutes=chance.uniform(22, 45))
    door.at -= by
    door.placed_at = door.placed_at and door.placed_at - by
    if door.exif_at is not None:
        door.exif_at = door.at + script.skew


@fabrication("photo from the gallery", must=["photo-time-differs"], touches=["door file"])
def gallery(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    door = _photo(script, "door")
    door.exif_at = script.arrives - timedelta(hours=chance.uniform(2, 400))
    if door.placed_at is not None:
        door.exif_place = door.placed_at = None


@fabrication("longer stay claimed", must=["stay-differs"], touches=["stay"])
def longer_stay(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.shifts = (script.shifts[0], chance.uniform(14, 70))


@fabrication("earlier arrival claimed", must=["stay-differs"], touches=["stay"])
def earlier_arrival(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.shifts = (-chance.uniform(14, 50), script.shifts[1])


@fabrication(
    "recorder off for most of it", must=["recording-too-short"], scenes=DEBTOR, touches=["stay", "talk"]
)
def short_recording(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.stays = timedelta(minutes=chance.uniform(2, 12))


@fabrication(
    "checked in from elsewhere",
    must=["check-in-elsewhere"],
    may=["photo-elsewhere", "impossible-travel"],
    touches=["place"],
)
def elsewhere(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    away = chance.choice((700, 1500, 4000)) * chance.uniform(1, 1.5)
    there = script.home.moved(away, chance.uniform(-300, 300))
    script.check_in = there.moved(chance.gauss(0, 10), chance.gauss(0, 10))
    script.check_out = there.moved(chance.gauss(0, 10), chance.gauss(0, 10))
    _photos_there(script, there)


def _photos_there(script: Script, there: Point) -> None:
    for photo in script.photos:
        if photo.exif_place is not None:
            photo.exif_place, photo.placed_at = there, None


@fabrication("position from another program", must=["mock-location"], touches=["place"])
def mock(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.check_in, script.check_out = _made_up(script, chance), _made_up(script, chance)


@fabrication(
    "another program, switched off too soon", must=["mock-location", "check-in-elsewhere"], touches=["place"]
)
def switched_off(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.check_in = _made_up(script, chance)
    script.check_out = script.home.moved(chance.uniform(1200, 6000), chance.uniform(-2000, 2000))


def _made_up(script: Script, chance: random.Random) -> Point:
    there = script.home.moved(chance.gauss(0, 3), chance.gauss(0, 3))
    there.mock = True
    return there


@fabrication("door of another place", must=["photo-elsewhere"], touches=["door file"])
def other_door(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    door = _photo(script, "door")
    door.exif_place = script.home.moved(chance.uniform(600, 9000), chance.uniform(-2000, 2000))
    door.placed_at = None


@fabrication(
    "in two towns within the hour",
    must=["impossible-travel", "check-in-elsewhere"],
    may=["photo-elsewhere"],
    touches=["place"],
)
def two_towns(script: Script, chance: random.Random, earlier: Sequence[Script]) -> bool:
    before = [one for one in earlier if one.crew == script.crew and one.day == script.day]
    if not before or before[-1].check_in is None or script.is_rebooted or before[-1].is_rebooted:
        return False  # where a clock is unsure nobody can say so
    if before[-1].check_in.mock:
        return False  # nor where a place may be made up
    if not before[-1].is_honest or script.arrives - before[-1].arrives > timedelta(hours=2):
        return False
    there = Point(31.2304, 121.4737, 20.0)
    script.check_in = script.check_out = there
    _photos_there(script, there)
    return True


@fabrication("went alone, told of two", must=["team-differs"], touches=["team"])
def alone(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.present = [LEAD]


@fabrication("colleague left out of the account", must=["team-differs"], touches=["team"])
def left_out(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.claimed_team = [LEAD]


@fabrication(
    "a newcomer instead of the colleague",
    must=["team-differs", "exam-not-taken"],
    may=["law-and-conduct-missing", "internship-missing", "nda-missing"],
    touches=["team"],
)
def newcomer(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.present = script.claimed_team = [LEAD, STRANGER]


@fabrication(
    "three at a hardship visit",
    must=["team-differs", "hardship-team-size"],
    may=["exam-not-taken", "law-and-conduct-missing", "internship-missing", "nda-missing"],
    touches=["team"],
)
def three(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.hardship = True
    script.present = script.claimed_team = [LEAD, MATE, STRANGER]


@fabrication("late at night", must=["visit-window"], touches=["hour", "place"])
def at_night(script: Script, chance: random.Random, earlier: Sequence[Script]) -> bool:
    if script.arrives.astimezone(script.arrives.tzinfo).hour < 17 or script.is_rebooted:
        return False
    _postpone(script, script.arrives.replace(hour=21, minute=chance.randrange(20, 50)))
    return True


def _postpone(script: Script, arrives: datetime) -> None:
    by = arrives - script.arrives
    script.arrives = arrives
    for photo in script.photos:
        photo.at += by
        photo.placed_at = photo.placed_at and photo.placed_at + by
        photo.exif_at = None if photo.exif_at is None else photo.exif_at + by
    for sound in script.sounds:
        sound.at += by


@fabrication("went in spite of a hold", must=["visited-under-hold"], touches=["hold"])
def under_hold(script: Script, chance: random.Random, _: Sequence[Script]) -> bool:
    if script.is_rebooted:
        return False
    script.hold = "known"
    return True


@fabrication("nobody was there", must=["nobody-speaks"], scenes=DEBTOR, touches=["talk", "stay"])
def nobody_there(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    (sound,) = script.sounds
    sound.lines, sound.loop, sound.call_after = [], 0.0, None
    sound.silent_seconds = chance.uniform(15, 25)


# Reuse: of honest visits only, so that what is found again is where it should be.


def _lender(script: Script, earlier: Sequence[Script], chance: random.Random, *, needs: str) -> Script | None:
    fit = [
        one
        for one in earlier
        if one.is_honest and one.day < script.day and one.scene == script.scene and not one.is_rebooted
    ]
    if needs == "sound":
        fit = [
            one for one in fit if one.sounds[0].call_after is None and len(one.sounds[0].lines) > LONG_TALK
        ]
    return chance.choice(fit) if fit and not script.is_rebooted else None


@fabrication(
    "the same photo file again",
    must=["same-file"],
    # a third visit may have lent it too, and saved it anew
    may=["photo-time-differs", "photo-elsewhere", "same-picture"],
    touches=["door file", "place"],
)
def same_file(script: Script, chance: random.Random, earlier: Sequence[Script]) -> bool:
    lender = _lender(script, earlier, chance, needs="photo")
    if lender is None:
        return False
    old, new = _photo(lender, "door"), _photo(script, "door")
    script.photos[script.photos.index(new)] = replace(old, at=new.at)
    return True


@fabrication("another visit's picture, saved anew", must=["same-picture"], touches=["door file"])
def same_picture(script: Script, chance: random.Random, earlier: Sequence[Script]) -> bool:
    lender = _lender(script, earlier, chance, needs="photo")
    if lender is None:
        return False
    door = _photo(script, "door")
    door.doorway, door.is_copied = _photo(lender, "door").doorway, True
    door.quality, door.crop = chance.randrange(55, 85), chance.choice((0.0, 0.005, 0.01))
    return True


@fabrication(
    "another visit's recording",
    must=["same-recording"],
    may=["promise-not-heard", "announcement-not-heard", "role-not-heard"],
    scenes=DEBTOR,
    touches=["talk", "stay"],
)
def same_recording(script: Script, chance: random.Random, earlier: Sequence[Script]) -> bool:
    lender = _lender(script, earlier, chance, needs="sound")
    if lender is None:
        return False
    old = lender.sounds[0]
    script.sounds = [
        replace(
            old,
            at=script.arrives,
            lent_by=lender.number,
            container=chance.choice([one for one in ("amr", "m4a", "webm") if one != old.container]),
            cut=chance.choice(((0.0, 1.0), (0.1, 1.0), (0.0, 0.9), (0.12, 0.95))),
            hiss=chance.choice((0.0, 0.002, 0.005)),
        )
    ]
    return True


@fabrication(
    "another visit's recording, untouched",
    must=["same-file"],
    may=["promise-not-heard", "same-recording"],  # a third visit may have lent it too, and encoded it anew
    scenes=DEBTOR,
    touches=["talk", "stay"],
)
def same_sound_file(script: Script, chance: random.Random, earlier: Sequence[Script]) -> bool:
    lender = _lender(script, earlier, chance, needs="sound")
    if lender is None:
        return False
    script.sounds = [replace(lender.sounds[0], at=script.arrives, lent_by=lender.number, is_untouched=True)]
    return True
