"""The phone's record held against the office's: what a restored backup forgot is offered again."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from sync.chain import record_digest
from sync.envelope import DeviceKey
from sync.outbox import Outbox, Sealed
from sync.wire import write_instant
from tests.sync.made import NOON, append

KEY = DeviceKey.generate()
STRANGER = b"\x07" * 32


def handed_in(outbox: Outbox, count: int = 3) -> list[Sealed]:
    sealed = [append(outbox, KEY) for _ in range(count)]
    receipt(outbox, sealed)
    return sealed


def receipt(outbox: Outbox, sealed: Iterable[Sealed], *, outcome: str = "applied", **facts: Any) -> None:
    outbox.acknowledge(
        {
            "id": str(one.item_id),
            "outcome": outcome,
            "receipt": {"item_sha256": one.digest.hex(), "received_at": write_instant(NOON)} | facts,
        }
        for one in sealed
    )


def held(sealed: Iterable[Sealed], *others: bytes) -> bytes:
    return record_digest([*(one.digest for one in sealed), *others])


def offered(outbox: Outbox) -> list[int]:
    return [item.seq for item in outbox.next_batch(100)]


def test_an_office_that_has_everything_is_offered_nothing(outbox: Outbox) -> None:
    sealed = handed_in(outbox)
    append(outbox, KEY)  # written since, and not handed in: nobody expects the office to have it

    assert not outbox.hear_record(held(sealed))

    assert offered(outbox) == [4]


def test_nothing_is_compared_while_an_item_waits_that_the_office_may_have_by_another_way(
    outbox: Outbox,
) -> None:
    sealed = handed_in(outbox)
    brought = append(outbox, KEY)  # its answer was cut, or a rescue bundle brought it

    assert not outbox.hear_record(held([*sealed, brought]))
    assert (offered(outbox), outbox.record.doubt(held(sealed[:1]))) == ([4], None)
    receipt(outbox, [brought])

    assert outbox.hear_record(held(sealed[:1]))


@pytest.mark.parametrize("left", [0, 1, 2])
def test_an_office_that_lacks_something_is_offered_all_that_is_still_here(outbox: Outbox, left: int) -> None:
    sealed = handed_in(outbox)

    assert outbox.hear_record(held(sealed[left + 1 :], *(one.digest for one in sealed[:left])))

    assert offered(outbox) == [1, 2, 3]


def test_a_number_that_a_copied_phone_filled_hides_nothing(outbox: Outbox) -> None:
    sealed = handed_in(outbox)

    assert outbox.hear_record(held(sealed[1:], STRANGER))

    assert offered(outbox) == [1, 2, 3]


def test_a_difference_that_stays_is_answered_once_and_another_beside_it_is_noticed(outbox: Outbox) -> None:
    sealed = handed_in(outbox)
    heard = []

    for said in (held(sealed, STRANGER), held(sealed, STRANGER), held(sealed[1:], STRANGER)):
        heard.append(outbox.hear_record(said))
        receipt(outbox, sealed)

    assert heard == [True, False, True]


def test_the_same_loss_is_noticed_again_after_it_was_made_good(outbox: Outbox) -> None:
    sealed = handed_in(outbox)
    heard = []

    for said in (held(sealed[1:]), held(sealed), held(sealed[1:])):
        heard.append(outbox.hear_record(said))
        receipt(outbox, sealed)

    assert heard == [True, False, True]


def test_what_was_dropped_because_it_is_durable_still_counts(outbox: Outbox) -> None:
    sealed = handed_in(outbox, 2)
    outbox.remember(durable_through=1)
    outbox.release(now=NOON + timedelta(days=8))
    outbox.release(now=NOON + timedelta(days=9))

    assert not outbox.hear_record(held(sealed))

    assert outbox.hear_record(held(sealed[:1]))
    assert offered(outbox) == [2]


@pytest.mark.parametrize(
    "kept_elsewhere", [{"outcome": "conflicting"}, {"outcome": "quarantined", "item_sha256": "00" * 32}]
)
def test_what_the_office_keeps_beside_its_items_is_not_missed_there(
    outbox: Outbox, kept_elsewhere: dict[str, str]
) -> None:
    sealed = handed_in(outbox, 2)
    odd = append(outbox, KEY)
    receipt(outbox, [odd], **kept_elsewhere)

    assert not outbox.hear_record(held(sealed))
