"""The values that ship are those of the published instruments and exact readings, each with its grade."""

from datetime import date, time
from typing import Any

import pytest

from server.rules.pack import available, load

# (value, grade, status) as the pages of instruments and rules have them; P read, S secondary, own a reading.
CHINA: dict[str, dict[str, tuple[Any, str, str]]] = {
    "cn.law": {"recording_retention_days": (730, "S", "active")},
    "cn.gbt.45251": {
        "window_opens": (time(8), "S", "active"),
        "window_closes": (time(22), "S", "active"),
    },
    "cn.cba.2026": {
        "window_opens": (time(8), "S", "active"),
        "window_closes": (time(22), "S", "active"),
        "team_min": (2, "S", "draft"),
    },
    "cn.house": {
        "window_opens": (time(8), "P", "active"),
        "window_closes": (time(21), "P", "active"),
        "latest_start": (time(20), "own", "active"),
        "ban_holidays": (True, "P", "active"),
        "banned_weekdays": (frozenset[int](), "P", "active"),
        "visits_per_day": (2, "P", "active"),
        "visits_per_day_ceiling": (3, "own", "active"),
        "evidence_days": (7, "own", "active"),
        "hardship_visits": (1, "P", "active"),
        "hardship_period_days": (7, "P", "active"),
        "hardship_visits_per_calendar_week": (1, "own", "active"),
        "hardship_team_max": (2, "P", "active"),
        "team_max": (2, "own", "active"),
        "team_min": (1, "own", "active"),
        "exam_pass_score": (80, "P", "active"),
        "exam_attempts": (2, "P", "active"),
        "balance_max_age_days": (7, "own", "active"),
        "small_balance_fen": (50_000, "P", "active"),
        "ground_call_days": (2, "own", "active"),
        "ground_letter_working_days": (7, "P", "active"),
        "report_due_working_days": (1, "own", "active"),
    },
}
# Read in the guideline itself; everything else of that pack is our completion or unverified, all of it draft.
AUSTRALIA_READ = {
    "window_opens": time(9),
    "window_closes": time(21),
    "ban_holidays": True,
    "banned_weekdays": frozenset[int](),
}


@pytest.mark.parametrize("name", CHINA)
def test_a_chinese_pack_says_what_its_instrument_says(name: str) -> None:
    said = {one.name: (one.value, one.grade, one.status) for one in available()[name].parameters}

    assert said == CHINA[name]


def test_the_australian_pack_is_all_draft_and_marks_what_nobody_verified() -> None:
    parameters = available()["au.accc"].parameters

    assert {one.status for one in parameters} == {"draft"}
    assert {one.name: one.value for one in parameters if one.grade == "P"} == AUSTRALIA_READ
    monthly = {one.name for one in parameters if one.grade == "?"}
    assert monthly == {"visits_per_day", "visits_per_day_ceiling", "visits_per_calendar_month"}


@pytest.mark.parametrize(
    ("name", "first", "before"),
    [
        ("cn.cba.2026", date(2026, 1, 30), date(2026, 1, 29)),
        ("cn.gbt.45251", date(2025, 2, 28), date(2025, 2, 27)),
    ],
)
def test_an_instrument_counts_from_its_day(name: str, first: date, before: date) -> None:
    names = f"{name}+cn.house"

    assert load(names, first).sources["window_opens"].pack == "cn.house@2"
    assert any(one.is_effective(first) for one in available()[name].parameters)
    assert not any(one.is_effective(before) for one in available()[name].parameters)


def test_no_value_without_a_source_and_no_unverified_one_that_judges() -> None:
    for pack in available().values():
        for one in pack.parameters:
            assert one.instrument and one.article and one.rule
            assert one.grade in ("P", "S", "own", "?")
            assert one.grade != "?" or one.status == "draft"
