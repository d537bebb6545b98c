"""What must be known to judge a visit?

Frozen values that workflows load from tables and that a stored decision keeps, so that it can be judged
again (`json_form` turns them into JSON and back). Never holds names, numbers or texts that identify a person.
"""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from server.rules.calendar import Calendar

GROUNDS = ("unpaid", "unreachable", "parallel", "second_due_date", "evasive", "bad_faith")


@dataclass(frozen=True, slots=True)
class Interval:
    """An instant known only to lie within [earliest, latest]."""

    earliest: datetime
    latest: datetime


@dataclass(frozen=True, slots=True)
class WantedVisit:
    """A visit somebody asks for. The team arrives and leaves within [window_start, window_end].

    `evidence_entry_id` names the ledger entry in which the debtor asked for the visit or agreed a return.
    """

    case_id: UUID
    address_id: UUID
    window_start: datetime
    window_end: datetime
    team: tuple[UUID, ...]
    lead: UUID | None
    ground: str = "unpaid"
    evidence_entry_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ActualVisit:
    """A visit that took place, as the phone's clock readings let us say."""

    visit_id: UUID
    arrival: Interval
    departure: Interval | None
    team: tuple[UUID, ...]
    address_id: UUID | None = None
    assignment_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class CaseFact:
    """The case and its debtor. `hardship` lists the debtor's recorded reasons.

    `hardship_since`: an instant at which hardship was already known; None where nothing tells since when.
    """

    id: UUID
    debtor_id: UUID
    state: str
    outstanding_fen: int
    balance_as_of: date | None
    hardship: tuple[str, ...] = ()
    daily_visit_cap: int | None = None
    special_flags: tuple[str, ...] = ()
    is_reviewed: bool = False
    has_special_note: bool = False
    is_note_acknowledged: bool = False
    hardship_since: datetime | None = None
    reviewed_at: datetime | None = None
    note_acknowledged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HoldFact:
    """A reason why nothing may be done between `raised_at` and `released_at`."""

    id: UUID
    reason: str
    scope: str
    raised_at: datetime
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ContactFact:
    """The person an address belongs to when it is not the debtor."""

    id: UUID
    liable: bool
    stop_contact: bool = False
    sensitive_occupation: bool = False


@dataclass(frozen=True, slots=True)
class AddressFact:
    """The address of the visit. `contact` None: the debtor's own.

    `sensitive_neighbours`: sensitive third parties recorded at the same point.
    """

    id: UUID
    case_id: UUID
    status: str
    contact: ContactFact | None = None
    sensitive_neighbours: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Training:
    """One line of a training file: kind, score and attempt where there is an exam, and since when."""

    kind: str
    score: int | None = None
    attempt: int = 1
    obtained_on: date | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch [start, end) in which a person is taken: kind assignment, leave or training."""

    kind: str
    start: datetime
    end: datetime
    assignment_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class MemberFact:
    """One person of the team."""

    id: UUID
    training: tuple[Training, ...] = ()
    has_device: bool = False
    left_at: datetime | None = None
    taken: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Reservation:
    """An assigned visit of this debtor that did not end early; once it has begun its arrival counts instead.

    `wish`: the channel of the debtor's own wish that it serves (`VisitRequest`). None: it serves none, or was
    stored before this was told. `end`: when its window closes; None: it was stored before this was told.
    """

    assignment_id: UUID
    start: datetime
    wish: str | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A visit of this debtor that took place, attempts included. `wish` as of a `Reservation`."""

    visit_id: UUID
    at: Interval
    assignment_id: UUID | None = None
    wish: str | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another visit that somebody of the team made, to whomever."""

    staff_id: UUID
    visit_id: UUID
    arrival: Interval
    departure: Interval | None = None


@dataclass(frozen=True, slots=True)
class VisitRequest:
    """A ledger entry in which the debtor asked for a visit (inbound) or agreed a return (visit).

    `used_by` is the assignment it served: it serves one.
    """

    entry_id: UUID
    channel: str
    at: datetime
    visit_on: date | None = None
    used_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """Everything known about the case, the debtor's visits and the team at `judged_at`.

    `escalations`: the grounds on which the case was handed to the field (D15, D17); None: nobody looked.
    """

    judged_at: datetime
    case: CaseFact
    address: AddressFact | None
    calendar: Calendar
    holds: tuple[HoldFact, ...] = ()
    team: tuple[MemberFact, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    requests: tuple[VisitRequest, ...] = ()
    call_days: tuple[date, ...] = ()
    letters_received_on: tuple[date, ...] = ()
    accounts_missing: tuple[UUID, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    escalations: tuple[str, ...] | None = None

    def member(self, staff_id: UUID) -> MemberFact | None:
        """Return what is known of one person, or None when nothing is."""
        return next((member for member in self.team if member.id == staff_id), None)
