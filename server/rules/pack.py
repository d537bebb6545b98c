"""Which values do the rules have on a day?

Packs are layered law -> standard -> association -> client -> house; where several set one parameter the
strictest value wins. A `draft` parameter is shown and never judges, except in a preview; a client overlay may
only tighten. Reading one pack is `pack_file.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from server.rules.added_words import AddedWords
from server.rules.pack_file import (
    LAYERS,
    PARAMETERS,
    ChecklistItem,
    PackError,
    PackFile,
    Parameter,
    Strictest,
    read_pack,
)


@dataclass(frozen=True, slots=True)
class RulePack:
    """The values that judge. Every field is a parameter of the same name, or says so.

    `calendar` names whose public holidays count, `lexicon` the words added to those that ship, `sources` the
    parameter each value comes from. A value that may be missing is None then: nothing limits it.
    """

    ident: str
    timezone: str
    calendar: str
    checklist: tuple[ChecklistItem, ...]
    lexicon: tuple[AddedWords, ...]
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
    visits_per_calendar_month: int | None = None
    hardship_visits_per_calendar_week: int | None = None
    recording_retention_days: int | None = None
    sources: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter], compare=False, repr=False)

    @property
    def zone(self) -> ZoneInfo:
        """The pack's time zone."""
        return ZoneInfo(self.timezone)

    def source_of(self, name: str) -> dict[str, str]:
        """Name the pack, instrument and article that decide a parameter, as reasons quote them."""
        source = self.sources[name]
        return {"pack": source.pack, "instrument": source.instrument, "article": source.article}


OPTIONAL = frozenset(
    {"visits_per_calendar_month", "hardship_visits_per_calendar_week", "recording_retention_days"}
)
_ABOUT = frozenset({"ident", "timezone", "calendar", "checklist", "lexicon", "sources"})
if set(PARAMETERS) != {one.name for one in fields(RulePack)} - _ABOUT:
    raise AssertionError("RulePack and PARAMETERS name different parameters")


def combine(
    packs: Sequence[PackFile], *, on: date, with_drafts: bool = False, may_loosen: bool = False
) -> RulePack:
    """Return the strictest effective value of every parameter on a day.

    `with_drafts` answers "what if the drafts counted?"; nothing is ever judged by that. PackError: a
    parameter that nobody sets, packs of different places, a client that loosens, or values that contradict.
    `may_loosen` lets a looser client value pass, which changes nothing: a release that tightened the house
    rules must not stop the work of an agency whose overlay was entered before.
    """
    ordered = sorted(packs, key=lambda pack: -LAYERS.index(pack.layer))
    values: dict[str, Any] = {}
    sources: dict[str, Parameter] = {}
    for name in PARAMETERS:
        effective = [
            (pack, parameter)
            for pack in ordered
            for parameter in pack.parameters
            if parameter.name == name and parameter.is_effective(on, with_drafts=with_drafts)
        ]
        if effective:
            if not may_loosen:
                _refuse_loosening(name, effective)
            values[name], sources[name] = _strictest(name, effective)
        elif name not in OPTIONAL:
            raise PackError(f"no pack sets {name} on {on}")
    _refuse_contradictions(values, sources, on=on)
    return RulePack(
        ident="+".join(pack.ident for pack in ordered) + (" with drafts" if with_drafts else ""),
        timezone=_one_of_all("time zones", {pack.timezone for pack in packs}),
        calendar=_one_of_all("calendars", {pack.calendar for pack in packs if pack.calendar is not None}),
        checklist=tuple(dict.fromkeys(item for pack in ordered for item in pack.checklist)),
        lexicon=tuple(one for pack in ordered for one in pack.lexicon if one.is_effective(on)),
        sources=sources,
        **values,
    )


def _one_of_all(what: str, named: set[str]) -> str:
    if len(named) != 1:
        raise PackError(
            f"packs of different {what} ({', '.join(sorted(named)) or 'none named'}) cannot be combined: "
            "choose the packs of one place"
        )
    return named.pop()


