"""What does each type of item say?

Typed readings of item bodies. They check form only; whether a visit was allowed or a claim is true is
judged elsewhere. Members that are not known here stay in the item's bytes.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sync.protocol import Clock
from sync.wire import Reader, WireFault, read_clock

EVIDENCE_KINDS: Final = ("photo", "audio", "video", "signature", "scan")
PURPOSES: Final = ("badge", "door", "delivery", "recording", "letter", "signature", "other")
MET: Final = ("debtor", "liable_person", "third_party", "nobody")
DEBT: Final = ("confirmed", "disputed", "not_discussed")
OUTCOMES: Final = ("promise", "refused", "disputed", "not_home", "turned_back", "message_left", "other")
RECIPIENTS: Final = ("debtor", "liable_person", "co_resident", "nobody")
DELIVERIES: Final = (
    "handed_to_debtor",
    "handed_to_liable_person",
    "sealed_to_adult_co_resident",
    "mailbox",
    "under_door",
    "callback_slip",
    "refused",
)
HOLD_REASONS: Final = (
    "do_not_collect",
    "deceased",
    "imprisoned",
    "identity_disputed",
    "complaint",
    "stop_requested",
    "transaction_denied",
    "activation_denied",
    "amount_disputed",
    "paid",
    "other",
)
INCIDENT_KINDS: Final = (
    "self_defence",
    "violence",
    "threat",
    "injury",
    "property",
    "accident",
    "recorder_failure",
    "other",
)
REFUSALS: Final = ("refused", "uninformed", "angry")
MAX_FILE_BYTES: Final = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class VisitStarted:
    """visit.started: the check-in."""

    visit_id: UUID
    assignment_id: UUID
    permit_id: UUID | None
    position: dict[str, Any] | None
    team: tuple[UUID, ...]
    checklist: dict[str, bool]


@dataclass(frozen=True, slots=True)
class EvidencePromised:
    """visit.evidence: the promise of one file, by digest."""

    visit_id: UUID
    evidence_id: UUID
    kind: str
    purpose: str
    sha256: bytes
    size_bytes: int
    mime: str
    captured_from: Clock
    captured_until: Clock
    position: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class VisitEnded:
    """visit.ended: the check-out."""

    visit_id: UUID
    position: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class AccountWritten:
    """visit.account: structured claims and narrative; `parent` when it amends an earlier revision."""

    visit_id: UUID
    account_id: UUID
    parent: UUID | None
    claims: dict[str, Any]
    narrative: str


@dataclass(frozen=True, slots=True)
class AssignmentAnswered:
    """assignment.acknowledged or assignment.declined (with its reason)."""

    assignment_id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class HoldRequested:
    """hold.requested: somebody at the door said why collection must stop."""

    case_id: UUID
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Reported:
    """Any other known type: kept whole for the office to read."""

    visit_id: UUID | None
    case_id: UUID | None


@dataclass(frozen=True, slots=True)
class ComplaintRaised(Reported):
    """complaint.raised: somebody complains, or is about to. The case is named, or is that of the visit."""

    text: str
    about_staff: tuple[UUID, ...]
    threatens_to_escalate: bool
    publicity_risk: bool


@dataclass(frozen=True, slots=True)
class IncidentRaised(Reported):
    """incident.raised: something happened to people, things or the recorder. Unknown kinds are `other`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ContactRefused(Reported):
    """contact.refused: a third party wants no contact, knows nothing, or is angry.

    Without `contact_id` it is whoever lives at the visited address, or else somebody new.
    """

    contact_id: UUID | None
    why: str
    text: str
    name: str | None
    relation: str


@dataclass(frozen=True, slots=True)
class ContactLearned(Reported):
    """contact.learned: a third party the visitor heard of, or an address where the debtor may be found."""

    name: str | None
    phone: str | None
    relation: str | None
    address: str | None


@dataclass(frozen=True, slots=True)
class FindingReplied(Reported):
    """finding.replied: what the visitor answers to a finding that the office told this phone."""

    finding_id: UUID
    text: str


Body = (
    VisitStarted
    | EvidencePromised
    | VisitEnded
    | AccountWritten
    | AssignmentAnswered
    | HoldRequested
    | Reported
)


def read_body(type_: str, body: dict[str, Any]) -> Body:
    """Read the body of a known item type; WireFault points into the body."""
    reader = Reader(body, "/body")
    match type_:
        case "visit.started":
            return _started(reader)
        case "visit.evidence":
            return _evidence(reader)
        case "visit.ended":
            return VisitEnded(visit_id=reader.uuid("visit_id"), position=_position(reader))
        case "visit.account":
            return _account(reader)
        case "assignment.acknowledged" | "assignment.declined":
            reason = reader.optional_text("reason", most=2000) or ""
            return AssignmentAnswered(assignment_id=reader.uuid("assignment_id"), reason=reason)
        case "hold.requested":
            return HoldRequested(
                case_id=reader.uuid("case_id"),
                reason=reader.choice("reason", *HOLD_REASONS),
                text=reader.optional_text("text", most=10_000) or "",
            )
        case "complaint.raised":
            return _complaint(reader)
        case "incident.raised":
            return _incident(reader)
        case "contact.refused":
            return _refused(reader)
        case "contact.learned":
            return _learned(reader)
        case "finding.replied":
            return _replied(reader)
        case _:
            return Reported(**_concerns(reader))


def _concerns(reader: Reader) -> dict[str, UUID | None]:
    return {"visit_id": reader.optional_uuid("visit_id"), "case_id": reader.optional_uuid("case_id")}


