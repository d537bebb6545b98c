"""Was the team where the assignment sent it?

Distances are geodesic on WGS-84. A place counts as elsewhere only when it is so whatever the accuracy
the phone stated. A mock location is flagged, not condemned: real external receivers look mock too. It bears
nothing out and contradicts nothing; what weighs is what the phones say besides.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from geographiclib.geodesic import Geodesic

from server.reconcile.facts import EvidenceFact, ItemFact, Limits, Place, Stop, VisitFacts
from server.reconcile.finding import Finding, Severity, cite, cite_step
from server.reconcile.timing import said_by_picture
from server.rules.local_time import local_day

SURE: Final = 2.0  # phones state the radius that holds two fixes in three; twice as far lies one in a hundred


def metres_between(here: Place, there: Place) -> float:
    """Return the length of the shortest way over the ellipsoid."""
    return Geodesic.WGS84.Inverse(here.lat, here.lon, there.lat, there.lon, Geodesic.DISTANCE)["s12"]


def _metres_certainly_apart(here: Place, there: Place, limits: Limits) -> float:
    """Return the least distance the accuracies allow, beyond honest noise; 0 when they may be one place."""
    doubt = SURE * (here.accuracy_m + there.accuracy_m)
    return max(0.0, metres_between(here, there) - doubt - limits.place_m)


def check_in_elsewhere(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The check-in or check-out was away from the assigned address (C14).

    One that another program gave weighs less: it may have been left on, and whoever lies is at the address.
    """
    if facts.address is None:
        return
    for name, place in (("check_in", facts.check_in), ("check_out", facts.check_out)):
        if place is None or _metres_certainly_apart(place, facts.address, limits) == 0:
            continue
        severity: Severity = "severe" if name == "check_in" else "serious"
        if place.mock:
            severity = "serious" if name == "check_in" else "minor"
        yield Finding(
            check="check-in-elsewhere",
            rule="C14",
            severity=severity,
            claim="arrived_at" if name == "check_in" else "left_at",
            observation={
                "metres": round(metres_between(place, facts.address)),
                "accuracy_m": place.accuracy_m,
                "at": name,
            },
            citation=cite_step(facts, name),
            confidence=0.5 if place.mock else 1.0,
            about=name,
        )


