"""What is known of one visit when its account is held against its evidence?

Frozen values that the workflow gathers. Intervals say between which instants something certainly
happened; places are WGS-84 with the accuracy the phone stated.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from server.rules.added_words import AddedWords
from server.rules.verdict import Reason
from sync.clock import Interval

Stretch = tuple[float, float]
GUESSED: Final = math.exp(-1)  # at a mean log-probability of -1 Whisper takes its own words for failed
CHINA: Final = ZoneInfo("Asia/Shanghai")
HANDED_OVER: Final = frozenset({"handed_to_debtor", "handed_to_liable_person", "sealed_to_adult_co_resident"})


@dataclass(frozen=True, slots=True)
class Place:
    """A position. `accuracy_m` is the radius the phone stated; 0 for a place that was surveyed."""

    lat: float
    lon: float
    accuracy_m: float = 0.0
    mock: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """What a photo shows of itself.

    `taken_local` is the camera's time as it shows it, `camera` make and model, `edge` the shorter side in
    pixels, `editing` the traces of a hand between camera and file, `placed_at` when satellites gave `place`.
    """

    taken_at: datetime | None = None
    place: Place | None = None
    placed_at: datetime | None = None
    taken_local: datetime | None = None
    camera: str | None = None
    software: str | None = None
    editing: tuple[str, ...] = ()
    is_blurred: bool = False
    is_dark: bool = False
    edge: int | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """What a recording holds: its true length, how much somebody speaks, where it pauses and is silent.

    `clipped` is the share of samples at full scale, `recorded_at` when the file says it was made.
    """

    duration_seconds: float
    speech_seconds: float
    gaps: tuple[Stretch, ...] = ()
    silence: tuple[Stretch, ...] = ()
    clipped: float = 0.0
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Words heard between two seconds of a recording; `confidence` is the engine's, 0 to 1, if it has one."""

    start: float
    end: float
    text: str
    confidence: float | None = None

    @property
    def is_guess(self) -> bool:
        """Whether the engine itself would rather not have written it: what it guesses proves nothing."""
        return self.confidence is not None and self.confidence < GUESSED


@dataclass(frozen=True, slots=True)
class EvidenceFact:
    """One file: what the phone promised, what has arrived, what the inspection found.

    `transcript` is None as long as no engine has heard it, and empty where one heard nothing. `clock_showed`
    is what the phone's own clock, right or wrong, showed at the beginning and the end of the capture.
    """

    id: UUID
    kind: str
    purpose: str
    state: str
    captured_from: Interval | None = None
    captured_until: Interval | None = None
    place: Place | None = None
    image: Image | None = None
    sound: Sound | None = None
    failed: str | None = None
    transcript: tuple[Segment, ...] | None = None
    clock_showed: tuple[datetime, datetime] | None = None
    device_id: UUID | None = None
    is_inspected: bool = True

    @property
    def is_here(self) -> bool:
        """Whether the promised bytes themselves are in the store."""
        return self.state == "verified"


@dataclass(frozen=True, slots=True)
class Reuse:
    """A file of this visit that also serves another. `distance` is 0 for the same file, else PDQ bits."""

    evidence_id: UUID
    other_evidence_id: UUID
    other_visit_id: UUID
    distance: int | None


@dataclass(frozen=True, slots=True)
class SameSound:
    """A stretch of a recording of this visit that is heard in another visit's recording, too.

    It runs for `seconds` from second `at` of this one, which is second `other_at` of the other.
    """

    evidence_id: UUID
    other_evidence_id: UUID
    other_visit_id: UUID
    at: float
    other_at: float
    seconds: float
    confidence: float


