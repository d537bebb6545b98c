"""May this team knock now, by what their phone knows?

Pure: the permit, the time, who is here, and what the phone itself recorded; out come the conditions that
fail, each with its rule and what to do. The phone needs no rule engine, because the office wrote the rules'
conditions into the permit as data: a condition that a permit does not carry is not asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sync.wire import Reader, write_instant

KEPT_FOR: Final = timedelta(days=45)
"""Longer than any period of a permit's limits."""

# The rule that stops everything for each reason a visitor may report at the door.
RULE_OF_STOP: Final[Mapping[str, str]] = {
    "do_not_collect": "A7",
    "identity_disputed": "D4",
    "transaction_denied": "D8",
    "activation_denied": "D8",
    "amount_disputed": "D11",
    "complaint": "D25",
    "stop_requested": "F6",
    "imprisoned": "F6",
    "deceased": "F6",
    "paid": "D18",
    "other": "D9",
}

# Those that concern all cases of the debtor; the others only the case at hand.
STOPS_THE_DEBTOR: Final = frozenset(
    {"do_not_collect", "deceased", "imprisoned", "identity_disputed", "complaint", "stop_requested"}
)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One condition that fails. `why` in a few words, `advice` is what to do; `until`: it ends by itself."""

    rule: str
    slug: str
    why: str
    advice: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AtTheDoor:
    """Who stands there, and when. `checklist`: what they answered, None before anybody asked.

    `carried` is the permit that the phone holds for this assignment now: None once the office took it back.
    """

    now: datetime
    team: Sequence[UUID]
    carried: str | None
    checklist: Mapping[str, bool] | None = None


# What the phone itself recorded, as plain JSON: arrivals and stops. It outlives assignments that were taken
# back, and holds ids only.
Memory = Mapping[str, Any]
NOTHING: Final[Memory] = {"arrivals": [], "stops": []}
REMEMBERED: Final = ("visit.started", "hold.requested", "complaint.raised")


def obstacles(permit: Mapping[str, Any], here: AtTheDoor, *, memory: Memory) -> tuple[Obstacle, ...]:
    """Return every condition that fails; nothing means: knock."""
    read = Reader(dict(permit))
    return (
        *_taken_back(read, here),
        *_stopped(read, memory),
        *_time(read, here),
        *_team(read, here),
        *_used(read, memory),
        *_limits(read, here, memory),
        *_checklist(read, here),
    )


def _taken_back(permit: Reader, here: AtTheDoor) -> Iterator[Obstacle]:
    """A7: asked again at the door, as far as the office's word has reached the phone."""
    if here.carried is None:
        yield Obstacle(
            "A7",
            "assignment-taken-back",
            "the office took the visit back",
            "Do not knock. Whatever the reason was, nothing may be done here today.",
        )
    elif here.carried != permit.value.get("permit_id"):
        yield Obstacle(
            "A7", "permit-replaced", "the office replaced this permit", "Open the visit again and compare it."
        )


def _stopped(permit: Reader, memory: Memory) -> Iterator[Obstacle]:
    """A stop that this phone reported itself and that the permit's issue could not know."""
    issued_at = permit.instant("issued_at") if permit.value.get("issued_at") else None
    for stop in memory["stops"]:
        concerns = (permit.value.get("case_id"), permit.value.get("debtor_id"))
        is_concerned = any(
            one is not None and one in (stop["case_id"], stop["debtor_id"]) for one in concerns
        )
        if is_concerned and (issued_at is None or issued_at <= Reader(stop).instant("at")):
            yield Obstacle(
                RULE_OF_STOP.get(stop["reason"], "D9"),
                "stopped-by-own-report",
                f"you reported {stop['reason'].replace('_', ' ')} here",
                "Do not knock; sync, and wait for what the office decides.",
            )


def _time(permit: Reader, here: AtTheDoor) -> Iterator[Obstacle]:
    """T1, T2: inside an allowed interval, not later than the latest start, before the permit ends."""
    spans = [(span.instant("from"), span.instant("until")) for span in map(Reader, permit.array("allowed"))]
    if not any(begin <= here.now <= end for begin, end in spans):
        opens = min((begin for begin, _ in spans if begin > here.now), default=None)
        wait = "Ask the office for another time." if opens is None else f"Wait until {write_instant(opens)}."
        yield Obstacle("T1", "visit-window", "outside the permitted time", wait, opens)
    if here.now > permit.instant("latest_start"):
        yield Obstacle(
            "T2",
            "latest-start",
            "after the latest permitted start",
            "Do not begin any more today; ask the office for another time.",
        )
    if here.now > permit.instant("expires_at"):
        yield Obstacle("T1", "permit-expired", "the permit has expired", "Ask the office for a new visit.")


def _team(permit: Reader, here: AtTheDoor) -> Iterator[Obstacle]:
    """X1: exactly those who were judged, their lead among them."""
    if set(here.team) != set(permit.uuids("team")):
        yield Obstacle(
            "X1",
            "team-differs",
            "the team is not the one on the permit",
            "Wait for who is missing, or have the office reassign the visit to those who are here.",
        )
    if permit.value.get("lead") is not None and permit.uuid("lead") not in here.team:
        yield Obstacle(
            "X1", "lead-missing", "the lead is not here", "Wait for the lead, or have the visit reassigned."
        )


def _used(permit: Reader, memory: Memory) -> Iterator[Obstacle]:
    """A3: a permit is for one arrival."""
    mine = permit.value.get("assignment_id")
    if mine is not None and any(arrival["assignment_id"] == mine for arrival in memory["arrivals"]):
        yield Obstacle(
            "A3", "permit-used", "this permit was used", "A return needs a visit of its own from the office."
        )


