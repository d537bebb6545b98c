"""Which values do the rules have on a day, and where do they come from?

A pack is a TOML file of parameters, each with rule id, instrument, article, grade and effective dates.
Packs are layered law -> standard -> association -> client -> house; where several set one parameter the
strictest value wins. A `draft` parameter is shown and never used; a client overlay may only tighten.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.rules.catalogue import catalogue

LAYERS = ("law", "standard", "association", "client", "house")


class PackError(Exception):
    """A pack cannot be used; the message names the file, the place and the reason."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value with its source."""

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

    def is_effective(self, on: date) -> bool:
        """Whether the value counts on a day: active, begun and not ended."""
        begun = self.effective_from <= on
        return self.status == "active" and begun and (self.effective_to is None or on < self.effective_to)


@dataclass(frozen=True, slots=True)
class PackFile:
    """One pack as written."""

    id: str
    version: int
    layer: str
    title: str
    timezone: str
    parameters: tuple[Parameter, ...]
    checklist: tuple[tuple[str, str], ...]

    @property
    def ident(self) -> str:
        """Name and version, as verdicts quote it."""
        return f"{self.id}@{self.version}"


@dataclass(frozen=True, slots=True)
class RulePack:
    """The values that judge. Every field is a parameter of the same name, or says so."""

    ident: str
    timezone: str
    checklist: tuple[tuple[str, str], ...]
    window_opens: time
    window_closes: time
    latest_start: time
    ban_holidays: bool
    banned_weekdays: frozenset[int]
    visits_per_day: int
    visits_per_day_ceiling: int
    evidence_days: int
    hardship_visits: int
    hardship_period_days: int
    hardship_team_max: int
    team_max: int
    team_min: int
    exam_pass_score: int
    exam_attempts: int
    balance_max_age_days: int
    small_balance_fen: int
    ground_call_days: int
    ground_letter_working_days: int
    report_due_working_days: int

    @property
    def zone(self) -> ZoneInfo:
        """The pack's time zone."""
        return ZoneInfo(self.timezone)


def _a_number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("must be a whole number, 0 or more")
    return value


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
PARAMETERS: Mapping[str, tuple[Callable[[Any], Any], Strictest]] = {
    "window_opens": (_a_time, max),
    "window_closes": (_a_time, min),
    "latest_start": (_a_time, min),
    "ban_holidays": (_a_switch, max),
    "banned_weekdays": (_weekdays, _union),
    "visits_per_day": (_a_number, min),
    "visits_per_day_ceiling": (_a_number, min),
    "evidence_days": (_a_number, min),
    "hardship_visits": (_a_number, min),
    "hardship_period_days": (_a_number, max),
    "hardship_team_max": (_a_number, min),
    "team_max": (_a_number, min),
    "team_min": (_a_number, max),
    "exam_pass_score": (_a_number, max),
    "exam_attempts": (_a_number, min),
    "balance_max_age_days": (_a_number, min),
    "small_balance_fen": (_a_number, max),
    "ground_call_days": (_a_number, max),
    "ground_letter_working_days": (_a_number, max),
    "report_due_working_days": (_a_number, min),
}


