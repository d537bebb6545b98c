"""Is the amount known, and large enough to knock for? (C4, B18)

After the fact the age counts at the actual day, as far as the newest synchronisation tells. The amount may
have been paid at that very door: a small one is possible at most, and no matter where the visit was assigned.
"""

from collections.abc import Iterator
from typing import Any

from server.rules.check import Check, CheckAfterwards, certainty
from server.rules.facts import ActualVisit, CaseFacts, WantedVisit
from server.rules.local_time import local_day
from server.rules.pack import RulePack
from server.rules.verdict import Reason, a_reason


def balance_is_fresh(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """C4: synchronised with the client within the pack's days before the judgement."""
    as_of = facts.case.balance_as_of
    age_days = None if as_of is None else (local_day(facts.judged_at, pack.zone) - as_of).days
    if age_days is None or age_days > pack.balance_max_age_days:
        about: dict[str, Any] = {
            "balance_as_of": as_of,
            "age_days": age_days,
            "maximum_days": pack.balance_max_age_days,
            "source": pack.source_of("balance_max_age_days"),
        }
        yield a_reason("C4", "balance-stale", "block", **about)


def balance_is_not_small(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """B18: below the limit a visit needs approval, and the gentle approach."""
    yield from _judge_amount(facts, pack)


def _judge_amount(facts: CaseFacts, pack: RulePack, **more: Any) -> Iterator[Reason]:
    if facts.case.outstanding_fen < pack.small_balance_fen:
        about: dict[str, Any] = {
            "outstanding_fen": facts.case.outstanding_fen,
            "limit_fen": pack.small_balance_fen,
            "source": pack.source_of("small_balance_fen"),
        }
        yield a_reason("B18", "small-balance", "approval", **about, **more)


def balance_was_fresh(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """C4 on what happened: what was synchronised since then tells nothing about that day."""
    as_of = facts.case.balance_as_of
    ages = [
        None if as_of is None else (local_day(at, pack.zone) - as_of).days
        for at in (actual.arrival.earliest, actual.arrival.latest)
    ]
    is_stale = [age is None or age > pack.balance_max_age_days for age in ages]
    if any(is_stale):
        about: dict[str, Any] = {
            "balance_as_of": as_of,
            "age_days": ages[-1],
            "maximum_days": pack.balance_max_age_days,
            "source": pack.source_of("balance_max_age_days"),
        }
        yield a_reason("C4", "balance-stale", "block", certainty=certainty(all(is_stale)), **about)


def balance_was_not_small(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """B18 on a visit that nobody assigned."""
    if actual.assignment_id is None:
        yield from _judge_amount(facts, pack, certainty="possible")


CHECKS = (Check(("C4",), balance_is_fresh), Check(("B18",), balance_is_not_small))
AFTERWARDS = (CheckAfterwards(("C4",), balance_was_fresh), CheckAfterwards(("B18",), balance_was_not_small))
