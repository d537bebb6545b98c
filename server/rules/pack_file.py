"""What does one pack say, and where does it have it from?

A pack is a TOML file of parameters. Each names the rule it serves, its instrument, article and grade, who
verified it, and from when until when it holds; a parameter whose value changes is an array of such tables.
A fault is refused with the file, the parameter and the reason. Putting packs together is `pack.py`.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.rules.added_words import AddedWords, read_added
from server.rules.catalogue import catalogue

LAYERS: Final = ("law", "standard", "association", "client", "house")
GRADES: Final = ("P", "S", "own", "?")
MOST_DAYS: Final = 366
LONGEST_PERIOD: Final = 40
"""Rolling periods and the life of evidence, in days: visits and requests are loaded for little more."""


class PackError(Exception):
    """A pack cannot be used; the message names the file, the place and the reason."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value with its source. It holds from `effective_from` until the day before `effective_to`."""

    name: str
    value: Any
    rule: str
    instrument: str
    article: str
    grade: str
    status: str
    effective_from: date
    effective_to: date | None
    pack: str
    verified_by: str | None = None
    verified_on: date | None = None

    def is_effective(self, on: date, *, with_drafts: bool = False) -> bool:
        """Whether the value counts on a day: begun, not ended, and active (or drafts are asked for)."""
        counts = self.status == "active" or with_drafts
        return counts and self.effective_from <= on and (self.effective_to is None or on < self.effective_to)


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """What the phone asks, `before` the door opens or `inside`; `also`: further rules that it serves."""

    key: str
    rule: str
    when: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PackFile:
    """One pack as written. `calendar` names whose public holidays count; None: the other packs say it."""

    id: str
    version: int
    layer: str
    title: str
    timezone: str
    calendar: str | None
    parameters: tuple[Parameter, ...]
    checklist: tuple[ChecklistItem, ...]
    lexicon: tuple[AddedWords, ...] = ()

    @property
    def ident(self) -> str:
        """Name and version, as verdicts quote it."""
        return f"{self.id}@{self.version}"


def _a_number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise ValueError("must be a whole number, 0 or more")
    return value


def _days(value: Any, *, most: int = MOST_DAYS) -> int:
    if _a_number(value) > most:
        raise ValueError(f"must be at most {most} days")
    return value


def _a_period(value: Any) -> int:
    return _days(value, most=LONGEST_PERIOD)


def _a_time(value: Any) -> time:
    if not isinstance(value, time):
        raise ValueError("must be a TOML time such as 08:00:00")
    return value


def _a_switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _weekdays(value: Any) -> frozenset[int]:
    if not isinstance(value, list) or any(day not in range(7) for day in value):
        raise ValueError("must list weekdays, 0 (Monday) to 6 (Sunday)")
    return frozenset(value)


def _union(values: Sequence[frozenset[int]]) -> frozenset[int]:
    return frozenset().union(*values)


Strictest = Callable[[Any], Any]
PARAMETERS: Final[Mapping[str, tuple[Callable[[Any], Any], Strictest]]] = {
    "window_opens": (_a_time, max),
    "window_closes": (_a_time, min),
    "latest_start": (_a_time, min),
    "ban_holidays": (_a_switch, max),
    "banned_weekdays": (_weekdays, _union),
    "visits_per_day": (_a_number, min),
    "visits_per_day_ceiling": (_a_number, min),
    "visits_per_calendar_month": (_a_number, min),
    "evidence_days": (_a_period, min),
    "hardship_visits": (_a_number, min),
    "hardship_period_days": (_a_period, max),
    "hardship_visits_per_calendar_week": (_a_number, min),
    "hardship_team_max": (_a_number, min),
    "team_max": (_a_number, min),
    "team_min": (_a_number, max),
    "exam_pass_score": (_a_number, max),
    "exam_attempts": (_a_number, min),
    "balance_max_age_days": (_days, min),
    "small_balance_fen": (_a_number, max),
    "ground_call_days": (_a_number, max),
    "ground_letter_working_days": (_days, max),
    "report_due_working_days": (_days, min),
    "recording_retention_days": (_a_number, max),
}
"""How each parameter is read, and which of several values is the strictest."""


def read_pack(text: str, *, origin: str) -> PackFile:
    """Parse one pack; PackError names `origin` and the place of the first fault."""
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PackError(f"{origin}: not valid TOML: {error}") from None
    try:
        return _read_pack(raw, origin=origin)
    except KeyError as error:
        raise PackError(f"{origin}: {error.args[0]!r} is missing") from None
    except (ValueError, TypeError, AttributeError, OSError, ZoneInfoNotFoundError) as error:
        raise PackError(f"{origin}: {error}") from None


