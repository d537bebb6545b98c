"""Cursors: opaque, and honest about when a phone must start over."""

from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.feed import (
    Head,
    Position,
    StaleCursor,
    advance,
    continue_from,
    digest_of,
    read_cursor,
    write_cursor,
)

EPOCH, OTHER = UUID(int=1), UUID(int=2)
NUMBERS = st.integers(0, 2**53)
POSITIONS = st.builds(Position, epoch=st.uuids(), seq=NUMBERS)
BEGINNINGS = st.builds(
    lambda epoch, seq, ahead: Position(epoch, seq, floor=seq + ahead), st.uuids(), NUMBERS, st.integers(1, 99)
)
ROWS = st.tuples(st.sampled_from(["assignment", "calendar"]), st.uuids(), NUMBERS)


@given(st.dictionaries(st.text(max_size=20), POSITIONS | BEGINNINGS, max_size=3))
def test_a_cursor_comes_back_as_it_was_given(cursor: dict[str, Position]) -> None:
    assert read_cursor(write_cursor(cursor)) == cursor


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")))
def test_a_cursor_that_is_not_ours_asks_to_start_over(text: str) -> None:
    try:
        read_cursor(text)
    except StaleCursor as stale:
        assert "not one of this server's" in str(stale)


@pytest.mark.parametrize(
    ("place", "head", "after"),
    [
        (None, Head(EPOCH, 9), 0),
        (Position(EPOCH, 4), Head(EPOCH, 9), 4),
        (Position(EPOCH, 9), Head(EPOCH, 9), 9),
        (Position(OTHER, 0), Head(EPOCH, 9), 0),
        (Position(EPOCH, 5), Head(EPOCH, 9, oldest_tombstone=5), 5),
        (Position(EPOCH, 2, floor=7), Head(EPOCH, 9, oldest_tombstone=7), 2),
    ],
    ids=["new-scope", "behind", "at-head", "nothing-applied", "at-oldest-tombstone", "began-after-removals"],
)
def test_a_cursor_that_fits_goes_on(place: Position | None, head: Head, after: int) -> None:
    cursor = {} if place is None else {"staff:1": place}

    assert continue_from(cursor, {"staff:1": head}) == {"staff:1": after}


@pytest.mark.parametrize(
    ("place", "heads"),
    [
        (Position(OTHER, 4), {"staff:1": Head(EPOCH, 9)}),
        (Position(EPOCH, 10), {"staff:1": Head(EPOCH, 9)}),
        (Position(EPOCH, 4), {"staff:1": Head(EPOCH, 9, oldest_tombstone=5)}),
        (Position(EPOCH, 2, floor=7), {"staff:1": Head(EPOCH, 9, oldest_tombstone=8)}),
        (Position(EPOCH, 4), {"everyone": Head(EPOCH, 9)}),
    ],
    ids=["other-epoch", "restored-backup", "forgotten-removals", "forgotten-since-it-began", "scope-lost"],
)
def test_a_cursor_that_cannot_be_continued_starts_over(place: Position, heads: dict[str, Head]) -> None:
    with pytest.raises(StaleCursor):
        continue_from({"staff:1": place, "everyone": Position(EPOCH, 0)}, heads)


def test_a_first_sync_of_many_pages_needs_no_removal_from_before_it_began() -> None:
    heads = {"staff:1": Head(EPOCH, 9, oldest_tombstone=6)}

    first = advance({}, heads, {"staff:1": 2})
    grown = {"staff:1": Head(EPOCH, 12, oldest_tombstone=6)}
    second = advance(first, grown, {"staff:1": 4})

    assert continue_from(read_cursor(write_cursor(second)), grown) == {"staff:1": 4}
    with pytest.raises(StaleCursor):
        continue_from(second, {"staff:1": Head(EPOCH, 12, oldest_tombstone=10)})


@given(st.lists(ROWS, unique=True, max_size=8), st.randoms())
def test_a_digest_does_not_depend_on_order(rows: list[tuple[str, UUID, int]], random: Random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)

    assert digest_of(shuffled) == digest_of(rows)


@given(st.lists(ROWS, unique=True, min_size=1, max_size=8))
def test_a_digest_tells_a_missing_row_and_an_old_revision(rows: list[tuple[str, UUID, int]]) -> None:
    (kind, entity_id, rev), *others = rows

    assert digest_of(others) != digest_of(rows)
    assert digest_of([(kind, entity_id, rev + 1), *others]) != digest_of(rows)


def test_nothing_held_is_all_zeros() -> None:
    assert digest_of([]) == "0" * 64
