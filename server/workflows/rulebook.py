"""Which rules are there, where do their values come from, and what would another pack have said?"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.errors import Fault, Invalid, NotFound
from server.models.dispatch import Decision
from server.rules import pack as packs
from server.rules.catalogue import Rule, catalogue
from server.rules.engine import CHECKED_RULES, judge
from server.rules.facts import CaseFacts, WantedVisit
from server.rules.json_form import from_json, to_json
from server.rules.local_time import at_local
from server.rules.pack_file import PackError
from server.rules.verdict import Verdict

# Where rules without a check of their own are kept, by their first class (rules.md, "Where each class ...").
KEPT_BY_CLASS = {
    "A": "dispatch",
    "B": "permit and checklist",
    "C": "reconciliation",
    "D": "holds, complaints, incidents",
    "E": "breaches and proposals",
    "F": "deadlines and work lists",
    "G": "training ledger",
    "H": "letters and deliveries",
    "I": "masking, encryption, feed scope, access log",
    "J": "contact ledger",
    "K": "not built",
    "T": "dispatch",
    "X": "dispatch",
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """One stored decision under another pack."""

    decision_id: UUID
    was: dict[str, Any]
    would_be: Verdict

    @property
    def differs(self) -> bool:
        """Whether the other pack gives other reasons or another answer."""
        now_said = {reason.rule for reason in self.would_be.reasons}
        then_said = {reason["rule"] for reason in self.was["reasons"]}
        return self.would_be.allowed != self.was["allowed"] or now_said != then_said


def list_rules(*, of_class: str | None = None, is_checked: bool | None = None) -> list[tuple[Rule, str]]:
    """Return the catalogue with the place where each rule is kept."""
    rows = [(rule, kept_by(rule)) for rule in catalogue().values()]
    if of_class is not None:
        rows = [(rule, place) for rule, place in rows if of_class in rule.classes]
    if is_checked is not None:
        rows = [(rule, place) for rule, place in rows if (rule.id in CHECKED_RULES) == is_checked]
    return rows


def kept_by(rule: Rule) -> str:
    """Say where a rule is kept: a check, a workflow, or nowhere on purpose."""
    return "check" if rule.id in CHECKED_RULES else KEPT_BY_CLASS[rule.classes[0]]


def list_packs() -> list[dict[str, Any]]:
    """Return the packs with every parameter and its source."""
    return [
        {
            "id": pack.id,
            "version": pack.version,
            "layer": pack.layer,
            "title": pack.title,
            "timezone": pack.timezone,
            "checklist": [to_json(item) for item in pack.checklist],
            "parameters": [
                {**to_json(parameter), "value": _plain(parameter.value)} for parameter in pack.parameters
            ],
        }
        for pack in packs.available().values()
    ]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, time) else to_json(value)


def replay(decision_id: UUID, *, pack: str) -> Replayed:
    """Judge a stored decision's facts under a pack as it stood on the day of the decision."""
    decision = db.session.get(Decision, decision_id)
    if decision is None:
        raise NotFound("decision-unknown", "There is no decision with this id.")
    return _replay(decision, pack=pack)


def replay_month(month: date, *, pack: str, limit: int) -> Iterable[Replayed]:
    """Judge a month's decisions again, oldest first; at most `limit`."""
    zone = _load(pack, month).zone
    first = at_local(month.replace(day=1), time.min, zone)
    after = at_local((month.replace(day=1) + timedelta(days=32)).replace(day=1), time.min, zone)
    query = (
        sa.select(Decision)
        .where(Decision.judged_at >= first, Decision.judged_at < after)
        .order_by(Decision.judged_at, Decision.id)
        .limit(limit)
    )
    return [_replay(decision, pack=pack) for decision in db.session.scalars(query)]


def _replay(decision: Decision, *, pack: str) -> Replayed:
    if not decision.facts:
        raise NotFound("decision-without-facts", "This decision has no stored facts to replay.")
    wanted = from_json(WantedVisit, decision.wanted)
    facts = from_json(CaseFacts, decision.facts)
    judged_on: datetime = decision.judged_at
    verdict = judge(wanted, facts, _load(pack, judged_on.date()))
    return Replayed(decision_id=decision.id, was=decision.verdict, would_be=verdict)


def _load(name: str, on: date) -> packs.RulePack:
    try:
        return packs.load(name, on)
    except PackError as error:
        faults = [Fault("/pack", str(error))]
        raise Invalid("pack-unusable", "Name a pack that exists on that day.", faults=faults) from None