def _read_pack(raw: Mapping[str, Any], *, origin: str) -> PackFile:
    ident = f"{_words(raw, 'id')}@{_a_number(raw['version'])}"
    if raw["layer"] not in LAYERS:
        raise PackError(f"{origin}: layer is {raw['layer']!r}; it is one of {', '.join(LAYERS)}")
    ZoneInfo(_words(raw, "timezone"))
    checklist = tuple(_read_item(item, origin=origin) for item in raw.get("checklist", []))
    parameters = tuple(
        parameter
        for name, given in _parameters(raw).items()
        for parameter in _read_periods(name, given, raw=raw, ident=ident, origin=origin)
    )
    return PackFile(
        id=raw["id"],
        version=raw["version"],
        layer=raw["layer"],
        title=str(raw.get("title", "")),
        timezone=raw["timezone"],
        calendar=_words(raw, "calendar") if "calendar" in raw else None,
        parameters=parameters,
        checklist=checklist,
        lexicon=read_added(raw, ident=ident),
    )


def _parameters(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the table of parameters; a pack that only adds words needs none."""
    return raw.get("parameters", {}) if "lexicon" in raw else raw["parameters"]


def _read_item(given: Mapping[str, Any], *, origin: str) -> ChecklistItem:
    key = _words(given, "key")
    when, also = given.get("when", "before"), tuple(given.get("also", ()))
    item = ChecklistItem(key, _words(given, "rule"), when, also)
    for rule in (item.rule, *item.also):
        if rule not in catalogue():
            raise PackError(f"{origin}: checklist {key!r}: rule {rule!r} is not in the catalogue")
    if item.when not in ("before", "inside"):
        raise PackError(f"{origin}: checklist {key!r}: when is {item.when!r}; it is before or inside")
    return item


def _words(given: Mapping[str, Any], name: str) -> str:
    if not isinstance(given[name], str) or not 1 <= len(given[name]) <= 500:
        raise ValueError(f"{name} must be a text of 1 to 500 characters")
    return given[name]


def _read_periods(
    name: str, given: Any, *, raw: Mapping[str, Any], ident: str, origin: str
) -> Iterator[Parameter]:
    """Read a parameter's one value, or its values of several periods that do not overlap."""
    place = f"{origin}: parameters.{name}"
    if name not in PARAMETERS:
        raise PackError(f"{place}: no rule knows this parameter")
    tables: list[Any] = given if isinstance(given, list) else [given]
    periods = [_read_parameter(name, table, raw=raw, ident=ident, place=place) for table in tables]
    for earlier, later in pairwise(sorted(periods, key=lambda period: period.effective_from)):
        if earlier.effective_to is None or earlier.effective_to > later.effective_from:
            raise PackError(f"{place}: two values on {later.effective_from}; end the earlier one before")
    yield from periods


def _read_parameter(name: str, given: Any, *, raw: Mapping[str, Any], ident: str, place: str) -> Parameter:
    try:
        parameter = Parameter(
            name=name,
            value=PARAMETERS[name][0](given["value"]),
            rule=given["rule"],
            instrument=_words({"instrument": raw.get("instrument")} | given, "instrument"),
            article=_words(given, "article"),
            grade=given["grade"],
            status=given.get("status", "active"),
            effective_from=_a_day({"effective_from": raw.get("effective_from")} | given, "effective_from"),
            effective_to=_a_day(given, "effective_to") if "effective_to" in given else None,
            pack=ident,
            verified_by=_words(given, "verified_by") if "verified_by" in given else None,
            verified_on=_a_day(given, "verified_on") if "verified_on" in given else None,
        )
    except KeyError as error:
        raise PackError(f"{place}: {error.args[0]!r} is missing") from None
    except (ValueError, TypeError) as error:
        raise PackError(f"{place}: {error}") from None
    fault = _fault_of(parameter)
    if fault is not None:
        raise PackError(f"{place}: {fault}")
    return parameter


def _a_day(given: Mapping[str, Any], name: str) -> date:
    if type(given[name]) is not date:
        raise ValueError(f"{name} must be a TOML date such as 2026-01-31")
    return given[name]


def _fault_of(parameter: Parameter) -> str | None:
    if parameter.rule not in catalogue():
        return f"rule {parameter.rule!r} is not in the catalogue"
    if parameter.status not in ("active", "draft"):
        return f"status is {parameter.status!r}; it is active or draft"
    if parameter.grade not in GRADES:
        return f"grade is {parameter.grade!r}; it is one of {', '.join(GRADES)}"
    if parameter.grade == "?" and parameter.status == "active":
        return "an unverified value (grade ?) must be a draft"
    if parameter.effective_to is not None and parameter.effective_to <= parameter.effective_from:
        return f"effective_to {parameter.effective_to} is not after {parameter.effective_from}"
    return None
