"""What would other rules have said of decisions that were made?

A stored decision keeps its facts, so it can be judged again under any packs: those that ship, those that were
entered, with drafts or without. Values are those of the visit's day unless another day is named. A month is
read row by row, whatever its length.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from server.database import db
from server.errors import Fault, Invalid, NotFound
from server.models.dispatch import Decision
from server.models.packs import EnteredPack
from server.rules.engine import judge
from server.rules.facts import CaseFacts, WantedVisit
from server.rules.json_form import from_json
from server.rules.local_time import at_local, local_day
from server.rules.pack import RulePack, available, combine, named
from server.rules.pack_file import PackError, PackFile
from server.rules.verdict import Verdict
from server.workflows.standing_packs import configured, read_entered

AT_ONCE: Final = 200
"""Decisions fetched at a time: memory stays flat."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One stored decision under other rules."""

    decision_id: UUID
    was: dict[str, Any]
    would_be: Verdict

    @property
    def differs(self) -> bool:
        """Whether the other rules give other reasons or another answer."""
        return self.would_be.allowed != self.was["allowed"] or self.newly != self.no_longer

    @property
    def newly(self) -> frozenset[str]:
        """The rules that speak now and did not then; a reason counts with its strength."""
        return frozenset(rule for rule, _ in self._now - self._then)

    @property
    def no_longer(self) -> frozenset[str]:
        """The rules that spoke then and do not now."""
        return frozenset(rule for rule, _ in self._then - self._now)

    @property
    def _now(self) -> set[tuple[str, str]]:
        return {(reason.rule, reason.severity) for reason in self.would_be.reasons}

    @property
    def _then(self) -> set[tuple[str, str]]:
        return {(reason["rule"], reason["severity"]) for reason in self.was["reasons"]}


@dataclass(slots=True)
class Summary:
    """Counts over many decisions. By rule: in how many it newly speaks, and in how many no longer.

    `newly_blocked`: something blocks that nothing blocked; `newly_allowed`: nothing blocks any more.
    `unreadable`: decisions without facts, or with such as this version cannot read.
    """

    judged: int = 0
    differing: int = 0
    newly_blocked: int = 0
    newly_allowed: int = 0
    unreadable: int = 0
    newly: Counter[str] = field(default_factory=Counter)
    no_longer: Counter[str] = field(default_factory=Counter)

    def add(self, one: Replayed) -> None:
        """Count one decision."""
        self.judged += 1
        self.differing += one.differs
        was_blocked = any(reason["severity"] == "block" for reason in one.was["reasons"])
        is_blocked = bool(one.would_be.blocking)
        self.newly_blocked += is_blocked and not was_blocked
        self.newly_allowed += was_blocked and not is_blocked
        self.newly.update(one.newly)
        self.no_longer.update(one.no_longer)


@dataclass(frozen=True, slots=True)
class Rules:
    """The packs to judge by. `on`: with the values of this day, else of the visit's own."""

    packs: tuple[PackFile, ...]
    with_drafts: bool = False
    on: date | None = None
    known: dict[date, RulePack] = field(default_factory=dict[date, RulePack], compare=False, repr=False)

    @property
    def zone(self) -> ZoneInfo:
        """The packs' time zone."""
        return ZoneInfo(self.packs[0].timezone)

    def for_visit(self, start: datetime) -> RulePack:
        """Return the values for a visit; Invalid when the packs say too little or contradict on that day."""
        on = self.on or local_day(start, self.zone)
        try:
            if on not in self.known:
                self.known[on] = combine(self.packs, on=on, with_drafts=self.with_drafts, may_loosen=True)
        except PackError as error:
            raise _unusable(str(error)) from None
        return self.known[on]


def rules_named(names: str, *, with_drafts: bool = False, on: date | None = None) -> Rules:
    """Return packs by name, such as "cn.law+cn.house@2+client.bank@1": shipped ones, and entered ones.

    Overlays alone are put on the configured packs; without a version the newest is taken, withdrawn or not.
    """
    chosen: list[PackFile] = []
    for part in names.split("+"):
        ident, _, version = part.partition("@")
        try:
            chosen += [_entered(ident, version)] if ident not in available() else named(part)
        except PackError as error:
            raise _unusable(str(error)) from None
    if all(pack.layer == "client" for pack in chosen):
        chosen = [*configured(), *chosen]
    return Rules(tuple(chosen), with_drafts, on)


