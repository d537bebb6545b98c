"""How long does the first page of the audit's queue take when a million visits wait?

On an embedded PostgreSQL. A generator writes visits with findings as reconciliation leaves them; a sample of
their scores is held against the product's own weighing. Prints, from one run and each as the median of its
rounds: every kind of page over HTTP as an auditor gets it (with the access log's entry), its statement alone,
and a bare scan of the index for as many rows, which is the limit.

Run: `python -m bench.audit [--visits 1000000] [--json FILE]`.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask

from bench.stage import a_product
from server.auditing.weighing import current_weights
from server.authority import Role
from server.database import db, transaction
from server.workflows.auditing.queue import Chosen, page_query
from server.workflows.auditing.scoring import put_in_queue
from tests.builders import Cast, a_case, a_handset, a_visitor

ROUNDS = 21
PAGE = 50
VISITORS = 200

# A visit a row, spread over a year; one in five has findings: mostly small ones, and a rare check.
_VISITS = """
    INSERT INTO visits (id, device_id, staff_id, team, debtor_id, checklist, seen_seq, arrived_earliest,
                        arrived_latest, arrived_method, flags, state, first_received_at, evidence_due_at,
                        reconciled_at, claim_marks)
    SELECT gen_random_uuid(), who.device_id, who.staff_id, ARRAY[who.staff_id], :debtor, '{}', 0, at, at,
           'anchored', '{}', 'reconciled', at, at, at, '[]'
      FROM (SELECT n, timestamptz '2025-11-01 02:00Z' + n % 390 * interval '1 day' AS at
              FROM generate_series(1, :visits) AS n) AS one
      JOIN bench_visitors AS who ON who.number = one.n % :visitors
"""
_FINDINGS = """
    INSERT INTO findings (id, visit_id, key, "check", rule, severity, severity_rank, confidence, claim,
                          observation, citation, found_at, state)
    SELECT gen_random_uuid(), visits.id, kind.name, kind.name, 'C14', kind.severity, kind.rank,
           0.5 + (hashtext(visits.id::text) & 255) / 512.0, '', '{}', '{}', arrived_latest, 'open'
      FROM visits JOIN (VALUES ('stay-differs', 'minor', 1, 5), ('evidence-missing', 'serious', 2, 20),
                               ('check-in-elsewhere', 'severe', 3, 200),
                               ('photo-unusable', 'minor', 1, 100), ('same-recording', 'severe', 3, 50000))
                  AS kind (name, severity, rank, one_in)
        ON hashtext(visits.id::text || kind.name) % kind.one_in = 0
"""
# What the product's own weighing gives for these findings; `fill` holds it against a sample.
_QUEUE = """
    INSERT INTO audit_queue (visit_id, score, parts, checks, weights, staff_id, branch, client_id, visited_on,
                             state)
    SELECT visits.id, coalesce(points, 0), coalesce(parts, '[]'), coalesce(checks, '{}'), :weights, staff_id,
           staff.branch, :client, arrived_latest::date, 'waiting'
      FROM visits JOIN staff ON staff.id = visits.staff_id
      LEFT JOIN (
          SELECT visit_id, sum(weight)::int AS points, array_agg("check" ORDER BY "check") AS checks,
                 jsonb_agg(jsonb_build_object('because', severity || ': ' || "check", 'points', weight))
                 AS parts
            FROM (SELECT *, round((CAST(:points AS jsonb) ->> severity)::int * confidence) AS weight
                    FROM findings) AS weighed
           GROUP BY visit_id
      ) AS found ON found.visit_id = visits.id
"""
_SAMPLE = """
    SELECT visit_id, score, checks FROM audit_queue WHERE score > 0 ORDER BY visit_id LIMIT 500