def _refuse_loosening(name: str, effective: Sequence[tuple[PackFile, Parameter]]) -> None:
    """A client overlay may only tighten: its value must be what strictness chooses against the others."""
    strictest: Strictest = PARAMETERS[name][1]
    others = [parameter.value for pack, parameter in effective if pack.layer != "client"]
    for pack, parameter in effective:
        if pack.layer == "client" and others and strictest([parameter.value, *others]) != parameter.value:
            raise PackError(
                f"{pack.ident}: parameters.{name}: a client may only tighten, "
                f"{_shown(parameter.value)} is looser than {_shown(strictest(others))}"
            )


def _strictest(name: str, effective: Sequence[tuple[PackFile, Parameter]]) -> tuple[Any, Parameter]:
    """Return the strictest value and the parameter it comes from, the nearest layer's where several agree."""
    strictest: Strictest = PARAMETERS[name][1]
    value = strictest([parameter.value for _, parameter in effective])
    deciding = [parameter for _, parameter in effective if parameter.value == value]
    return value, (deciding or [parameter for _, parameter in effective])[0]


def _shown(value: Any) -> str:
    return str(sorted(value)) if isinstance(value, frozenset) else str(value)


def _refuse_contradictions(values: Mapping[str, Any], sources: Mapping[str, Parameter], *, on: date) -> None:
    """Refuse what cannot hold together; a latest start after closing only where one pack says both."""
    opens, closes, latest = values["window_opens"], values["window_closes"], values["latest_start"]
    says_both = sources["latest_start"].pack == sources["window_closes"].pack
    contradictions = (
        (opens >= closes, "window_closes", f"the visit window is empty: {opens} is not before {closes}"),
        (latest < opens, "latest_start", f"{latest} is before the window opens at {opens}"),
        (says_both and latest >= closes, "latest_start", f"{latest} is outside the window until {closes}"),
        (
            values["visits_per_day_ceiling"] < values["visits_per_day"],
            "visits_per_day_ceiling",
            f"{values['visits_per_day_ceiling']} is below visits_per_day, {values['visits_per_day']}",
        ),
        (
            values["team_min"] > min(values["team_max"], values["hardship_team_max"]),
            "team_min",
            f"{values['team_min']} is above team_max or hardship_team_max",
        ),
    )
    for is_contradictory, name, why in contradictions:
        if is_contradictory:
            raise PackError(f"{sources[name].pack}: parameters.{name}: on {on}: {why}")


def days_of_change(packs: Sequence[PackFile], *, since: date) -> tuple[date, ...]:
    """Return `since` and every later day on which an active value begins or ends, in order."""
    days = {since}
    for pack in packs:
        for parameter in pack.parameters:
            days |= {parameter.effective_from, parameter.effective_to or since}
    return tuple(sorted(day for day in days if day >= since))


def require_usable(packs: Sequence[PackFile], *, since: date) -> None:
    """Refuse packs that do not go together on some day from `since` on; PackError names place and day."""
    for day in days_of_change(packs, since=since):
        combine(packs, on=day)


@cache
def available() -> Mapping[str, PackFile]:
    """Return the packs that ship with the product, by id."""
    here = Path(__file__).parent / "packs"
    packs = (read_pack(path.read_text("utf-8"), origin=path.name) for path in sorted(here.glob("*.toml")))
    return {pack.id: pack for pack in packs}


def named(names: str) -> tuple[PackFile, ...]:
    """Return the shipped packs of a name such as "cn.law+cn.house"; each may carry the version it expects.

    PackError when there is no such pack.
    """
    chosen: list[PackFile] = []
    for part in names.split("+"):
        wanted, _, version = part.partition("@")
        pack = available().get(wanted)
        if pack is None or (version and version != str(pack.version)):
            known = ", ".join(sorted(pack.ident for pack in available().values()))
            raise PackError(f"there is no pack {part!r}; there are: {known}")
        chosen.append(pack)
    return tuple(chosen)


@cache
def load(names: str, on: date, *, with_drafts: bool = False) -> RulePack:
    """Return the values of one pack, or of several joined by "+". PackError: see `named`, `combine`."""
    return combine(named(names), on=on, with_drafts=with_drafts)