def mock_location(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The phone itself says that the position came from another program (C14).

    A receiver outside the phone, or a program that invents places: the flag does not tell, so alone it is a
    note. It weighs where the same phones say that it cannot be true, and a little where it is switched on at
    this door alone and nothing else says where the team was.
    """
    for name, place in (("check_in", facts.check_in), ("check_out", facts.check_out)):
        if place is None or not place.mock:
            continue
        besides, cited = _said_besides(name, place, facts, limits)
        severity, confidence = WEIGHS[besides]
        yield Finding(
            check="mock-location",
            rule="C14",
            severity=severity,
            claim=("arrived_at" if name == "check_in" else "left_at") if severity == "serious" else "",
            observation={"at": name, "besides": besides},
            citation={**cite_step(facts, name), **cited},
            confidence=confidence,
            about=name,
        )


# What the phones say besides a position that another program gave, and what that makes of it.
WEIGHS: Final[Mapping[str, tuple[Severity, float]]] = {
    "another place": ("serious", 0.8),
    "out of reach": ("serious", 0.8),
    "the same place": ("note", 0.3),
    "only at this door": ("minor", 0.3),
    "nothing": ("note", 0.3),
}


def _said_besides(
    name: str, given: Place, facts: VisitFacts, limits: Limits
) -> tuple[str, Mapping[str, Any]]:
    """Say how a position that a program gave stands to those that none gave, and name one that is against it.

    What pictures carry is no help: a camera writes what the program says, and no flag with it.
    """
    measured = list(_measured(facts, limits))
    for place, cited in measured:
        if _metres_certainly_apart(given, place, limits) > limits.apart_m:
            return "another place", {f"other_{name}": value for name, value in cited.items()}
    for stop in facts.stops if name == "check_in" else ():
        if _is_out_of_reach(given, stop, facts, limits) and _is_there(stop.place, stop.address, limits):
            return "out of reach", {"other_visit_id": str(stop.visit_id)}
    fine = (place for place, _ in measured if place.accuracy_m <= limits.apart_m)
    if any(metres_between(given, place) <= limits.place_m + place.accuracy_m for place in fine):
        return "the same place", {}
    today = local_day(facts.arrival.earliest, facts.zone)
    elsewhere = [
        one.place.mock for one in facts.stops if local_day(one.arrival.earliest, facts.zone) == today
    ]
    return "only at this door" if elsewhere.count(False) > elsewhere.count(True) else "nothing", {}


def _measured(facts: VisitFacts, limits: Limits) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """Give where the phones of those present were during this visit, as far as no other program says it."""
    for name, place in (("check_in", facts.check_in), ("check_out", facts.check_out)):
        if place is not None and not place.mock:
            yield place, cite_step(facts, name)
    for item, place in positions(facts, limits):
        yield place, {"item_id": str(item.id), "device_id": str(item.device_id)}


def positions(facts: VisitFacts, limits: Limits) -> Iterator[tuple[ItemFact, Place]]:
    """Give the records of those present that say where their phone was, measured, during the visit.

    What somebody writes of it afterwards, from the office or from home, says where they are then. Without a
    check-out only its first minutes are sure to be of it.
    """
    begins = facts.arrival.earliest - limits.capture
    left = facts.departure
    ends = left.latest + limits.capture if left else facts.arrival.latest + limits.together
    for item in facts.items:
        is_of_visit = item.when.latest >= begins and item.when.earliest <= ends
        if (
            item.place is not None
            and not item.place.mock
            and item.staff_id in facts.present_team
            and is_of_visit
        ):
            yield item, item.place


def photo_elsewhere(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A photo carries a position, or the phone had one as it was captured, that is not the address (C14).

    Indoors a camera may write where it last saw satellites: such a place says nothing of the picture.
    """
    if facts.address is None:
        return
    for one in facts.evidence:
        if one.purpose == "badge" or one.kind == "scan":
            continue
        pictured = None if one.image is None or _is_placed_before(one, facts, limits) else one.image.place
        said = (("picture", pictured), ("phone", one.place))
        for whose, place in said:
            if place is None or place.mock or _metres_certainly_apart(place, facts.address, limits) == 0:
                continue
            yield Finding(
                check="photo-elsewhere",
                rule="C14",
                severity="severe" if whose == "picture" else "serious",
                claim="",
                observation={
                    "metres": round(metres_between(place, facts.address)),
                    "purpose": one.purpose,
                    "says": whose,
                },
                citation=cite(one.id),
                about=str(one.id),
            )
            break


def _is_placed_before(one: EvidenceFact, facts: VisitFacts, limits: Limits) -> bool:
    """Whether a picture's place is older than its capture, and than the picture by its own time."""
    if one.image is None or one.image.placed_at is None or one.captured_from is None:
        return False
    taken_at = said_by_picture(one.image, facts)
    taken = () if taken_at is None else (taken_at, one.captured_from.earliest)
    return bool(taken) and one.image.placed_at < min(taken) - limits.time


def impossible_travel(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Nobody gets from one visit to the next so fast, whatever the clocks and positions allow (C14).

    Of the two the one that is where it should be is only noted; where both are, one of them is made up.
    """
    here = facts.check_in
    if here is None or here.mock:
        return
    is_right = _is_there(here, facts.address, limits)
    for stop in facts.stops:
        if stop.place.mock:
            continue
        seconds = _most_seconds_between(facts, stop)
        if seconds is None or not _is_out_of_reach(here, stop, facts, limits):
            continue
        are_both_right = is_right and _is_there(stop.place, stop.address, limits)
        yield Finding(
            check="impossible-travel",
            rule="C14",
            severity="serious" if are_both_right else "note" if is_right else "severe",
            claim="arrived_at",
            observation={
                "other_visit_id": str(stop.visit_id),
                "metres": round(metres_between(here, stop.place)),
                "most_minutes": round(seconds / 60, 1),
            },
            citation=cite_step(facts, "check_in") | {"other_visit_id": str(stop.visit_id)},
            confidence=0.9,
            about=str(stop.visit_id),
        )


def _is_there(place: Place, address: Place | None, limits: Limits) -> bool:
    """Whether a check-in may have been at the address; not where nobody knows that address."""
    return address is not None and _metres_certainly_apart(place, address, limits) == 0


def _is_out_of_reach(here: Place, stop: Stop, facts: VisitFacts, limits: Limits) -> bool:
    """Whether nobody gets from one check-in to the other in the time that the clocks allow."""
    seconds = _most_seconds_between(facts, stop)
    metres = _metres_certainly_apart(here, stop.place, limits)
    return seconds is not None and metres > max(0.0, seconds) * limits.metres_per_second


def _most_seconds_between(facts: VisitFacts, stop: Stop) -> float | None:
    """Return the longest time the clocks allow between two check-ins; None when one of them is unsure."""
    if not (facts.arrival.is_trusted and stop.arrival.is_trusted):
        return None
    if stop.arrival.earliest <= facts.arrival.earliest:
        return (facts.arrival.latest - stop.arrival.earliest).total_seconds()
    return (stop.arrival.latest - facts.arrival.earliest).total_seconds()