"""


def fill(visits: int) -> dict[str, Any]:
    """Write the visits and weigh them; return what the pages ask for."""
    people = [a_visitor(branch=f"branch {n % 10}") for n in range(VISITORS)]
    devices = [a_handset(person).device.id for person in people]
    case = a_case()
    with transaction() as session:
        session.execute(sa.text("CREATE TABLE bench_visitors (number int, staff_id uuid, device_id uuid)"))
        session.execute(
            sa.text("INSERT INTO bench_visitors VALUES (:n, :staff, :device)"),
            [
                {"n": n, "staff": person.id, "device": device}
                for n, (person, device) in enumerate(zip(people, devices, strict=True))
            ],
        )
        session.execute(sa.text(_VISITS), {"visits": visits, "visitors": VISITORS, "debtor": case.debtor_id})
        session.execute(sa.text(_FINDINGS))
        weights = current_weights()
        told = {"weights": weights.name, "points": json.dumps(dict(weights.severity))}
        session.execute(sa.text(_QUEUE), {"client": case.client_id, **told})
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE audit_queue"))
        connection.execute(sa.text("ANALYZE"))
    return {"person": people[0].id, "client": case.client_id, "weighed_ms": weigh_a_sample()}


def weigh_a_sample() -> float:
    """Weigh a sample as reconciliation does; return what one visit took. It must change nothing."""
    before = db.session.execute(sa.text(_SAMPLE)).all()
    begun = time.perf_counter()
    with transaction() as session:
        put_in_queue(session, [row.visit_id for row in before])
    took = time.perf_counter() - begun
    assert db.session.execute(sa.text(_SAMPLE)).all() == before, "the generator weighs differently"
    return round(1000 * took / len(before), 3)


def median_ms(deed: Callable[[], object]) -> float:
    """Return how long a deed takes."""
    deed()
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        deed()
        took.append(time.perf_counter() - begun)
    return round(1000 * statistics.median(took), 2)


def measure(app: Flask, visits: int) -> dict[str, Any]:
    """Time each kind of page: over HTTP, as a statement, and the bare scan that is its limit."""
    facts = fill(visits)
    auditor = Cast(app).person(Role.AUDITOR)
    client = db.session.scalar(
        sa.text("SELECT reference FROM clients WHERE id = :id"), {"id": facts["client"]}
    )
    month = (date(2026, 3, 1), date(2026, 3, 31))
    middle = auditor.get(f"/api/v1/audit/queue?limit={PAGE}&after=10~{facts['person']}").get_json()["next"]
    kinds = {
        "first page": ("", Chosen()),
        "one branch": ("branch=branch 3", Chosen(branch="branch 3")),
        "one visitor": (f"staff_id={facts['person']}", Chosen(staff_id=facts["person"])),
        "one client": (f"client={client}", Chosen(client_id=facts["client"])),
        "common check": ("check=stay-differs", Chosen(check="stay-differs")),
        "a check's end": (f"check=stay-differs&after=3~{facts['person']}", Chosen(check="stay-differs")),
        "light and rare": ("check=photo-unusable", Chosen(check="photo-unusable")),
        "rare check": ("check=same-recording", Chosen(check="same-recording")),
        "one month": (f"first={month[0]}&last={month[1]}", Chosen(first=month[0], last=month[1])),
        "from the middle": (f"after={middle}", Chosen()),
    }
    pages: dict[str, Any] = {}
    for name, (query, chosen) in kinds.items():
        points = {"from the middle": 10, "a check's end": 3}.get(name)
        cursor = None if points is None else (points, facts["person"])
        statement = page_query(chosen, cursor=cursor, limit=PAGE)

        def over_http(query: str = query) -> None:
            assert auditor.get(f"/api/v1/audit/queue?limit={PAGE}&{query}").status_code == 200

        def alone(statement: Any = statement) -> None:
            db.session.execute(statement).all()
            db.session.rollback()

        pages[name] = {"http_ms": median_ms(over_http), "statement_ms": median_ms(alone)}
    return {"visits": visits, "weighed_ms": facts["weighed_ms"], "scan_ms": median_ms(scan), "pages": pages}


def scan() -> None:
    """Read as many entries of the bare index as a page has rows."""
    bare = """
        SELECT score, visit_id FROM audit_queue WHERE state = 'waiting'
         ORDER BY score DESC, visit_id DESC LIMIT :page
    """
    db.session.execute(sa.text(bare), {"page": PAGE}).all()
    db.session.rollback()


def main() -> None:
    """Run on a stage of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with a_product() as app:
        result = measure(app, options.visits)
    print(f"{result['visits']:,} visits wait; weighing takes {result['weighed_ms']} ms a visit")
    print(
        f"{'page of ' + str(PAGE):<18} {'over HTTP ms':>13} {'statement ms':>13} {'bare index scan ms':>19}"
    )
    for name, page in result["pages"].items():
        print(f"{name:<18} {page['http_ms']:>13} {page['statement_ms']:>13} {result['scan_ms']:>19}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
