"""A request carries what the connection takes in a few seconds."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from sync.pace import FEWEST_BYTES, LEAST_BYTES, MOST_BYTES, Pace

KIB, MIB = 1024, 1024**2


def pieces(
    total: int, *, bytes_per_s: int, round_trip_ms: int = 0, pace: Pace | None = None
) -> Iterator[int]:
    """The pieces in which a file goes over a line."""
    pace = pace or Pace()
    while total:
        piece = min(total, pace.piece_bytes)
        pace.saw(piece, took_ms=round_trip_ms + piece * 1000 // bytes_per_s)
        total -= piece
        yield piece


def test_a_photo_after_the_first_goes_with_one_request_over_a_fast_line() -> None:
    pace = Pace()

    first = list(pieces(1_500_000, bytes_per_s=2 * MIB, pace=pace))
    second = list(pieces(1_500_000, bytes_per_s=2 * MIB, pace=pace))

    assert (len(first), len(second)) == (2, 1)


def test_over_a_slow_line_no_request_takes_much_longer_than_a_few_seconds() -> None:
    sent = list(pieces(4 * MIB, bytes_per_s=128 * KIB, round_trip_ms=600))

    assert max(sent) <= 4 * 128 * KIB
    assert len(sent) <= 12


def test_a_break_begins_small_again() -> None:
    pace = Pace()
    pace.saw(LEAST_BYTES, took_ms=10)
    assert pace.piece_bytes == MOST_BYTES

    pace.broke()

    assert pace.piece_bytes == LEAST_BYTES


def test_a_file_that_broke_again_and_again_goes_in_smaller_pieces() -> None:
    pace = Pace()
    pace.saw(LEAST_BYTES, took_ms=10)

    pieces = [pace.after(breaks) for breaks in (0, 1, 2, 3, 4, 5, 1000)]

    assert pieces == [MOST_BYTES, *(kib * KIB for kib in (128, 64, 32, 16, 16, 16))]


def test_a_small_file_says_nothing_bad_of_a_line() -> None:
    pace = Pace()
    pace.saw(LEAST_BYTES, took_ms=10)

    pace.saw(1000, took_ms=400)

    assert pace.piece_bytes == MOST_BYTES


def test_what_a_proxy_found_too_large_is_not_tried_again() -> None:
    pace = Pace()
    pace.saw(LEAST_BYTES, took_ms=10)

    pace.was_too_large(MOST_BYTES)
    refused = pace.piece_bytes
    pace.broke()
    pace.saw(LEAST_BYTES, took_ms=10)

    assert refused == pace.piece_bytes == MOST_BYTES // 2


@given(st.lists(st.tuples(st.integers(0, 10 * MIB), st.integers(0, 600_000), st.booleans())))
def test_whatever_a_line_does_pieces_stay_within_bounds(seen: list[tuple[int, int, bool]]) -> None:
    pace = Pace()
    for sent, took, is_too_large in seen:
        if is_too_large:
            pace.was_too_large(sent)
        else:
            pace.saw(sent, took_ms=took)

        least = FEWEST_BYTES if any(one[2] for one in seen) else LEAST_BYTES
        assert least <= pace.piece_bytes <= MOST_BYTES
        assert FEWEST_BYTES <= pace.after(3) <= pace.piece_bytes
