"""Ids: whoever lists by id reads in the order of writing."""

from sync.protocol import uuid7


def test_of_two_ids_of_a_thread_the_later_is_greater_also_within_one_millisecond() -> None:
    made = [uuid7() for _ in range(5_000)]

    assert made == sorted(set(made))
    assert {one.version for one in made} == {7}
    assert len({one.int >> 80 for one in made}) < len(made) / 2, "no two fell into one millisecond"
