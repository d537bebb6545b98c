"""How does an honest visit go, and what honest noise surrounds it?

`honest_script` draws one visit: its scene, its words, its files, and then noise that is nobody's fault.
Noise is drawn for fabricated visits too: whoever makes something up has a wrong clock as often as others.
"""

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from bench.reconciliation import wording as words
from bench.reconciliation.script import Carried, Line, Photo, Point, Scene, Script, Sound, Speaker

ZONE: Final = ZoneInfo("Asia/Shanghai")
FIRST_DAY: Final = date(2026, 3, 2)  # a Monday; the working days after it are nobody's holiday until April
VISITS_A_DAY: Final = 8
SPACING: Final = timedelta(minutes=75)
CENTRE: Final = Point(39.92, 116.44)
SCENES: Final[dict[Scene, int]] = {
    "promise": 26,
    "refused": 24,
    "disputed": 10,
    "third_party": 14,
    "nobody": 26,
}
ENDS: Final = frozenset({"recording", "outcome", "promise", "advice", "mood", "discreet", "letter", "detail"})
LONG_TALKS: Final = 0.12
WRONG_CLOCKS: Final = 0.05
RECEIVERS: Final = 0.02
RUN_ON: Final = 0.06  # of the longer accounts among those the reader is built against, one in 18
TYPICAL_SLIPS: Final = {"承诺": "承若", "账": "帐", "款": "歀", "答应": "答映", "离开": "离幵"}


