"""Was the team where the assignment sent it?

Distances are geodesic on WGS-84. A place counts as elsewhere only when it is so whatever the accuracy
the phone stated. A mock location is flagged, not condemned: real external receivers look mock too.
"""

from collections.abc import Iterator
from typing import Final

from geographiclib.geodesic import Geodesic

from server.reconcile.facts import Limits, Place, Stop, VisitFacts
from server.reconcile.finding import Finding, cite

SURE: Final = 2.0  # phones state the radius that holds two fixes in three; twice as far lies one in a hundred


def metres_between(here: Place, there: Place) -> float:
    """Return the length of the shortest way over the ellipsoid."""
    return Geodesic.WGS84.Inverse(here.lat, here.lon, there.lat, there.lon, Geodesic.DISTANCE)["s12"]


def _metres_certainly_apart(here: Place, there: Place, limits: Limits) -> float:
    """Return the least distance the accuracies allow, beyond honest noise; 0 when they may be one place."""
    doubt = SURE * (here.accuracy_m + there.accuracy_m)
    return max(0.0, metres_between(here, there) - doubt - limits.place_m)


def check_in_elsewhere(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The check-in or check-out was away from the assigned address (C14)."""
    if facts.address is None:
        return
    for name, place in (("check_in", facts.check_in), ("check_out", facts.check_out)):
        if place is None or _metres_certainly_apart(place, facts.address, limits) == 0:
            continue
        yield Finding(
            check="check-in-elsewhere",
            rule="C14",
            severity="severe" if name == "check_in" else "serious",
            claim="arrived_at" if name == "check_in" else "left_at",
            observation={
                "metres": round(metres_between(place, facts.address)),
                "accuracy_m": place.accuracy_m,
                "at": name,
            },
            about=name,
        )


def mock_location(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The phone itself says that the position came from another program (C14)."""
    for name, place in (("check_in", facts.check_in), ("check_out", facts.check_out)):
        if place is not None and place.mock:
            yield Finding(
                check="mock-location",
                rule="C14",
                severity="serious",
                claim="",
                observation={"at": name},
                confidence=0.6,
                about=name,
            )


def photo_elsewhere(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A photo carries a position, or the phone had one as it was captured, that is not the address (C14)."""
    if facts.address is None:
        return
    for one in facts.evidence:
        if one.purpose == "badge":
            continue
        said = (("picture", one.image.place if one.image else None), ("phone", one.place))
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


def impossible_travel(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Nobody gets from one visit to the next so fast, whatever the clocks and positions allow (C14).

    Of the two the one that is where it should be is only noted.
    """
    here = facts.check_in
    if here is None or here.mock:
        return
    is_right = facts.address is not None and _metres_certainly_apart(here, facts.address, limits) == 0
    for stop in facts.stops:
        if stop.place.mock:
            continue
        metres = _metres_certainly_apart(here, stop.place, limits)
        seconds = _most_seconds_between(facts, stop)
        if seconds is None or metres <= max(0.0, seconds) * limits.metres_per_second:
            continue
        yield Finding(
            check="impossible-travel",
            rule="C14",
            severity="note" if is_right else "severe",
            claim="arrived_at",
            observation={
                "other_visit_id": str(stop.visit_id),
                "metres": round(metres_between(here, stop.place)),
                "most_minutes": round(seconds / 60, 1),
            },
            confidence=0.9,
            about=str(stop.visit_id),
        )


def _most_seconds_between(facts: VisitFacts, stop: Stop) -> float | None:
    """Return the longest time the clocks allow between two check-ins; None when one of them is unsure."""
    if not (facts.arrival.is_trusted and stop.arrival.is_trusted):
        return None
    if stop.arrival.earliest <= facts.arrival.earliest:
        return (facts.arrival.latest - stop.arrival.earliest).total_seconds()
    return (stop.arrival.latest - facts.arrival.earliest).total_seconds()
