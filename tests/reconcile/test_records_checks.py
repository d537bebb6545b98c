"""Records, clocks, phones and people of a visit: on both sides of each threshold, and the honest phone."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from server.reconcile.engine import reconcile
from server.reconcile.facts import ChainGap, ItemFact, Limits, LooseFile, PaymentFact, PhoneFact, Place
from server.reconcile.finding import Finding
from sync.clock import Interval
from tests.reconcile.honest import ANNA, AWAY, BO, EVE, HOME, HONEST, OVERDUE, TEN, at, minutes

PHONE, OTHER_PHONE = UUID(int=5), UUID(int=6)
LONG_AGO = TEN - timedelta(days=300)


def findings(**changes: Any) -> tuple[Finding, ...]:
    return reconcile(replace(HONEST, **changes), Limits()).findings


def found(**changes: Any) -> list[tuple[str, str]]:
    """Check and severity of what the honest visit with these changes raises."""
    return [(one.check, one.severity) for one in findings(**changes)]


def a_record(
    seq: int = 1,
    *,
    when: datetime = TEN,
    wrong_by: timedelta = timedelta(0),
    counted: timedelta | None = None,
    trusted: bool = True,
    **facts: Any,
) -> ItemFact:
    """A record of an honest clock; `counted` is how long the phone has run since it was switched on."""
    counted = when - (TEN - timedelta(hours=2)) if counted is None else counted
    wall = when + wrong_by
    known = at(when) if trusted else Interval(wall - minutes(10), wall + minutes(10), "wall")
    defaults: dict[str, Any] = {
        "id": UUID(int=100 + seq),
        "device_id": PHONE,
        "staff_id": ANNA,
        "type": "visit.evidence",
        "boot_id": "boot",
    }
    return ItemFact(
        **{
            **defaults,
            "seq": seq,
            "when": known,
            "wall": wall,
            "monotonic_ms": counted // timedelta(milliseconds=1),
            **facts,
        }
    )


def a_phone_of(staff: UUID = ANNA, **facts: Any) -> PhoneFact:
    return PhoneFact(**{"id": PHONE, "staff_id": staff, "enrolled_at": LONG_AGO, **facts})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"departure": None}, []),
        ({"departure": None, **OVERDUE}, [("step-unrecorded", "minor")]),
        ({"has_check_in": False, **OVERDUE}, [("step-unrecorded", "serious")]),
        ({"departure": None, "account": None, "revisions": (), **OVERDUE}, []),
        (OVERDUE, []),
    ],
    ids=["may still come", "no check-out", "no check-in", "nothing told", "all there"],
)
def test_what_the_account_tells_of_has_its_records(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert found(**changes) == expected


@pytest.mark.parametrize(
    ("facts", "severity"),
    [
        ({"when": TEN + minutes(25)}, "note"),
        ({"when": TEN + minutes(31)}, "minor"),
        ({"when": TEN + minutes(25), "trusted": False}, "minor"),
        ({"when": TEN + minutes(25), "type": "visit.ended"}, "minor"),
    ],
    ids=["offline", "written late", "by a clock nobody vouches for", "another record"],
)
def test_an_account_that_was_written_in_time_and_came_late_is_a_note(
    facts: dict[str, Any], severity: str
) -> None:
    record = a_record(**{"type": "visit.account", **facts})

    assert found(account_due_at=TEN + minutes(30), items=(record,)) == [("account-late", severity)]


def test_missing_numbers_and_loose_files_count_once_the_phone_s_time_is_over() -> None:
    absent: dict[str, Any] = {
        "chain_gaps": (ChainGap(PHONE, 4, 9, 2),),
        "loose_files": (LooseFile(UUID(int=70), TEN + minutes(9)),),
    }

    assert found(**absent) == []
    gap, loose = findings(**absent, **OVERDUE)
    assert (gap.check, gap.severity, gap.citation["from_seq"], gap.observation) == (
        "chain-gap",
        "serious",
        4,
        {"missing": 2},
    )
    assert (loose.check, loose.severity, loose.citation) == (
        "loose-file",
        "minor",
        {"evidence_id": str(UUID(int=70))},
    )


def revoked(*written_at: datetime, when: datetime = TEN, trusted: bool = True) -> dict[str, Any]:
    return {
        "phones": (a_phone_of(revoked_at=when),),
        "items": tuple(
            a_record(n, when=one, is_of_revoked_key=True, trusted=trusted)
            for n, one in enumerate(written_at, 1)
        ),
    }


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        (revoked(TEN - minutes(5), TEN - minutes(1)), "note"),
        (revoked(TEN - minutes(5), TEN + minutes(1)), "serious"),
        (revoked(TEN), "minor"),
        (revoked(TEN + minutes(9), trusted=False), "minor"),
        (revoked(TEN + minutes(11), trusted=False), "serious"),
    ],
    ids=["delivered late", "used afterwards", "cannot be told", "within the doubt", "beyond the doubt"],
)
def test_a_revoked_phone_counts_for_what_it_wrote_afterwards(changes: dict[str, Any], severity: str) -> None:
    assert found(**changes) == [("key-revoked", severity)]


def test_a_phone_revoked_after_it_delivered_and_its_successor_are_honest() -> None:
    phones = (a_phone_of(revoked_at=TEN + minutes(30)), a_phone_of(id=OTHER_PHONE, enrolled_at=TEN))

    assert found(phones=phones, items=(a_record(),)) == []


NO_DOUBT = timedelta(0)
CLOCKS = [
    ("steady", [NO_DOUBT, NO_DOUBT], {}, []),
    ("wrong all the time", [minutes(90), minutes(90)], {}, []),
    ("put right by the network", [minutes(90), NO_DOUBT], {}, []),
    ("set back", [NO_DOUBT, -minutes(90)], {}, [("clock-changed", "serious")]),
    ("set from wrong to as wrong", [minutes(30), -minutes(31)], {}, [("clock-changed", "serious")]),
    ("just within", [NO_DOUBT, minutes(5)], {}, []),
    ("just beyond", [NO_DOUBT, minutes(5.1)], {}, [("clock-changed", "serious")]),
    ("nobody knows the time", [NO_DOUBT, minutes(90)], {"trusted": False}, [("clock-changed", "note")]),
]


@pytest.mark.parametrize(
    ("wrong_by", "facts", "expected"), [row[1:] for row in CLOCKS], ids=[row[0] for row in CLOCKS]
)
def test_a_clock_that_is_set_wrong_is_found_and_one_that_is_put_right_is_not(
    wrong_by: list[timedelta], facts: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    items = tuple(
        a_record(n, when=TEN + minutes(n), wrong_by=one, **facts) for n, one in enumerate(wrong_by, 1)
    )

    assert found(items=items) == expected


def test_a_phone_that_started_anew_or_another_phone_has_another_clock() -> None:
    first = a_record(1)
    anew = a_record(2, when=TEN + minutes(5), wrong_by=-timedelta(days=900), boot_id="next", trusted=False)
    other = a_record(3, wrong_by=minutes(60), device_id=OTHER_PHONE)

    assert found(items=(first, anew, other)) == []


def test_a_count_beyond_all_time_is_a_jump_and_no_failure() -> None:
    items = (a_record(1), replace(a_record(2), monotonic_ms=10**30))

    assert found(items=items) == []


def along(staff: UUID, place: Place, *, when: datetime = TEN, seq: int = 1, **facts: Any) -> ItemFact:
    device = PHONE if staff == ANNA else OTHER_PHONE
    return a_record(seq, when=when, staff_id=staff, device_id=device, place=place, **facts)


# AWAY is 1,495 m from HOME and states 15 m; 0.0064 degrees of longitude are about 547 m here.
NEAR = Place(HOME.lat, HOME.lon + 0.0064)
TRACKS = [
    ("far apart", along(BO, AWAY), [("tracks-disagree", "serious")]),
    ("just beyond", along(BO, NEAR), [("tracks-disagree", "serious")]),
    ("parking the car", along(BO, replace(NEAR, accuracy_m=30)), []),
    ("a quarter of an hour later", along(BO, AWAY, when=TEN + minutes(15)), []),
    ("fourteen minutes later", along(BO, AWAY, when=TEN + minutes(14)), [("tracks-disagree", "serious")]),
    ("nobody knows when", along(BO, AWAY, trusted=False), []),
    ("a position from a program", along(BO, replace(AWAY, mock=True)), []),
    ("somebody else's phone", along(EVE, AWAY), []),
    ("the same person's", along(ANNA, AWAY, seq=2), []),
]


@pytest.mark.parametrize(("minutes_in", "expected"), [(25, [("tracks-disagree", "serious")]), (26, [])])
def test_two_may_part_when_they_have_left(minutes_in: int, expected: list[tuple[str, str]]) -> None:
    at_the_door = along(ANNA, HOME, when=TEN + minutes(19))
    on_the_way = along(BO, AWAY, when=TEN + minutes(minutes_in))

    assert found(items=(at_the_door, on_the_way)) == expected


@pytest.mark.parametrize(("other", "expected"), [row[1:] for row in TRACKS], ids=[row[0] for row in TRACKS])
def test_two_of_a_team_are_in_one_place(other: ItemFact, expected: list[tuple[str, str]]) -> None:
    assert found(items=(along(ANNA, HOME), other)) == expected


SILENT = {"items": (a_record(),), **OVERDUE}
PHONES = [
    ("always writes, too", a_phone_of(BO, wrote_beside=(5, 5)), [("solo-device", "minor")]),
    ("nearly always", a_phone_of(BO, wrote_beside=(4, 5)), [("solo-device", "minor")]),
    ("often", a_phone_of(BO, wrote_beside=(3, 5)), []),
    ("a habit of four days", a_phone_of(BO, wrote_beside=(4, 4)), []),
    ("one phone a team", a_phone_of(BO, wrote_beside=(0, 5)), []),
    ("lost before", a_phone_of(BO, wrote_beside=(5, 5), revoked_at=TEN - minutes(1)), []),
    ("not of the team", a_phone_of(EVE, wrote_beside=(5, 5)), []),
    ("the one that wrote", a_phone_of(ANNA, wrote_beside=(5, 5)), []),
]


@pytest.mark.parametrize(("phone", "expected"), [row[1:] for row in PHONES], ids=[row[0] for row in PHONES])
def test_one_phone_of_two_is_found_only_against_the_team_mate_s_habit(
    phone: PhoneFact, expected: list[tuple[str, str]]
) -> None:
    assert found(phones=(phone,), **SILENT) == expected


def test_a_second_phone_may_deliver_until_its_time_is_over() -> None:
    phones = (a_phone_of(BO, wrote_beside=(5, 5)),)

    assert found(phones=phones, items=(a_record(),)) == []


@pytest.mark.parametrize(("by", "severity"), [(BO, "serious"), (EVE, "note"), (None, "note")])
def test_a_payment_that_no_statement_shows_weighs_when_the_team_entered_it(
    by: UUID | None, severity: str
) -> None:
    entry = PaymentFact(UUID(int=80), 50_000, TEN.date(), by, None)

    (one,) = findings(payments=(entry,))

    assert (one.check, one.rule, one.severity) == ("payment-unconfirmed", "C3", severity)
    assert one.citation == {"payment_id": str(entry.id)}


def test_a_record_that_the_phones_key_did_not_sign_is_found_though_the_office_accepted_it() -> None:
    records = (a_record(1), a_record(2, is_signed=False, type="visit.account"), a_record(3))

    (one,) = findings(items=records)

    assert (one.check, one.rule, one.severity) == ("signature-invalid", "C14", "serious")
    assert one.citation == {"item_id": str(records[1].id), "device_id": str(PHONE)}
    assert found(items=(a_record(1), a_record(2), a_record(3))) == []


def test_a_fork_names_the_first_record_whose_number_another_has() -> None:
    records = (a_record(2, is_forked=True), a_record(3, is_forked=True), a_record(1))

    (one,) = findings(items=records, flags=frozenset({"chain_fork"}))

    assert one.citation == {"item_id": str(records[0].id), "device_id": str(PHONE)}
