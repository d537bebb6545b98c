"""Has somebody of the team written this before?

Short accounts of an empty home are alike and honest, so only longer ones are compared. Numbers do not count:
whoever copies an account changes the sums and the times. The workflow hands over a bounded number of earlier
accounts, so the work of one visit does not grow with the number of all visits.
"""

import re
from collections.abc import Iterator
from typing import Final

from rapidfuzz import fuzz, process

from server.reconcile.facts import Limits, VisitFacts
from server.reconcile.finding import Finding
from server.reconcile.narrative.spelling import narrow

_NUMBER: Final = re.compile(r"[\d零〇一二两三四五六七八九十百千万.,:/]+")
_BLANK: Final = re.compile(r"\s+")
MOST_COMPARED: Final = 4_000


def bare(narrative: str) -> str:
    """Return a narrative without its numbers and blanks, as far as it is compared."""
    return _NUMBER.sub("0", _BLANK.sub("", narrow(narrative[:MOST_COMPARED])))


def repeated_narrative(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The narrative is nearly one of an earlier visit: the closest one is named (C17)."""
    if facts.account is None:
        return
    mine = bare(facts.account.narrative)
    if len(mine) < limits.alike_characters:
        return
    earlier = sorted(facts.earlier_accounts, key=lambda one: one.account_id)
    closest = process.extractOne(
        mine,
        [bare(one.narrative) for one in earlier],
        scorer=fuzz.ratio,
        score_cutoff=limits.alike * 100,
    )
    if closest is None:
        return
    _, score, place = closest
    is_same = earlier[place].narrative == facts.account.narrative
    yield Finding(
        check="narrative-repeated",
        rule="C17",
        severity="serious" if is_same else "minor",
        claim="narrative",
        observation={"other_visit_id": str(earlier[place].visit_id), "alike": round(score / 100, 3)},
        citation={
            "account_id": str(facts.account.id),
            "other_account_id": str(earlier[place].account_id),
            "places": [{"from": 0, "until": len(facts.account.narrative)}],
        },
        confidence=0.6,
    )
