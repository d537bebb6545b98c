"""How long does it take to count the clocks of 100,000 cases, and to open a work list?

On an embedded PostgreSQL, a crowd in every state (`tests.crowd`). Prints, from one run: counting everything
the first time, when every clock is written; counting it again, when nothing changed; and, as the limit, one
bulk UPDATE of as many rows as the first count wrote. Then one case (what a call triggers), the first page of
the overdue list and the counts of all lists, beside an empty round trip.

Run: `python -m bench.deadlines [--cases 100000] [--json FILE]`.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.imports import Peak
from server.app import create_app
from server.config import Config, make_secrets
from server.database import db, transaction
from server.embedded import EmbeddedPostgres
from server.garbage import collect_seldom
from server.models.deadlines import CaseClock
from server.schema import upgrade
from server.workflows import clocks
from server.workflows.worklists import Chosen, counts, work
from tests.crowd import a_crowd
from tests.office import NOW, an_office

ROUNDS = 9


def seconds(deed: Callable[[], object]) -> float:
    """Return how long a deed took."""
    begun = time.perf_counter()
    deed()
    return time.perf_counter() - begun


def median_ms(deed: Callable[[], object]) -> float:
    """Return the median of a few rounds, after one to warm up."""
    deed()
    return round(statistics.median([seconds(deed) for _ in range(ROUNDS)]) * 1000, 1)


def update_every_row() -> None:
    """Write every clock once more: what any projection that rewrites its rows must at least cost."""
    with transaction() as session:
        session.execute(sa.text("UPDATE case_clocks SET updated_at = updated_at + interval '1 second'"))


def analyse() -> None:
    """Let the planner know the tables, as autovacuum does."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def measure(cases: int) -> dict[str, Any]:
    """Count a crowd's clocks and read its lists."""
    ids = a_crowd(cases, seed=7, now=NOW)
    analyse()
    with Peak() as peak:
        first = seconds(lambda: clocks.recount_all(now=NOW))
    rows = db.session.scalar(sa.select(sa.func.count()).select_from(CaseClock))
    analyse()
    again = seconds(lambda: clocks.recount_all(now=NOW))
    update = seconds(update_every_row)
    analyse()
    one = str(ids[len(ids) // 2])
    page = work("overdue", Chosen(), after=None, limit=50, now=NOW)
    if not page.rows:
        raise SystemExit("the crowd should have something overdue")
    return {
        "cases": cases,
        "clocks": rows,
        "first_s": round(first, 1),
        "again_s": round(again, 1),
        "bulk_update_s": round(update, 1),
        "peak_growth_mib": peak.growth_mib,
        "one_case_ms": median_ms(lambda: clocks.recount(now=NOW, cases=[one])),
        "first_page_ms": median_ms(lambda: work("overdue", Chosen(), after=None, limit=50, now=NOW)),
        "by_rule_ms": median_ms(lambda: work("overdue", Chosen(rule="F11"), after=None, limit=50, now=NOW)),
        "counts_ms": median_ms(lambda: counts(Chosen(), now=NOW)),
        "round_trip_ms": median_ms(lambda: db.session.scalar(sa.text("SELECT 1"))),
    }


def main() -> None:
    """Run against an embedded PostgreSQL of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg") as cluster:
        environ = {**make_secrets(), "MEDIA_STORE": f"{folder}/media", "LOG_LEVEL": "WARNING"}
        config = Config.from_environ(environ, var=Path(folder), default_database_url=cluster.url())
        app = create_app(config)
        upgrade(app)
        with app.app_context():
            an_office(app)
            collect_seldom()
            result = measure(options.cases)
            db.session.remove()
            db.engine.dispose()
    print(f"{result['cases']:,} cases, {result['clocks']:,} clocks, +{result['peak_growth_mib']} MiB at most")
    for name, value in result.items():
        if name.endswith(("_s", "_ms")):
            print(f"{name:>16} {value:>10}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