def _entered(ident: str, version: str) -> PackFile:
    query = sa.select(EnteredPack.toml).where(EnteredPack.id == ident).order_by(EnteredPack.version.desc())
    if version:
        if not version.isdecimal() or len(version) > 15:
            raise PackError(f"{version!r} is not a version")
        query = query.where(EnteredPack.version == int(version))
    text = db.session.scalar(query.limit(1))
    if text is None:
        named(ident)  # says which packs there are
        raise PackError(f"there is no pack {ident!r}")
    return read_entered(text)


def _unusable(why: str) -> Invalid:
    detail = "Name packs that exist, go together and say enough for the day."
    return Invalid("pack-unusable", detail, faults=[Fault("/pack", why)])


def replay(decision_id: UUID, *, rules: Rules) -> Replayed:
    """Judge one stored decision's facts again."""
    decision = db.session.get(Decision, decision_id)
    if decision is None:
        raise NotFound("decision-unknown", "There is no decision with this id.")
    replayed = _replay(decision, rules=rules)
    if replayed is None:
        raise NotFound("decision-without-facts", "This decision has no stored facts to replay.")
    return replayed


def replay_page(
    month: date, *, rules: Rules, after: UUID | None, limit: int
) -> tuple[list[Replayed], Summary, UUID | None]:
    """Judge the next `limit` decisions of a month, oldest first; their counts, and where to go on."""
    summary, page, last, seen = Summary(), list[Replayed](), None, 0
    query = _of_month(month, rules.zone).order_by(Decision.judged_at, Decision.id).limit(limit)
    if after is not None:
        before = sa.select(Decision.judged_at, Decision.id).where(Decision.id == after)
        query = query.where(sa.tuple_(Decision.judged_at, Decision.id) > before.scalar_subquery())
    for decision, one in _each(query, rules=rules):
        seen, last = seen + 1, decision.id
        _count(one, summary)
        if one is not None:
            page.append(one)
    return page, summary, last if seen == limit else None


def summarise(month: date, *, rules: Rules) -> Summary:
    """Count over all decisions of a month."""
    summary = Summary()
    for _, one in _each(_of_month(month, rules.zone), rules=rules):
        _count(one, summary)
    return summary


def _count(one: Replayed | None, summary: Summary) -> None:
    if one is None:
        summary.unreadable += 1
    else:
        summary.add(one)


def _of_month(month: date, zone: ZoneInfo) -> sa.Select[Decision]:
    first = at_local(month.replace(day=1), time.min, zone)
    after = at_local((month.replace(day=1) + timedelta(days=32)).replace(day=1), time.min, zone)
    return sa.select(Decision).where(Decision.judged_at >= first, Decision.judged_at < after)


def _each(query: sa.Select[Decision], *, rules: Rules) -> Iterator[tuple[Decision, Replayed | None]]:
    """Give out decisions with their replay, from a cursor of the server; nothing is kept."""
    for decision in db.session.scalars(query.execution_options(yield_per=AT_ONCE)):
        yield decision, _replay(decision, rules=rules)


def _replay(decision: Decision, *, rules: Rules) -> Replayed | None:
    known = facts_of(decision)
    if known is None:
        return None
    wanted, facts = known
    pack = rules.for_visit(max(wanted.window_start, decision.judged_at))
    return Replayed(decision.id, decision.verdict, judge(wanted, facts, pack))


def facts_of(decision: Decision) -> tuple[WantedVisit, CaseFacts] | None:
    """Read what was asked and known; members that facts have since gained take their defaults.

    None where nothing was stored, or not enough for today's rules.
    """
    try:
        return from_json(WantedVisit, decision.wanted), from_json(CaseFacts, decision.facts)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
