"""A phone's chain: what is missing, what was removed, what was cloned."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.chain import FORK, GAP, Link, judge_links, missing_ranges
from tests.sync.made import sha


def a_chain(length: int, *, name: str = "a") -> list[Link]:
    links, prev = [], None
    for seq in range(1, length + 1):
        links.append(Link(seq=seq, prev=prev, digest=sha(f"{name}{seq}")))
        prev = links[-1].digest
    return links


@given(st.integers(1, 20), st.randoms(use_true_random=False))
def test_a_whole_chain_has_no_flags_in_any_order(length: int, dice: random.Random) -> None:
    links = a_chain(length)
    dice.shuffle(links)

    assert judge_links(links, {}) == [()] * length


@given(st.integers(2, 20), st.data())
def test_one_link_taken_out_shows_in_the_next(length: int, data: st.DataObject) -> None:
    links = a_chain(length)
    taken = data.draw(st.integers(0, length - 2))
    del links[taken]

    flags = judge_links(links, {})

    assert flags[taken] == (GAP,)
    assert [each for n, each in enumerate(flags) if n != taken] == [()] * (length - 2)


@pytest.mark.parametrize(
    ("link", "known", "flags"),
    [
        (Link(1, None, sha("b1")), {1: [sha("a1")]}, (FORK,)),
        (Link(2, sha("b1"), sha("b2")), {1: [sha("a1")]}, (FORK,)),
        (Link(2, sha("b1"), sha("b2")), {1: [sha("a1"), sha("b1")]}, ()),
        (Link(2, sha("a1"), sha("b2")), {1: [sha("a1")], 2: [sha("a2")]}, (FORK,)),
        (Link(1, sha("x"), sha("a1")), {}, (FORK,)),
        (Link(2, None, sha("a2")), {1: [sha("a1")]}, (FORK,)),
        (Link(3, sha("a2"), sha("a3")), {1: [sha("a1")]}, (GAP,)),
        (Link(1, None, sha("a1")), {1: [sha("a1")]}, ()),
    ],
    ids=[
        "two-firsts",
        "other-past",
        "known-fork",
        "two-seconds",
        "past-of-first",
        "no-past",
        "gap",
        "repeat",
    ],
)
def test_a_link_is_judged_by_its_neighbours(
    link: Link, known: dict[int, list[bytes]], flags: tuple[str, ...]
) -> None:
    assert judge_links([link], known) == [flags]


def test_two_clones_in_one_batch_both_show() -> None:
    mine, clone = a_chain(2)[1], Link(2, sha("a1"), sha("clone"))

    assert judge_links([mine, clone], {1: [sha("a1")]}) == [(FORK,), (FORK,)]


@given(st.sets(st.integers(1, 60)), st.integers(0, 60))
def test_missing_ranges_are_exactly_the_numbers_that_are_not_there(present: set[int], more: int) -> None:
    highest = max(present, default=0) + more

    ranges = missing_ranges(sorted(present), highest=highest)

    listed = [seq for first, last in ranges for seq in range(first, last + 1)]
    assert listed == [seq for seq in range(1, highest + 1) if seq not in present]
    assert all(first <= last for first, last in ranges)
