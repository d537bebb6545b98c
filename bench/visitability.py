"""How long does "which of 100,000 cases may be visited on that day?" take?

On an embedded PostgreSQL, a crowd in every state (`tests.crowd`). Prints, from one run: the whole answer; a
bare read of the cases' rows over the same connection as the limit; and 500 of them judged one by one, scaled
up, as what it would be without situations.

Run: `python -m bench.visitability [--cases 100000] [--json FILE]`.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.stage import a_product
from server.database import db
from server.rules import pack as packs
from server.rules.local_time import at_local
from server.rules.situations import day_visit, on_day
from server.workflows.case_facts import load_case_facts
from server.workflows.eligibility import Answer, which_cases
from tests.crowd import a_crowd
from tests.office import NOW, an_office

DAY = date(2026, 11, 24)
PACK = packs.load("cn.house", DAY)
ROUNDS = 5
SAMPLE = 500


def seconds(deed: Callable[[], object]) -> float:
    """Return how long a deed took."""
    begun = time.perf_counter()
    deed()
    return time.perf_counter() - begun


def read_rows() -> int:
    """Read what any answer must at least read: every open case with its debtor's hardship."""
    rows = db.session.execute(
        sa.text(
            "SELECT c.id, c.debtor_id, c.client_id, c.state, c.outstanding_fen, c.balance_as_of, d.hardship"
            " FROM cases c JOIN debtors d ON d.id = c.debtor_id WHERE c.state = 'open' ORDER BY c.id"
        )
    ).all()
    return len(rows)


def judge_alone(answer: Answer) -> None:
    """Judge one case as the dispatcher's check does."""
    opens = at_local(DAY, PACK.window_opens, PACK.zone)
    facts = load_case_facts(
        case_id=answer.case_id, address_id=answer.address_id, team=(), around=opens, now=NOW
    )
    wanted = day_visit(
        DAY,
        now=NOW,
        duration=timedelta(hours=1),
        pack=PACK,
        case_id=answer.case_id,
        address_id=answer.address_id or answer.case_id,
    )
    on_day(wanted, facts, PACK)


def measure(cases: int) -> dict[str, Any]:
    """Time the answer, its limit and its alternative on the same tables."""
    a_crowd(cases, seed=7, now=NOW)
    answers = list(which_cases(day=DAY, now=NOW, pack=PACK))
    sample = random.Random(7).sample(answers, min(SAMPLE, len(answers)))
    alone = seconds(lambda: [judge_alone(answer) for answer in sample])
    whole = [seconds(lambda: list(which_cases(day=DAY, now=NOW, pack=PACK))) for _ in range(ROUNDS)]
    return {
        "cases": cases,
        "open": len(answers),
        "may": sum(answer.status == "may" for answer in answers),
        "answer_s": round(statistics.median(whole), 2),
        "read_only_s": round(statistics.median([seconds(read_rows) for _ in range(ROUNDS)]), 2),
        "one_by_one_s": round(alone / len(sample) * len(answers), 1),
    }


def main() -> None:
    """Run on a stage of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with a_product() as app:
        an_office(app)
        result = measure(options.cases)
    print(f"{'cases':>9} {'open':>9} {'may':>9} {'answer s':>9} {'read only s':>12} {'one by one s':>13}")
    print(
        f"{result['cases']:>9,} {result['open']:>9,} {result['may']:>9,} {result['answer_s']:>9} "
        f"{result['read_only_s']:>12} {result['one_by_one_s']:>13}"
    )
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