def _complaint(reader: Reader) -> ComplaintRaised:
    return ComplaintRaised(
        **_concerns(reader),
        text=reader.optional_text("text", most=10_000) or "",
        about_staff=reader.uuids("about_staff") if reader.value.get("about_staff") else (),
        threatens_to_escalate=_is_set(reader, "threatens_to_escalate"),
        publicity_risk=_is_set(reader, "publicity_risk"),
    )


def _incident(reader: Reader) -> IncidentRaised:
    kind = reader.optional_text("kind", most=64)
    return IncidentRaised(
        **_concerns(reader),
        kind=kind if kind in INCIDENT_KINDS else "other",
        text=reader.optional_text("text", most=10_000) or "",
    )


def _refused(reader: Reader) -> ContactRefused:
    return ContactRefused(
        **_concerns(reader),
        contact_id=reader.optional_uuid("contact_id"),
        why=reader.choice("why", *REFUSALS),
        text=reader.optional_text("text", most=10_000) or "",
        name=reader.optional_text("name", most=200),
        relation=reader.optional_text("relation", most=200) or "",
    )


def _learned(reader: Reader) -> ContactLearned:
    return ContactLearned(
        **_concerns(reader),
        name=reader.optional_text("name", most=200),
        phone=reader.optional_text("phone", most=64),
        relation=reader.optional_text("relation", most=200),
        address=reader.optional_text("address", most=1000),
    )


def _replied(reader: Reader) -> FindingReplied:
    text = reader.text("text", most=10_000)
    if not text.strip():
        raise WireFault(reader.at("text"), "says nothing")
    return FindingReplied(**_concerns(reader), finding_id=reader.uuid("finding_id"), text=text)


def _is_set(reader: Reader, key: str) -> bool:
    """Read a flag that older phones do not send."""
    return reader.value.get(key) is not None and reader.boolean(key)


def _started(reader: Reader) -> VisitStarted:
    checklist = reader.value.get("checklist") or {}
    if not isinstance(checklist, dict) or not all(isinstance(tick, bool) for tick in checklist.values()):
        raise WireFault(reader.at("checklist"), "must be an object of true and false")
    return VisitStarted(
        visit_id=reader.uuid("visit_id"),
        assignment_id=reader.uuid("assignment_id"),
        permit_id=reader.optional_uuid("permit_id"),
        position=_position(reader),
        team=reader.uuids("team"),
        checklist=checklist,
    )


def _evidence(reader: Reader) -> EvidencePromised:
    captured = reader.within("captured")
    size_bytes = reader.integer("size_bytes")
    if size_bytes > MAX_FILE_BYTES:
        raise WireFault(reader.at("size_bytes"), "is more than 2 GiB")
    return EvidencePromised(
        visit_id=reader.uuid("visit_id"),
        evidence_id=reader.uuid("evidence_id"),
        kind=reader.choice("kind", *EVIDENCE_KINDS),
        purpose=reader.choice("purpose", *PURPOSES),
        sha256=reader.digest("sha256"),
        size_bytes=size_bytes,
        mime=reader.text("mime", most=128),
        captured_from=read_clock(captured.within("from")),
        captured_until=read_clock(captured.within("until")),
        position=_position(reader),
    )


def _account(reader: Reader) -> AccountWritten:
    account = AccountWritten(
        visit_id=reader.uuid("visit_id"),
        account_id=reader.uuid("account_id"),
        parent=reader.optional_uuid("parent"),
        claims=reader.within("claims").value,
        narrative=reader.optional_text("narrative") or "",
    )
    _check_claims(reader.within("claims"))
    return account


def _check_claims(claims: Reader) -> None:
    """Read every claim once, for its faults."""
    arrived, left = claims.instant("arrived_at"), claims.instant("left_at")
    if left < arrived:
        raise WireFault(claims.at("left_at"), "is before arrived_at")
    claims.uuids("team_present")
    claims.choice("met", *MET)
    claims.boolean("identity_shown")
    claims.boolean("recording_announced")
    claims.choice("debt", *DEBT)
    claims.choice("outcome", *OUTCOMES)
    if claims.value.get("promise") is not None:
        promise = claims.within("promise")
        promise.integer("amount_fen", least=1)
        read_date(promise, "due_on")
    for n, value in enumerate(claims.array("letters") if claims.value.get("letters") else ()):
        letter = Reader(value, f"{claims.at('letters')}/{n}")
        letter.text("template", most=200)
        letter.choice("delivery", *DELIVERIES)
        letter.choice("recipient", *RECIPIENTS)


def read_date(reader: Reader, key: str) -> date:
    """Read a calendar day."""
    try:
        return date.fromisoformat(reader.text(key, most=10))
    except ValueError:
        raise WireFault(reader.at(key), "must be a day such as 2026-11-24") from None


def claimed_stay(claims: dict[str, Any]) -> tuple[datetime, datetime]:
    """Return the arrival and departure an account claims (claims that `read_body` accepted)."""
    reader = Reader(claims, "/claims")
    return reader.instant("arrived_at"), reader.instant("left_at")


def _position(reader: Reader) -> dict[str, Any] | None:
    """Read a WGS-84 position; null when the phone had none."""
    if reader.value.get("position") is None:
        return None
    place = reader.within("position")
    place.number("lat", least=-90, most=90)
    place.number("lon", least=-180, most=180)
    place.number("accuracy_m", least=0, most=1_000_000)
    if not isinstance(place.value.get("mock", False), bool):
        raise WireFault(place.at("mock"), "must be true or false")
    return place.value
