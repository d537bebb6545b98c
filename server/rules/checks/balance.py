"""Is the amount known, and large enough to knock for? (C4, B18)"""

from collections.abc import Iterator
from typing import Any

from server.rules.check import Check, CheckAfterwards
from server.rules.facts import CaseFacts, WantedVisit
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
    if facts.case.outstanding_fen < pack.small_balance_fen:
        about: dict[str, Any] = {
            "outstanding_fen": facts.case.outstanding_fen,
            "limit_fen": pack.small_balance_fen,
            "source": pack.source_of("small_balance_fen"),
        }
        yield a_reason("B18", "small-balance", "approval", **about)


CHECKS = (Check(("C4",), balance_is_fresh), Check(("B18",), balance_is_not_small))
AFTERWARDS: tuple[CheckAfterwards, ...] = ()
