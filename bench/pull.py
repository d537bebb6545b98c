"""How long does a phone wait for what changed, however large its feed, and for everything at its first sync?

    python -m bench.pull [--rows 2000000] [--requests 300] [--entities 5000] [--folder var/bench-pull]

Starts a durable embedded PostgreSQL and the product's own web process. Two phones ask in turns for the 20
newest changes of a feed of 2,000 rows and of one of `--rows`, over real HTTP on a kept connection. Their
limits run in the same turns: a request at the head of the feed (identify, look, answer nothing), and the
bare SELECT of the same rows over the driver. Then a third phone syncs `--entities` assignments from
nothing, as they are and gzipped. Prints medians and writes bench/results/pull.json.
"""

import argparse
import gzip
import http.client
import json
import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import sqlalchemy as sa

from bench.field import Handset, enrol
from bench.push import Office, analyse, running
from server.database import transaction
from server.models.dispatch import Assignment
from server.models.feed import publish, staff_scope
from server.signing import PERMIT, Signer, current_signer
from sync.feed import Position, write_cursor

SMALL: int = 2000
DELTA: int = 20
PAGE: int = 1000
RESULTS = Path(__file__).parent / "results" / "pull.json"


@dataclass(frozen=True, slots=True)
class Waits:
    """Milliseconds that one kind of request took."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class FirstSync:
    """What a first sync took: seconds until the last page was read, and bytes on the wire."""

    seconds: float
    bytes: int
    changes: int


def fill(office: Office, *, rows: int, real: int) -> Handset:
    """Enrol a phone whose feed has `rows` rows, the newest `real` of them assignments that exist."""
    (handset,) = enrol(office.app, phones=1, visits_each=real)
    scope = staff_scope(handset.staff_id)
    with psycopg.connect(office.url, autocommit=True) as connection:
        older = rows - real
        connection.execute(
            """
            INSERT INTO feed (scope, seq, kind, entity_id, op, rev)
            SELECT %s, n, 'assignment', gen_random_uuid(), 'remove', 1 FROM generate_series(1, %s) AS n
            """,
            [scope, older],
        )
        connection.execute("INSERT INTO feed_heads (scope, seq) VALUES (%s, %s)", [scope, older])
        connection.execute("VACUUM feed")
    with office.app.app_context():
        with transaction() as session:
            mine = sa.select(Assignment.id).where(Assignment.lead_id == handset.staff_id)
            ids = session.scalars(mine).all()
            permit = a_permit(current_signer())
            session.execute(sa.update(Assignment).where(Assignment.id.in_(ids)).values(permit=permit))
        with transaction():
            for assignment_id in ids:
                publish(scope, kind="assignment", entity_id=assignment_id, op="put")
    analyse(office.url)
    return handset


def a_permit(signer: Signer) -> dict[str, object]:
    """A permit as large as real ones."""
    path = Path(__file__).parents[1] / "tests" / "golden" / "pull_page.json"
    page = json.loads(path.read_text())
    real = page["changes"][0]["body"]["permit"]
    return {**signer.seal(PERMIT, {}), "payload": real["payload"]}


def cursor_of(office: Office, handset: Handset, *, behind: int) -> str:
    """The cursor of a phone that has all but the newest rows."""
    scope = staff_scope(handset.staff_id)
    with psycopg.connect(office.url) as connection:
        row = connection.execute("SELECT epoch, seq FROM feed_heads WHERE scope = %s", [scope]).fetchone()
    assert row is not None
    return write_cursor({scope: Position(epoch=row[0], seq=row[1] - behind)})


def pulling(office: Office, handset: Handset, *, behind: int) -> Callable[[], None]:
    """Return a request for the newest changes, checked, on a kept connection."""
    connection = http.client.HTTPConnection("127.0.0.1", office.port)
    query = urlencode({"cursor": cursor_of(office, handset, behind=behind), "limit": 200})
    headers = {"Authorization": f"Bearer {handset.token}"}

    def ask() -> None:
        connection.request("GET", f"/api/v1/sync/pull?{query}", headers=headers)
        answer = connection.getresponse()
        told = answer.read()
        if answer.status != 200 or told.count(b'"op":"put"') != behind:
            raise SystemExit(f"the pull failed: {answer.status} {told[:500]!r}")

    return ask


_BARE = """
    SELECT feed.seq, feed.rev, assignments.*, cases.*, debtors.name, addresses.text
    FROM (SELECT * FROM feed WHERE scope = %s AND seq > %s ORDER BY seq LIMIT 200) AS feed
    JOIN assignments ON assignments.id = feed.entity_id JOIN cases ON cases.id = assignments.case_id
    JOIN debtors ON debtors.id = assignments.debtor_id JOIN addresses ON addresses.id = assignments.address_id