@dataclass(frozen=True)
class Diary:
    """Who goes when: visits are numbered through the days, the day's rounds and the teams."""

    crews: int
    seed: int = 0

    @classmethod
    def of(cls, visits: int, *, seed: int) -> "Diary":
        """Return a diary in which a team of a large corpus makes about a hundred visits."""
        return cls(crews=max(3, visits // 100), seed=seed)

    def clock_error(self, day: date, crew: int) -> timedelta:
        """Return by how much a team's phone shows another time than it is: all day the same."""
        chance = random.Random(f"{self.seed}/{day}/{crew}")
        if chance.random() < WRONG_CLOCKS:
            return chance.choice((-1, 1)) * timedelta(minutes=chance.choice((4, 7, 25, 60, 480)))
        return timedelta(seconds=chance.gauss(0, 40))

    def has_receiver(self, day: date, crew: int) -> bool:
        """Whether a team's phone takes its place from a receiver outside it: all day, if at all."""
        return random.Random(f"{self.seed}/{day}/{crew}/receiver").random() < RECEIVERS

    def place(self, number: int) -> tuple[date, int, int]:
        """Return day, round of the day and team of a visit."""
        round_, crew = divmod(number, self.crews)
        days, slot = divmod(round_, VISITS_A_DAY)
        weeks, weekday = divmod(days, 5)
        return FIRST_DAY + timedelta(days=7 * weeks + weekday), slot, crew


def honest_script(chance: random.Random, number: int, diary: Diary, *, scene: Scene | None = None) -> Script:
    """Draw one honest visit."""
    day, slot, crew = diary.place(number)
    opening = datetime.combine(day, time(9), ZONE)
    arrives = opening + slot * SPACING + timedelta(seconds=chance.uniform(0, 15 * 60))
    scene = scene or chance.choices(list(SCENES), list(SCENES.values()))[0]
    home = CENTRE.moved(chance.uniform(-12_000, 12_000), chance.uniform(-12_000, 12_000))
    script = Script(
        number=number,
        crew=crew,
        day=day,
        arrives=arrives,
        scene=scene,
        home=home,
        check_in=a_fix(chance, home),
        check_out=a_fix(chance, home),
        photos=[],
        sounds=[],
        boxes={"met": _met(scene), "outcome": _outcome(chance, scene), "debt": "not_discussed"},
        told={},
        clock_style=chance.randrange(4),
        runs_on=chance.random() < RUN_ON,
    )
    _tell(chance, script)
    _talk(chance, script)
    _shoot(chance, script)
    _disturb(chance, script)
    if diary.has_receiver(day, crew):
        _note(script, "external receiver")
        _receive(script)
    set_clock(script, diary.clock_error(day, crew))
    return script


def _receive(script: Script) -> None:
    """Have every position come from outside the phone: to its programs that looks like a made-up one."""
    for fix in (script.check_in, script.check_out):
        if fix is not None:
            fix.mock = True


def set_clock(script: Script, error: timedelta) -> None:
    """Have the phone's clock show another time than it is. A camera writes what the clock shows."""
    script.skew = error
    if abs(error) > timedelta(minutes=3):
        _note(script, "wrong clock")
    for photo in script.photos:
        if photo.exif_at is not None:
            photo.exif_at += error


def a_fix(chance: random.Random, home: Point) -> Point | None:
    """Return where a phone thinks it is: mostly a few metres off, between towers more, sometimes nowhere."""
    if chance.random() < 0.03:
        return None
    accuracy = chance.choice((5, 8, 12, 18, 25, 40, 65, 120))
    sigma = accuracy / 1.5  # the stated radius holds about two fixes in three
    fix = home.moved(
        chance.gauss(0, sigma) + chance.gauss(0, 12), chance.gauss(0, sigma) + chance.gauss(0, 12)
    )
    fix.accuracy_m = float(accuracy)
    return fix


def _met(scene: Scene) -> str:
    return {"third_party": "third_party", "nobody": "nobody"}.get(scene, "debtor")


def _outcome(chance: random.Random, scene: Scene) -> str:
    if scene == "third_party":
        return chance.choice(("message_left", "not_home"))
    return {"promise": "promise", "refused": "refused", "disputed": "disputed", "nobody": "not_home"}[scene]


def say_sum(chance: random.Random, yuan: int) -> str:
    """Write a sum as people do."""
    digits = "零一二三四五六七八九"
    thousands, rest = divmod(yuan, 1000)
    spoken = [f"{yuan}元", f"{yuan}元整"]
    if rest == 0 and thousands < 10:
        spoken += [f"{digits[thousands]}千元", f"{digits[thousands]}千块"]
    elif rest == 0 and thousands % 10 == 0:
        spoken.append(f"{digits[thousands // 10]}万元")
    return chance.choice(spoken)


def say_day(chance: random.Random, day: date) -> str:
    """Write a day as people do."""
    return chance.choice((f"{day.month}月{day.day}日", f"{day.month}月{day.day}号"))


def say_clock(at: datetime, style: int) -> str:
    """Write a time of day as people do."""
    local = at.astimezone(ZONE)
    half = "上午" if local.hour < 12 else "下午" if local.hour < 18 else "晚上"
    twelve = local.hour if local.hour <= 12 else local.hour - 12
    if style == 2 and local.hour == 12:
        half = "中午"
    return (
        f"{local:%H:%M}",
        f"{local.hour}点{local.minute:02}分",
        f"{half}{twelve}点{local.minute:02}分",
        f"{local.hour}时{local.minute:02}分",
    )[style]


def narrative(script: Script, *, arrived: datetime, left: datetime) -> str:
    """Join what is told into sentences; some visitors write a single one."""
    clocks = {"arrived": say_clock(arrived, script.clock_style), "left": say_clock(left, script.clock_style)}
    told = [(topic, text) for topic, text in script.told.items() if text]
    pieces = [text + ("。" if topic in ENDS and not script.runs_on else "，") for topic, text in told]
    return "".join(pieces).format(**clocks)[:-1] + "。"


def _tell(chance: random.Random, script: Script) -> None:
    """Fill the boxes and write the narrative that fits them."""
    say, told, boxes = chance.choice, script.told, script.boxes
    told["arrive"] = say(words.ARRIVED)
    if script.met_debtor:
        told["door"] = say(words.MET_DEBTOR)
        told["identity"] = say(words.IDENTITY)
        told["recording"] = say(words.RECORDING)
        boxes["debt"] = "disputed" if script.scene == "disputed" else "confirmed"
        told["debt"] = say(words.DISPUTED if script.scene == "disputed" else words.CONFIRMED)
        told["reason"] = say(words.REASONS)
        if script.scene == "refused":
            told["outcome"] = say(words.REFUSED)
        if script.scene == "promise":
            promise(chance, script)
        told["advice"] = say(words.TOLD_TO_DEBTOR)
        told["mood"] = say(words.MOODS)
        if chance.random() < 0.35:
            hand_over(chance, script)
    elif script.scene == "third_party":
        who = say(words.THIRD)
        told["door"] = say(words.AWAY).format(who=who)
        told["discreet"] = say(words.DISCREET)
        if chance.random() < 0.3:
            script.carried = [Carried("notice-1")]
            boxes["letters"] = [
                a_letter("sealed_to_adult_co_resident", "co_resident", relation=words.RELATIONS[who])
            ]
            told["letter"] = say(words.SEALED).format(who=who)
    else:
        told["door"] = say(words.NOBODY)
        if chance.random() < 0.6:
            leave_letter(chance, script)
    told["detail"] = "，".join(chance.sample(words.DETAILS, chance.randrange(1, 4)))
    told["leave"] = say(words.LEFT)


def promise(chance: random.Random, script: Script) -> None:
    """Have the debtor promise a sum until a day, in the boxes and in the words."""
    yuan = chance.choice((500, 800, 1000, 1500, 2000, 3000, 5000, 6000, 8000, 20_000))
    due = script.day + timedelta(days=chance.randrange(3, 26))
    script.boxes["promise"] = {"amount_fen": yuan * 100, "due_on": due.isoformat()}
    script.told["promise"] = chance.choice(words.PROMISED).format(
        due=say_day(chance, due), sum=say_sum(chance, yuan)
    )


def a_letter(delivery: str, recipient: str, *, template: str = "notice-1", **more: Any) -> dict[str, Any]:
    """Write one letter of the boxes."""
    return {"template": template, "delivery": delivery, "recipient": recipient, **more}


def hand_over(chance: random.Random, script: Script) -> None:
    """Hand the debtor a letter, signed for or not, or have it refused."""
    script.carried = [Carried("notice-1")]
    how = chance.random()
    if how < 0.15:
        script.boxes["letters"] = [a_letter("refused", "debtor")]
        script.told["letter"] = chance.choice(words.REFUSES_LETTER)
        return
    is_signed = how < 0.55
    script.boxes["letters"] = [a_letter("handed_to_debtor", "debtor", signed=is_signed)]
    ending = chance.choice(words.SIGNED if is_signed else words.TOOK_UNSIGNED)
    script.told["letter"] = chance.choice(words.HANDED) + ending


def leave_letter(chance: random.Random, script: Script) -> None:
    """Leave a closed envelope where nobody was met."""
    delivery = chance.choice(("mailbox", "under_door"))
    script.carried = [Carried("notice-1")]
    script.boxes["letters"] = [a_letter(delivery, "nobody")]
    script.told["letter"] = chance.choice(words.MAILBOX if delivery == "mailbox" else words.UNDER_DOOR)


def _talk(chance: random.Random, script: Script) -> None:
    """Write what is said, and have it recorded."""
    say = chance.choice
    speakers: tuple[Speaker, ...] = ("lead", "other", "mate", "other", "other", "lead", "other")
    if script.met_debtor:
        texts = [say(words.GREETINGS), say(words.IS_DEBTOR), say(words.ASKS), say(words.EXPLAINS)]
        texts += [_last_word(chance, script), say(words.ADVISES), say(words.NOISE_WORDS)]
        if chance.random() < LONG_TALKS:
            more = [text for _ in range(8) for text in (say(words.ADVISES), say(words.NOISE_WORDS))]
            both: tuple[Speaker, ...] = ("lead", "other")
            speakers, texts = speakers + both * 8, texts + more
    elif script.scene == "third_party":
        speakers = ("lead", "other", "lead", "other")
        texts = [say(words.GREETINGS_THIRD), say(words.SAYS_AWAY)]
        texts += [say(words.LEAVES_WORD), say(words.NOISE_WORDS)]
    else:
        speakers = ("lead",)
        texts = [say(words.ALONE)]
    sound = Sound(
        voices=chance.getrandbits(32),
        lines=[Line(*one, is_caught=chance.random() > 0.01) for one in zip(speakers, texts, strict=True)],
        crew=script.crew,
        at=script.arrives,
        container=chance.choices(("amr", "m4a", "webm"), (8, 1, 1))[0],
        noise=chance.choice((0.001, 0.003, 0.006, 0.012)),
        tail_seconds=chance.uniform(0.5, 2.0) if script.scene != "nobody" else chance.uniform(6, 9),
    )
    script.sounds = [sound]


def _last_word(chance: random.Random, script: Script) -> str:
    if script.scene == "promise":
        promised = script.boxes["promise"]
        due = date.fromisoformat(promised["due_on"])
        sum_ = say_sum(chance, promised["amount_fen"] // 100)
        return chance.choice(words.PROMISES).format(due=say_day(chance, due), sum=sum_)
    return chance.choice(words.REFUSES if script.scene == "refused" else words.DISPUTES)


def _shoot(chance: random.Random, script: Script) -> None:
    """Take the badge photo, the door, and what a delivery needs."""
    wanted = ["badge", "door"]
    letters = script.boxes.get("letters") or []
    if any(letter["delivery"] != "refused" for letter in letters):
        wanted.append("delivery")
    if any(letter.get("signed") for letter in letters):
        wanted.append("signature")
    for n, purpose in enumerate(wanted):
        script.photos.append(a_photo(chance, script, purpose, seconds=4 + 5 * n))


def a_photo(chance: random.Random, script: Script, purpose: str, *, seconds: float) -> Photo:
    """Take a picture that nobody has taken before."""
    at = script.arrives + timedelta(seconds=seconds)
    place = a_fix(chance, script.home) if chance.random() < 0.85 else None
    return Photo(
        purpose=purpose,
        doorway=chance.getrandbits(40),
        at=at,
        exif_at=at,
        exif_place=place,
        kind="signature" if purpose == "signature" else "photo",
    )


def _disturb(chance: random.Random, script: Script) -> None:
    """Add what is nobody's fault: networks, slips of the finger, calls, loudspeakers."""
    luck = chance.random
    if luck() < 0.05:
        _note(script, "restarted phone")
        script.is_rebooted = True
    if luck() < 0.08:
        _note(script, "late upload")
        script.sends_after = timedelta(hours=chance.uniform(2, 30))
    if luck() < 0.1:
        _note(script, "late account")
        script.tells_after = timedelta(hours=chance.uniform(2, 20))
    if luck() < 0.3:
        _note(script, "rounded times")
        script.shifts = (chance.uniform(-4, 4), chance.uniform(-4, 4))
    if luck() < 0.15:
        _slip(chance, script)
    if luck() < 0.06 and script.sounds[0].lines[1:]:
        _note(script, "phone call")
        script.sounds[0].call_after = chance.uniform(0.3, 0.7)
    if luck() < 0.004:
        _note(script, "loudspeaker")
        script.sounds[0].loop = 0.05
    if luck() < 0.03:
        _note(script, "old fix")
        _see_no_satellites(chance, chance.choice(script.photos), script.home)


def _see_no_satellites(chance: random.Random, photo: Photo, home: Point) -> None:
    """Have a camera write where it last knew its place, a while ago on the way."""
    photo.exif_place = home.moved(chance.uniform(700, 9_000), chance.uniform(-4_000, 4_000))
    photo.placed_at = photo.at - timedelta(minutes=chance.uniform(15, 180))


def _slip(chance: random.Random, script: Script) -> None:
    """Mistype one word of the narrative, never a number."""
    _note(script, "typing slip")
    topic = chance.choice([name for name, text in script.told.items() if len(text) > 5])
    text = script.told[topic]
    known = [word for word in TYPICAL_SLIPS if word in text]
    if known:
        word = chance.choice(known)
        script.told[topic] = text.replace(word, TYPICAL_SLIPS[word], 1)
        return
    places = [
        n
        for n in range(len(text) - 1)
        if not any(one in "0123456789{}年月日元点分时" for one in text[n : n + 2])
    ]
    places = [n for n in places if "{" not in text]
    if places:
        at = chance.choice(places)
        script.told[topic] = text[: at + 1] + text[at:]


def _note(script: Script, what: str) -> None:
    script.noise.append(what)
