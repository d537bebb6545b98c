"""Cursors: opaque, and honest about when a phone must start over."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.feed import Head, Position, StaleCursor, continue_from, read_cursor, write_cursor

EPOCH, OTHER = UUID(int=1), UUID(int=2)
POSITIONS = st.builds(Position, epoch=st.uuids(), seq=st.integers(0, 2**53))


@given(st.dictionaries(st.text(max_size=20), POSITIONS, max_size=3))
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
    ],
    ids=["new-scope", "behind", "at-head", "nothing-applied", "at-oldest-tombstone"],
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
        (Position(EPOCH, 4), {"everyone": Head(EPOCH, 9)}),
    ],
    ids=["other-epoch", "restored-backup", "forgotten-removals", "scope-lost"],
)
def test_a_cursor_that_cannot_be_continued_starts_over(place: Position, heads: dict[str, Head]) -> None:
    with pytest.raises(StaleCursor):
        continue_from({"staff:1": place, "everyone": Position(EPOCH, 0)}, heads)
