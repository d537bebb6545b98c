"""How long does each clock run, and which words start or stop one?

Read once from `clocks.toml`, where every value names its rule, its line of the source and the ambiguity that
says how it is counted. What is malformed, missing or unknown is refused with the place and the reason.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from functools import cache
from pathlib import Path
from typing import Any, Final

from server.rules.catalogue import catalogue

MOST_DAYS: Final = 60
"""Longer than any clock of the source; contacts are loaded for little more (`facts.LOOK_BACK`)."""


class TimetableError(Exception):
    """The timetable cannot be used; the message names the place and the reason."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """Every duration, quota, cap and word. Working days unless the name says calendar days."""

    contact_check_days: int
    follow_up_days: int
    follow_ups_needed: int
    first_day: int
    promised_calendar_days: int
    other_days: int
    small_calendar_days: int
    small_below_fen: int
    first_hand_days: int
    other_hand_days: int
    contacts_a_month: int
    reachable_days: int
    lost_days: int
    report_weekday: int
    reminded_days: int
    persuaded_days: int
    demanded_days: int
    letter_sent_days: int
    letter_received_days: int
    cash_flow_times: tuple[time, ...]
    headquarters_after_days: int
    answered_a_day: int
    dialled_a_day: int
    unanswered_a_day: int
    hardship_call_days: int
    codes: Mapping[str, str]
    """Folded status code or flag -> stopped, promised, lost, cash_flow."""
    results: Mapping[str, str]
    """Folded result of a ledger entry -> contact_check, willing, reminded, persuaded, demanded."""

    def kind_of_code(self, code: str) -> str | None:
        """Say what a status code or special flag means for the clocks, None: nothing."""
        return self.codes.get(fold(code)) if code else None

    def meaning_of(self, result: str) -> str | None:
        """Say what the result of a ledger entry means for the clocks, None: nothing."""
        return self.results.get(fold(result)) if result else None


def fold(word: str) -> str:
    """Fold a word for comparison: case and surrounding spaces do not matter."""
    return word.strip().casefold()


def _count(value: Any, *, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"must be a whole number from 1 to {most}")
    return value


def _days(value: Any) -> int:
    return _count(value, most=MOST_DAYS)


def _number(value: Any) -> int:
    return _count(value, most=1000)


def _fen(value: Any) -> int:
    return _count(value, most=10**9)


def _weekday(value: Any) -> int:
    return _count(value, most=7)


def _times(value: Any) -> tuple[time, ...]:
    if not isinstance(value, list) or not value or not all(type(one) is time for one in value):
        raise ValueError("must be a list of times such as 10:00:00")
    if value != sorted(set(value)):
        raise ValueError("must name each time once, the earliest first")
    return tuple(value)


VALUES: Final[Mapping[tuple[str, str], tuple[str, Callable[[Any], Any]]]] = {
    ("F1", "working_days"): ("contact_check_days", _days),
    ("F2", "working_days"): ("follow_up_days", _days),
    ("F2", "contacts"): ("follow_ups_needed", _number),
    ("F4", "working_days"): ("first_day", _days),
    ("F5", "calendar_days"): ("promised_calendar_days", _days),
    ("F6", "working_days"): ("other_days", _days),
    ("F7", "calendar_days"): ("small_calendar_days", _days),
    ("F7", "below_fen"): ("small_below_fen", _fen),
    ("F8", "working_days"): ("first_hand_days", _days),
    ("F9", "working_days"): ("other_hand_days", _days),
    ("F10", "contacts"): ("contacts_a_month", _number),
    ("F11", "reachable_working_days"): ("reachable_days", _days),
    ("F11", "lost_working_days"): ("lost_days", _days),
    ("F12", "weekday"): ("report_weekday", _weekday),
    ("F14", "working_days"): ("reminded_days", _days),
    ("F15", "working_days"): ("persuaded_days", _days),
    ("F16", "working_days"): ("demanded_days", _days),
    ("F17", "working_days"): ("letter_sent_days", _days),
    ("F18", "working_days"): ("letter_received_days", _days),
    ("F19", "times"): ("cash_flow_times", _times),
    ("D30", "calendar_days"): ("headquarters_after_days", _days),
    ("J5", "calls_a_day"): ("answered_a_day", _number),
    ("J6", "calls_a_day"): ("dialled_a_day", _number),
    ("J8", "calendar_days"): ("hardship_call_days", _days),
    ("J18", "calls_a_day"): ("unanswered_a_day", _number),
}
"""Rule and key in the file -> the field, and how its value is read."""
WITHOUT_VALUES: Final = frozenset({"F3", "F20"})
RULES: Final = frozenset(rule for rule, _ in VALUES) | WITHOUT_VALUES
ABOUT: Final = frozenset({"line", "reading"})
CODES: Final = ("stopped", "promised", "lost", "cash_flow")
RESULTS: Final = ("contact_check", "willing", "reminded", "persuaded", "demanded")


def read_timetable(text: str, *, origin: str = "clocks.toml") -> Timetable:
    """Read a timetable; TimetableError names the place and the reason of what cannot be used."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TimetableError(f"{origin}: not valid TOML: {error}") from None
    _require(set(raw) == {"clocks", "codes", "results"}, origin, "has clocks, codes and results, no more")
    fields = _read_values(_table(raw, "clocks", origin), origin=f"{origin}: clocks")
    codes = _read_words(_table(raw, "codes", origin), CODES, origin=f"{origin}: codes")
    results = _read_words(_table(raw, "results", origin), RESULTS, origin=f"{origin}: results")
    return Timetable(**fields, codes=codes, results=results)


