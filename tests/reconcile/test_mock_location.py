"""What does a position that another program gave weigh? Only what the phones say besides it does."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from server.reconcile.engine import reconcile
from server.reconcile.facts import Limits, Place, Stop
from tests.reconcile.honest import AWAY, BO, EVE, HOME, HONEST, NOISE, TEN, at, minutes
from tests.reconcile.test_records_checks import along

GIVEN = replace(NOISE, mock=True)
FAR = Place(HOME.lat + 1, HOME.lon, accuracy_m=15)
BOTH = {"check_in": GIVEN, "check_out": GIVEN}
MOCK = "mock-location"


def found(**changes: Any) -> list[tuple[str, str, str]]:
    """Check, severity and what stands besides, of what the honest visit with these changes raises."""
    findings = reconcile(replace(HONEST, **changes), Limits()).findings
    return sorted({(one.check, one.severity, str(one.observation.get("besides"))) for one in findings})


def stops(*places: Place, hours: float = 2) -> tuple[Stop, ...]:
    return tuple(
        Stop(UUID(int=200 + n), place, at(TEN + timedelta(hours=hours, minutes=n)))
        for n, place in enumerate(places)
    )


ALONE = [
    ("a receiver that is always on", {**BOTH, "stops": stops(GIVEN, GIVEN)}),
    ("a receiver that lost its battery at noon", {**BOTH, "stops": stops(GIVEN, GIVEN, HOME)}),
    ("half of the day", {**BOTH, "stops": stops(GIVEN, HOME)}),
    ("the only door of the day", BOTH),
    ("a receiver that is new today", {**BOTH, "stops": stops(HOME, HOME, hours=-24)}),
]


@pytest.mark.parametrize("changes", [row[1] for row in ALONE], ids=[row[0] for row in ALONE])
def test_a_position_from_another_program_is_no_accusation_by_itself(changes: dict[str, Any]) -> None:
    assert found(**changes) == [(MOCK, "note", "nothing")]


def test_a_program_that_is_switched_on_at_one_door_and_borne_out_by_nothing_weighs_a_little() -> None:
    assert found(**BOTH, stops=stops(HOME)) == [(MOCK, "minor", "only at this door")]
    assert found(**BOTH, stops=stops(HOME, GIVEN, HOME)) == [(MOCK, "minor", "only at this door")]


BORNE_OUT = [
    ("the check-out", {"check_in": GIVEN, "stops": stops(HOME)}),
    ("a team mate's phone", {**BOTH, "stops": stops(HOME), "items": (along(BO, HOME),)}),
]


@pytest.mark.parametrize("changes", [row[1] for row in BORNE_OUT], ids=[row[0] for row in BORNE_OUT])
def test_a_position_that_no_program_gave_bears_the_other_out(changes: dict[str, Any]) -> None:
    assert found(**changes) == [(MOCK, "note", "the same place")]


NO_HELP = [
    ("somebody else's phone", along(EVE, HOME)),
    ("one that a program gave, too", along(BO, GIVEN)),
    ("one that may be anywhere", along(BO, replace(HOME, accuracy_m=2_000))),
    ("one of hours later", along(BO, HOME, when=TEN + timedelta(hours=2))),
]


@pytest.mark.parametrize("item", [row[1] for row in NO_HELP], ids=[row[0] for row in NO_HELP])
def test_what_says_nothing_of_the_place_bears_nothing_out(item: Any) -> None:
    assert found(**BOTH, items=(item,)) == [(MOCK, "note", "nothing")]


def test_a_phone_that_was_elsewhere_in_the_visit_contradicts_the_program() -> None:
    mate = along(BO, AWAY, when=TEN + minutes(5))

    step_items = {"check_in": UUID(int=91), "check_out": UUID(int=92)}

    findings = reconcile(replace(HONEST, **BOTH, items=(mate,), step_items=step_items), Limits()).findings

    assert [(one.check, one.severity, one.claim) for one in findings] == [
        (MOCK, "serious", "arrived_at"),
        (MOCK, "serious", "left_at"),
    ]
    assert findings[0].citation == {
        "item_id": str(UUID(int=91)),
        "other_item_id": str(mate.id),
        "other_device_id": str(mate.device_id),
    }


def test_what_was_reported_hours_later_from_the_office_contradicts_nothing() -> None:
    report = along(BO, AWAY, when=TEN + timedelta(hours=3))

    assert found(**BOTH, items=(report,)) == [(MOCK, "note", "nothing")]


@pytest.mark.parametrize("is_given", [True, False])
def test_two_doors_that_nobody_reaches_in_time_contradict_the_program(is_given: bool) -> None:
    (there,) = stops(replace(FAR, mock=is_given), hours=0.1)

    rows = found(**BOTH, stops=(replace(there, address=FAR),))

    assert (MOCK, "serious", "out of reach") in rows


@pytest.mark.parametrize("address", [None, HOME])
def test_another_visit_that_is_not_where_it_should_be_contradicts_nothing_here(address: Place | None) -> None:
    there = replace(stops(replace(FAR, mock=True), hours=0.1)[0], address=address)

    assert found(**BOTH, stops=(there,)) == [(MOCK, "note", "nothing")]


def test_a_position_that_a_program_gave_supports_no_claim() -> None:
    marks = {one.claim: one.mark for one in reconcile(replace(HONEST, **BOTH), Limits()).claims}

    assert marks["arrived_at"] == "silent"


def test_a_program_that_says_elsewhere_weighs_less_than_the_phone_itself() -> None:
    elsewhere = replace(AWAY, mock=True)

    rows = reconcile(replace(HONEST, check_in=elsewhere, check_out=elsewhere), Limits()).findings
    weighs = {(one.about, one.severity, one.confidence) for one in rows if one.check == "check-in-elsewhere"}

    assert weighs == {("check_in", "serious", 0.5), ("check_out", "minor", 0.5)}