def read_pack(text: str, *, origin: str) -> PackFile:
    """Parse one pack; PackError names `origin` and the place of the first fault."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"{origin}: not valid TOML: {error}") from None
    try:
        ident = f"{raw['id']}@{_a_number(raw['version'])}"
        if raw["layer"] not in LAYERS:
            raise PackError(f"{origin}: layer is {raw['layer']!r}; it is one of {', '.join(LAYERS)}")
        ZoneInfo(raw["timezone"])
        parameters = tuple(
            _read_parameter(name, given, raw=raw, ident=ident, origin=origin)
            for name, given in raw["parameters"].items()
        )
        checklist = tuple((str(item["key"]), str(item["rule"])) for item in raw.get("checklist", []))
    except KeyError as error:
        raise PackError(f"{origin}: {error.args[0]!r} is missing") from None
    except (ValueError, TypeError, AttributeError, ZoneInfoNotFoundError) as error:
        raise PackError(f"{origin}: {error}") from None
    return PackFile(
        id=str(raw["id"]),
        version=raw["version"],
        layer=raw["layer"],
        title=str(raw.get("title", "")),
        timezone=raw["timezone"],
        parameters=parameters,
        checklist=checklist,
    )


def _read_parameter(name: str, given: Any, *, raw: Mapping[str, Any], ident: str, origin: str) -> Parameter:
    place = f"{origin}: parameters.{name}"
    if name not in PARAMETERS:
        raise PackError(f"{place}: no rule knows this parameter")
    try:
        value = PARAMETERS[name][0](given["value"])
        parameter = Parameter(
            name=name,
            value=value,
            rule=given["rule"],
            instrument=given.get("instrument") or raw["instrument"],
            article=given["article"],
            grade=given["grade"],
            status=given.get("status", "active"),
            effective_from=given.get("effective_from") or raw["effective_from"],
            effective_to=given.get("effective_to"),
            pack=ident,
        )
    except KeyError as error:
        raise PackError(f"{place}: {error.args[0]!r} is missing") from None
    except (ValueError, TypeError) as error:
        raise PackError(f"{place}: {error}") from None
    if parameter.rule not in catalogue():
        raise PackError(f"{place}: rule {parameter.rule!r} is not in the catalogue")
    if parameter.status not in ("active", "draft"):
        raise PackError(f"{place}: status is {parameter.status!r}; it is active or draft")
    if parameter.grade == "?" and parameter.status == "active":
        raise PackError(f"{place}: an unverified value (grade ?) must be a draft")
    return parameter


def combine(packs: Sequence[PackFile], *, on: date) -> RulePack:
    """Return the strictest effective value of every parameter on a day.

    PackError: a parameter that nobody sets, packs of different time zones, or a client that loosens.
    """
    if len({pack.timezone for pack in packs}) != 1:
        raise PackError("packs of different time zones cannot be combined: choose one pack per place")
    values: dict[str, Any] = {}
    for name, (_, strictest) in PARAMETERS.items():
        effective = [
            (pack, parameter)
            for pack in packs
            for parameter in pack.parameters
            if parameter.name == name and parameter.is_effective(on)
        ]
        if not effective:
            raise PackError(f"no pack sets {name} on {on}")
        values[name] = strictest([parameter.value for _, parameter in effective])
        _refuse_loosening(name, effective, strictest)
    if values["window_opens"] >= values["window_closes"]:
        raise PackError("the visit window is empty: window_opens is not before window_closes")
    ordered = sorted(packs, key=lambda pack: -LAYERS.index(pack.layer))
    return RulePack(
        ident="+".join(pack.ident for pack in ordered),
        timezone=ordered[0].timezone,
        checklist=tuple(dict.fromkeys(item for pack in ordered for item in pack.checklist)),
        **values,
    )


def _refuse_loosening(
    name: str, effective: Sequence[tuple[PackFile, Parameter]], strictest: Strictest
) -> None:
    """A client overlay may only tighten: its value must be what strictness chooses against the others."""
    others = [parameter.value for pack, parameter in effective if pack.layer != "client"]
    for pack, parameter in effective:
        if pack.layer == "client" and others and strictest([parameter.value, *others]) != parameter.value:
            raise PackError(
                f"{pack.ident}: parameters.{name}: a client may only tighten, "
                f"{parameter.value} is looser than {strictest(others)}"
            )


@cache
def available() -> Mapping[str, PackFile]:
    """Return the packs that ship with the product, by id."""
    here = Path(__file__).parent / "packs"
    packs = (read_pack(path.read_text("utf-8"), origin=path.name) for path in sorted(here.glob("*.toml")))
    return {pack.id: pack for pack in packs}


@cache
def load(name: str, on: date) -> RulePack:
    """Return the values of a pack, or of several joined by "+", on a day.

    A name may carry the version it expects ("cn.house@1"). PackError when there is no such pack.
    """
    chosen: list[PackFile] = []
    for part in name.split("+"):
        wanted, _, version = part.partition("@")
        pack = available().get(wanted)
        if pack is None or (version and version != str(pack.version)):
            known = ", ".join(sorted(pack.ident for pack in available().values()))
            raise PackError(f"there is no pack {part!r}; there are: {known}")
        chosen.append(pack)
    return combine(chosen, on=on)


FIELDS = frozenset(field.name for field in fields(RulePack)) - {"ident", "timezone", "checklist"}
if set(PARAMETERS) != FIELDS:
    raise AssertionError(f"RulePack and PARAMETERS differ: {FIELDS ^ set(PARAMETERS)}")