@dataclass(frozen=True, slots=True)
class AccountFact:
    """One revision of the written account."""

    id: UUID
    parent_id: UUID | None
    claims: Mapping[str, Any]
    narrative: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class EarlierAccount:
    """What somebody of the team wrote of an earlier visit."""

    visit_id: UUID
    account_id: UUID
    narrative: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Where the same person checked in for another visit, and when. `address` is where they were sent."""

    visit_id: UUID
    place: Place
    arrival: Interval
    address: Place | None = None


@dataclass(frozen=True, slots=True)
class LetterFact:
    """A letter that the team carried."""

    id: UUID
    template: str
    kind: str
    recipient: str


@dataclass(frozen=True, slots=True)
class GapExplained:
    """The phone said why it did not record: of one file, or of the whole visit (`evidence_id` None)."""

    evidence_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ItemFact:
    """One record that a phone of the team wrote of this visit: when, by which clock, where it was.

    `place` is None where the record states none. `is_of_revoked_key`: it came when the phone was out of use.
    `is_signed`: its signature is by the phone's key; else it counts only because the office accepted it.
    `is_forked`: another record has its number.
    """

    id: UUID
    device_id: UUID
    staff_id: UUID
    seq: int
    type: str
    when: Interval
    wall: datetime
    monotonic_ms: int
    boot_id: str
    place: Place | None = None
    is_of_revoked_key: bool = False
    is_signed: bool = True
    is_forked: bool = False


@dataclass(frozen=True, slots=True)
class PhoneFact:
    """A phone of somebody of the team.

    `wrote_beside`: in how many of its owner's last visits as a team mate it wrote, too, and how many.
    """

    id: UUID
    staff_id: UUID
    enrolled_at: datetime
    revoked_at: datetime | None = None
    wrote_beside: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class ChainGap:
    """Records that a phone wrote between its first and last one of this visit, and that never came."""

    device_id: UUID
    first: int
    last: int
    missing: int


@dataclass(frozen=True, slots=True)
class LooseFile:
    """A file that the phone sent during the visit's days and promised for none."""

    id: UUID
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """What the office wrote down as paid after the visit and the client's statement does not bear out."""

    id: UUID
    amount_fen: int
    paid_on: date
    recorded_by: UUID | None
    statement_fen: int | None


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """Everything one reconciliation looks at. `letters` is None where no assignment is known.

    `step_items` names the records of "check_in" and "check_out", as far as they came.
    `accounts_aside`: when accounts came that the office could not apply and nobody decided about yet.
    """

    visit_id: UUID
    judged_at: datetime
    arrival: Interval
    departure: Interval | None
    assigned_team: frozenset[UUID] | None
    present_team: frozenset[UUID]
    address: Place | None = None
    check_in: Place | None = None
    check_out: Place | None = None
    account: AccountFact | None = None
    revisions: tuple[AccountFact, ...] = ()
    account_due_at: datetime | None = None
    accounts_aside: tuple[datetime, ...] = ()
    evidence: tuple[EvidenceFact, ...] = ()
    evidence_due_at: datetime | None = None
    reuses: tuple[Reuse, ...] = ()
    same_sounds: tuple[SameSound, ...] = ()
    flags: frozenset[str] = frozenset()
    broken_rules: tuple[Reason, ...] = ()
    letters: tuple[LetterFact, ...] | None = None
    is_address_verified: bool | None = None
    zone: ZoneInfo = CHINA
    pack: str = ""
    lexicon: tuple[AddedWords, ...] = ()
    earlier_accounts: tuple[EarlierAccount, ...] = ()
    stops: tuple[Stop, ...] = ()
    gaps_explained: tuple[GapExplained, ...] = ()
    items: tuple[ItemFact, ...] = ()
    phones: tuple[PhoneFact, ...] = ()
    chain_gaps: tuple[ChainGap, ...] = ()
    loose_files: tuple[LooseFile, ...] = ()
    payments: tuple[PaymentFact, ...] = ()
    has_check_in: bool = True
    step_items: Mapping[str, UUID] = field(default_factory=dict[str, UUID])

    @property
    def is_evidence_due(self) -> bool:
        """Whether the phone's time to upload is over."""
        return self.evidence_due_at is not None and self.judged_at >= self.evidence_due_at


@dataclass(frozen=True, slots=True)
class Limits:
    """How much difference is honest noise."""

    place_m: float = 150.0
    time: timedelta = timedelta(minutes=10)
    capture: timedelta = timedelta(minutes=5)
    recorded_share: float = 0.8
    speech_seconds: float = 3.0
    picture_distance: int = 31
    alike: float = 0.95
    alike_characters: int = 60
    metres_per_second: float = 90.0
    heard_characters: int = 40
    gap_seconds: float = 60.0
    gap_share: float = 0.2
    silent_seconds: float = 300.0
    clipped_share: float = 0.05
    smallest_edge: int = 240
    clock: timedelta = timedelta(minutes=5)
    together: timedelta = timedelta(minutes=15)
    apart_m: float = 500.0