def _limits(permit: Reader, here: AtTheDoor, memory: Memory) -> Iterator[Obstacle]:
    """A2, A3, A9: arrivals of this phone that the office had not counted when it issued the permit.

    A limit says what is `left` beside this visit, and whose assignments it `counted`; it concerns arrivals of
    [`from`, `until`), or of the `within_hours` before now. Those that served a wish of the debtor's, if it
    `spares` that kind, use up only what is left `in_all`.
    """
    debtor = permit.value.get("debtor_id")
    for limit in map(Reader, permit.value.get("limits") or []):
        counted = {*limit.array("counted"), permit.value.get("assignment_id")}
        begin, end = _period(limit, here.now)
        more = [
            arrival
            for arrival in memory["arrivals"]
            if arrival["debtor_id"] == debtor
            and arrival["assignment_id"] not in counted
            and begin <= Reader(arrival).instant("at") < end
        ]
        if debtor is not None and _is_beyond(limit, more):
            yield Obstacle(
                limit.text("rule", most=20),
                limit.text("slug", most=100),
                "the debtor was visited more often than the office knew",
                "Do not knock; sync, and ask the office for another day.",
            )


def _is_beyond(limit: Reader, more: Sequence[Mapping[str, Any]]) -> bool:
    """Whether so many more arrivals are too many. A permit or memory from before says nothing of wishes."""
    spared = limit.value.get("spares") or []
    unasked = sum(arrival.get("wish") not in spared for arrival in more)
    is_full = limit.value.get("in_all") is not None and len(more) > limit.integer("in_all")
    return is_full or unasked > limit.integer("left")


def _period(limit: Reader, now: datetime) -> tuple[datetime, datetime]:
    """Return [begin, end); a visit exactly as long ago as a rolling period is no longer in it."""
    if limit.value.get("within_hours") is None:
        return limit.instant("from"), limit.instant("until")
    begin = now - timedelta(hours=limit.integer("within_hours"))
    return begin + timedelta(microseconds=1), now + timedelta(microseconds=1)


def _checklist(permit: Reader, here: AtTheDoor) -> Iterator[Obstacle]:
    """B rules: what must be in order before anybody knocks, once it was asked."""
    if here.checklist is None:
        return
    for item in map(Reader, permit.value.get("checks") or []):
        key = item.text("key", most=200)
        if item.text("when", most=20) == "before" and here.checklist.get(key) is not True:
            yield Obstacle(
                item.text("rule", most=20),
                "checklist-" + key.replace("_", "-"),
                f"not in order: {key.replace('_', ' ')}",
                "Put it in order, then answer the checklist again.",
            )


# Turning back, and remembering.


def turning_back(permit: Mapping[str, Any], found: Sequence[Obstacle]) -> tuple[str, dict[str, Any]] | None:
    """Return the item (type, body) that records a visit given up at the door; None where waiting helps.

    It gives the debtor's budget back and tells the office which rules spoke.
    """
    lasting = [one for one in found if one.until is None]
    if not lasting:
        return None
    rules = ", ".join(dict.fromkeys(f"{one.rule} {one.slug}" for one in lasting))
    return "assignment.declined", {
        "assignment_id": permit["assignment_id"],
        "reason": f"turned back at the door: {rules}",
        "obstacles": [{"rule": one.rule, "slug": one.slug} for one in lasting],
    }


def remember(
    memory: Memory,
    *,
    type_: str,
    body: Mapping[str, Any],
    permits: Sequence[Mapping[str, Any]],
    at: datetime,
) -> Memory:
    """Return what the phone knows once it recorded an item; `permits` are those it holds at that moment."""
    arrivals, stops = list(memory["arrivals"]), list(memory["stops"])
    if type_ == "visit.started":
        permit = _first(permits, "assignment_id", body.get("assignment_id"))
        arrivals.append(
            {
                "visit_id": body.get("visit_id"),
                "assignment_id": body.get("assignment_id"),
                "case_id": permit.get("case_id"),
                "debtor_id": permit.get("debtor_id"),
                "wish": permit.get("wish"),
                "at": write_instant(at),
            }
        )
    elif type_ in ("hold.requested", "complaint.raised"):
        visit = _first(arrivals, "visit_id", body.get("visit_id"))
        case_id = body.get("case_id") or visit.get("case_id")
        known = _first(permits, "case_id", case_id) or _first(arrivals, "case_id", case_id)
        reason = body.get("reason", "other") if type_ == "hold.requested" else "complaint"
        stops.append(
            {
                "case_id": case_id,
                "debtor_id": known.get("debtor_id") if reason in STOPS_THE_DEBTOR else None,
                "reason": reason,
                "at": write_instant(at),
            }
        )
    return {"arrivals": arrivals, "stops": stops}


def settle(memory: Memory, *, by: datetime) -> Memory:
    """Return what the phone still knows once the office said that it is `by` now.

    Whatever the wall clock said then, all of it was before that; what is older than any limit is forgotten.
    """
    return {
        kind: [
            {**row, "at": write_instant(min(at, by))}
            for row in memory[kind]
            if (at := Reader(dict(row)).instant("at")) > by - KEPT_FOR
        ]
        for kind in ("arrivals", "stops")
    }


def _first(rows: Sequence[Mapping[str, Any]], key: str, value: Any) -> Mapping[str, Any]:
    """Return the row with this value, an empty one where none has it."""
    return next((row for row in rows if value is not None and row.get(key) == value), {})