"""


def selecting(office: Office, handset: Handset) -> Callable[[], None]:
    """Return the bare SELECT of the same rows."""
    connection = psycopg.connect(office.url, autocommit=True)
    scope = staff_scope(handset.staff_id)
    head = connection.execute("SELECT seq FROM feed_heads WHERE scope = %s", [scope]).fetchone()
    assert head is not None

    def ask() -> None:
        if len(connection.execute(_BARE, [scope, head[0] - DELTA]).fetchall()) != DELTA:
            raise SystemExit("the bare SELECT found other rows")

    return ask


def in_turns(asks: dict[str, Callable[[], None]], *, requests: int) -> dict[str, Waits]:
    """Time every kind of request, in turns, so that all of them meet the same noise."""
    took: dict[str, list[float]] = {name: [] for name in asks}
    for turn in range(requests + 20):
        for name, ask in asks.items():
            started = time.perf_counter()
            ask()
            if turn >= 20:
                took[name].append((time.perf_counter() - started) * 1000)
    hundredths = {name: statistics.quantiles(each, n=100) for name, each in took.items()}
    return {name: Waits(p50=each[49], p95=each[94]) for name, each in hundredths.items()}


def first_sync(office: Office, handset: Handset, *, packed: bool) -> FirstSync:
    """Pull everything, page after page."""
    connection = http.client.HTTPConnection("127.0.0.1", office.port)
    headers = {"Authorization": f"Bearer {handset.token}"}
    if packed:
        headers["Accept-Encoding"] = "gzip"
    query, seconds, size, changes = {"limit": str(PAGE)}, 0.0, 0, 0
    while True:
        started = time.perf_counter()
        connection.request("GET", f"/api/v1/sync/pull?{urlencode(query)}", headers=headers)
        answer = connection.getresponse()
        raw = answer.read()
        seconds += time.perf_counter() - started
        size += len(raw)
        page = json.loads(gzip.decompress(raw) if packed else raw)
        changes += len(page["changes"])
        if not page["has_more"]:
            return FirstSync(seconds=seconds, bytes=size, changes=changes)
        query["cursor"] = page["cursor"]


def median_sync(office: Office, handset: Handset, *, packed: bool, entities: int) -> FirstSync:
    """Sync five times from nothing."""
    runs = [first_sync(office, handset, packed=packed) for _ in range(5)]
    if {one.changes for one in runs} != {entities}:
        raise SystemExit("a first sync brought another number of entities")
    return FirstSync(statistics.median(one.seconds for one in runs), runs[-1].bytes, entities)


def main() -> None:
    """Measure, print, write the results."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--rows", type=int, default=2_000_000)
    arguments.add_argument("--requests", type=int, default=300)
    arguments.add_argument("--entities", type=int, default=5000)
    arguments.add_argument("--folder", type=Path, default=Path("var/bench-pull"))
    chosen = arguments.parse_args()
    folder: Path = chosen.folder.absolute()
    folder.mkdir(parents=True)
    try:
        with running(folder) as office:
            small, large = (fill(office, rows=rows, real=DELTA) for rows in (SMALL, chosen.rows))
            asks = {
                f"delta of {DELTA} from {SMALL:,}": pulling(office, small, behind=DELTA),
                f"delta of {DELTA} from {chosen.rows:,}": pulling(office, large, behind=DELTA),
                "at the head, nothing new": pulling(office, large, behind=0),
                "bare SELECT of the same rows": selecting(office, large),
            }
            waits = in_turns(asks, requests=chosen.requests)
            newcomer = fill(office, rows=chosen.entities, real=chosen.entities)
            syncs = {
                name: median_sync(office, newcomer, packed=packed, entities=chosen.entities)
                for name, packed in (("plain", False), ("gzip", True))
            }
    finally:
        shutil.rmtree(folder)
    for name, wait in waits.items():
        print(f"{name:<32} p50 {wait.p50:7.2f} ms   p95 {wait.p95:7.2f} ms")
    for name, one in syncs.items():
        print(f"first sync of {one.changes:,}, {name:<5} {one.seconds:8.2f} s   {one.bytes / 1e6:8.2f} MB")
    RESULTS.parent.mkdir(exist_ok=True)
    about = {
        "measured_at": datetime.now(UTC).isoformat(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "requests": chosen.requests,
        "waits_ms": {name: asdict(wait) for name, wait in waits.items()},
        "first_sync": {name: asdict(one) for name, one in syncs.items()},
    }
    RESULTS.write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()
