"""What happens at one door, what does the visitor tell of it, and what of that is made up?

Plain values that the generator fills in and fabrications change. Nothing here knows a check: the truth of
a visit is what its script says, and its labels are those of the fabrications that were applied.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

Scene = Literal["promise", "refused", "disputed", "third_party", "nobody"]
Fate = Literal["sent", "never_sent", "swapped", "cut"]
Speaker = Literal["lead", "mate", "other"]
MET_DEBTOR: tuple[Scene, ...] = ("promise", "refused", "disputed")
LEAD, MATE, STRANGER = 0, 1, 2
LONG_TALK = 12  # lines; shorter recordings hold too few landmarks to be known again once encoded anew


@dataclass
class Point:
    """A position as a phone states it."""

    lat: float
    lon: float
    accuracy_m: float = 15.0
    mock: bool = False

    def moved(self, north_m: float, east_m: float) -> "Point":
        """Return the point this many metres away."""
        return Point(
            self.lat + north_m / 111_320, self.lon + east_m / 85_300, self.accuracy_m, self.mock
        )  # a degree of longitude at Beijing's latitude


@dataclass
class Photo:
    """One picture: what it shows (`doorway`), when it was captured, what its EXIF says.

    `copied` marks a copy of another visit's picture: shrunk, cropped by this share and saved again.
    `placed_at` is when the camera last saw satellites, if that was before.
    """

    purpose: str
    doorway: int
    at: datetime
    exif_at: datetime | None
    exif_place: Point | None
    placed_at: datetime | None = None
    kind: str = "photo"
    quality: int = 80
    crop: float = 0.0
    is_copied: bool = False
    is_dark: bool = False
    software: str | None = None
    model: str = "2312DRA50C"
    fate: Fate = "sent"


@dataclass
class Line:
    """One sentence that is said; `is_caught` is False where the microphone or the engine missed it."""

    speaker: Speaker
    text: str
    is_caught: bool = True


@dataclass
class Sound:
    """One recording: who says what over which noise. `voices` seeds voices, pauses and noise.

    `lent_by` numbers the visit whose recording is presented again: untouched, or cut, hissed over and encoded
    anew.
    """

    voices: int
    lines: list[Line]
    crew: int
    at: datetime
    container: Literal["amr", "m4a", "webm"] = "amr"
    noise: float = 0.004
    silent_seconds: float = 0.0
    tail_seconds: float = 0.0
    cut: tuple[float, float] = (0.0, 1.0)
    hiss: float = 0.0
    loop: float = 0.0
    call_after: float | None = None
    made_at: datetime | None = None
    lent_by: int | None = None
    is_untouched: bool = False
    fate: Fate = "sent"


@dataclass
class Carried:
    """A letter that the team was given."""

    template: str
    kind: str = "notice"
    recipient: str = "debtor"


@dataclass
class Amendment:
    """A later revision of the account: what it changes, and its words."""

    changes: dict[str, Any]
    narrative: str


@dataclass
class Script:
    """One visit, from the assignment to the last revision of its account.

    `told` holds the narrative by topic, in order; {arrived} and {left} are known when it is played.
    `shifts` are minutes by which the account's times differ from the true ones.
    """

    number: int
    crew: int
    day: date
    arrives: datetime
    scene: Scene
    home: Point
    check_in: Point | None
    check_out: Point | None
    photos: list[Photo]
    sounds: list[Sound]
    boxes: dict[str, Any]
    told: dict[str, str]
    is_verified: bool = True
    hardship: bool = False
    present: list[int] = field(default_factory=lambda: [LEAD, MATE])
    claimed_team: list[int] = field(default_factory=lambda: [LEAD, MATE])
    carried: list[Carried] = field(default_factory=list)
    amendments: list[Amendment] = field(default_factory=list)
    shifts: tuple[float, float] = (0.0, 0.0)
    clock_style: int = 0
    runs_on: bool = False
    stays: timedelta | None = None
    tells_after: timedelta = timedelta(minutes=10)
    sends_after: timedelta = timedelta(0)
    skew: timedelta = timedelta(0)
    is_rebooted: bool = False
    hold: Literal["", "known", "unknown"] = ""
    is_cloned: bool = False
    has_check_out: bool = True
    clock_set_by: timedelta = timedelta(0)
    has_account: bool = True
    spares: str = ""
    noise: list[str] = field(default_factory=list)
    fabrications: list[str] = field(default_factory=list)
    must: set[str] = field(default_factory=set)
    may: set[str] = field(default_factory=set)

    def be_uninterrupted(self) -> None:
        """Have nobody call: what is said during a call is on no recording, and nobody could find it there."""
        for sound in self.sounds:
            sound.call_after = None
        self.noise = [one for one in self.noise if one != "phone call"]

    @property
    def is_honest(self) -> bool:
        return not self.fabrications

    @property
    def met_debtor(self) -> bool:
        return self.scene in MET_DEBTOR
