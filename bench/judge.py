"""How long does one judgement take when a debtor's ledger has 10 rows, and when it has 1,000,000?

Prints, from one run on one PostgreSQL: loading the facts, judging them, and a bare `SELECT 1` round trip as
the physical limit. Run: `python -m bench.judge [--rows 1000000]`. Writes JSON with `--json FILE`.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.stage import a_product
from server.database import db, transaction
from server.rules import pack as packs
from server.rules.engine import judge
from server.workflows.case_facts import load_case_facts
from tests.office import NOW, Door, a_door, a_team, a_wish, an_office

REPEATS = 200
FILL = sa.text(
    """
    INSERT INTO ledger_entries (id, client_id, reference, case_id, debtor_id, channel, at, effective,
                                counterpart, result, asks_for_visit)
    SELECT gen_random_uuid(), :client, 'bench-' || :case || n, :case, :debtor,
           (ARRAY['call', 'call', 'call', 'letter', 'inbound', 'visit'])[1 + n % 6],
           CAST(:until AS timestamptz) - n * CAST(:step AS interval), false, '', '', false
      FROM generate_series(1, :rows) AS n
    """
)


def median_ms(deed: Callable[[], object]) -> float:
    """Return the median duration of a deed in milliseconds."""
    durations: list[float] = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        deed()
        durations.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(durations), 3)


def fill(door: Door, rows: int) -> None:
    """Give the door's case a ledger of this many rows over the past three years, no visit of late."""
    step = timedelta(days=1000) / rows
    with transaction() as session:
        until = NOW - timedelta(days=60)
        case = door.case
        about = {"client": case.client_id, "case": case.id, "debtor": case.debtor_id}
        session.execute(FILL, about | {"until": until, "step": step, "rows": rows})
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE ledger_entries"))


def measure(rows: int) -> dict[str, Any]:
    """Time loading and judging one wanted visit beside a ledger of `rows` rows."""
    door = a_door(daily_visit_cap=1)
    fill(door, rows)
    wish = a_wish(door, *a_team())
    pack = packs.load("cn.house", date(2026, 11, 23))

    def load() -> Any:
        return load_case_facts(
            case_id=wish.case_id,
            address_id=wish.address_id,
            team=wish.team,
            around=wish.window_start,
            now=NOW,
        )

    facts = load()
    if not judge(wish, facts, pack).allowed:
        raise SystemExit("the benchmark's visit should be allowed")
    return {
        "ledger_rows": rows,
        "load_ms": median_ms(load),
        "judge_ms": median_ms(lambda: judge(wish, facts, pack)),
        "round_trip_ms": median_ms(lambda: db.session.scalar(sa.text("SELECT 1"))),
    }


def main() -> None:
    """Run on a stage of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with a_product() as app:
        an_office(app)
        results = [measure(rows) for rows in (10, options.rows)]
    print(f"{'ledger rows':>12} {'load ms':>9} {'judge ms':>9} {'SELECT 1 ms':>12}")
    for result in results:
        print(
            f"{result['ledger_rows']:>12,} {result['load_ms']:>9} {result['judge_ms']:>9} "
            f"{result['round_trip_ms']:>12}"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