@cache
def timetable() -> Timetable:
    """Return the timetable of the house."""
    return read_timetable(Path(__file__).with_name("clocks.toml").read_text("utf-8"))


def _require(is_so: bool, place: str, reason: str) -> None:
    if not is_so:
        raise TimetableError(f"{place}: {reason}")


def _table(given: Mapping[str, Any], name: str, place: str) -> Mapping[str, Any]:
    table = given.get(name)
    _require(isinstance(table, dict), f"{place}.{name}", "is missing or no table")
    assert isinstance(table, dict)
    return table


def _read_values(clocks: Mapping[str, Any], *, origin: str) -> dict[str, Any]:
    missing = sorted(RULES - set(clocks))
    _require(not missing, origin, f"{', '.join(missing)} missing")
    fields: dict[str, Any] = {}
    for rule in clocks:
        place = f"{origin}.{rule}"
        _require(rule in RULES, place, "no clock or cap has this rule")
        given = _table(clocks, rule, origin)
        _check_source(rule, given, place=place)
        expected = {key for known, key in VALUES if known == rule}
        unknown = sorted(set(given) - expected - ABOUT)
        _require(not unknown, place, f"{', '.join(unknown)} means nothing here")
        for key in sorted(expected):
            _require(key in given, f"{place}.{key}", "is missing")
            field, reader = VALUES[rule, key]
            try:
                fields[field] = reader(given[key])
            except ValueError as error:
                raise TimetableError(f"{place}.{key}: {error}") from None
    return fields


def _check_source(rule: str, given: Mapping[str, Any], *, place: str) -> None:
    line = catalogue()[rule].line
    _require(given.get("line") == line, f"{place}.line", f"is not {line}, where the source has {rule}")
    reading = given.get("reading")
    _require(isinstance(reading, str) and reading != "", f"{place}.reading", "must say how it is counted")


def _read_words(given: Mapping[str, Any], kinds: tuple[str, ...], *, origin: str) -> dict[str, str]:
    _require(set(given) == set(kinds), origin, f"has {', '.join(kinds)}, no more and no less")
    found: dict[str, str] = {}
    for kind in kinds:
        place = f"{origin}.{kind}"
        table = _table(given, kind, origin)
        _require(set(table) == {"rule", "words"}, place, "has rule and words")
        _require(table["rule"] in catalogue(), f"{place}.rule", f"{table['rule']!r} is not in the catalogue")
        words = table["words"]
        is_list = isinstance(words, list) and all(isinstance(one, str) and fold(one) for one in words)
        _require(is_list and words != [], f"{place}.words", "must be a list of words")
        for word in words:
            taken = found.setdefault(fold(word), kind)
            _require(taken == kind, f"{place}.words", f"{word!r} already means {taken}")
    return found
