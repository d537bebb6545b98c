"""Pauses: doubling, jittered, bounded, and never shorter than the office asked."""

import random
from datetime import timedelta

import httpx
import pytest

from sync.patience import MOST_ASKED, MOST_BY_OTHERS, BackOff, retry_after


@pytest.mark.parametrize(
    ("failures", "jitter", "pause"), [(1, 0.0, 0), (1, 0.5, 1), (2, 0.5, 2), (4, 0.5, 8), (100, 0.5, 150)]
)
def test_pauses_double_with_full_jitter_up_to_five_minutes(
    failures: int, jitter: float, pause: float
) -> None:
    assert BackOff().wait(failures, jitter=jitter) == timedelta(seconds=pause)


def test_a_thousand_phones_do_not_come_back_together() -> None:
    dice = random.Random(3)

    pauses = sorted(BackOff().wait(6, jitter=dice.random()).total_seconds() for _ in range(1000))

    busiest = max(
        sum(1 for pause in pauses if begin <= pause < begin + 1) for begin in range(int(pauses[-1]) + 1)
    )
    assert pauses[-1] > 60 and busiest < 40  # 64 seconds wide: evenly would be 16 a second


def test_what_the_office_asked_for_is_a_lower_bound_with_jitter_on_top() -> None:
    asked = timedelta(minutes=10)

    assert BackOff().wait(1, jitter=0, asked=asked) == asked
    assert BackOff().wait(3, jitter=0.5, asked=asked) == asked + timedelta(seconds=4)


def test_nobody_on_the_way_can_silence_a_phone_for_years() -> None:
    assert BackOff().wait(1, jitter=0, asked=timedelta(days=4000)) == MOST_ASKED
    asked = {"Retry-After": "9" * 40}
    assert retry_after(asked, is_office=True) == MOST_ASKED.total_seconds()
    assert retry_after(asked, is_office=False) == MOST_BY_OTHERS.total_seconds()


DATE = "Tue, 24 Nov 2026 04:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": " 120 "}, 120),
        ({"Retry-After": "Tue, 24 Nov 2026 04:02:00 GMT", "Date": DATE}, 120),
        ({"Retry-After": "Tue, 24 Nov 2026 03:00:00 GMT", "Date": DATE}, 0),
        ({"Retry-After": "Wed, 25 Nov 2026 04:00:00 GMT", "Date": DATE}, 3600),
        ({"Retry-After": "Tue, 24 Nov 2026 04:02:00 GMT"}, None),  # the phone's clock is no measure
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "Tue, 99 Nov 2026 04:02:00 GMT", "Date": DATE}, None),
    ],
    ids=str,
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], asked: int | None) -> None:
    raw = httpx.Headers([(key.encode(), value.encode()) for key, value in headers.items()])

    assert retry_after(raw, is_office=True) == asked
