"""How fast does the tamper-evident log grow, and how fast does it prove?

    python -m bench.log [--leaves 10000 100000 1000000] [--proofs 200] [--json FILE]

On a durable embedded PostgreSQL. Rows of the access log are written in batches of a push, with the trigger
that gives each its leaf and without it, in turns; the log is filled to each size in turn by the product's
sequencer; then leaves are proven to be in it, and earlier heads to have grown into the newest, and every
proof is checked as whoever gets it checks it. Beside the sequencer stands the hashing that any such tree
needs (a leaf and a node for each), beside the proofs a bare look-up of a leaf by its place.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bench.stage import a_product
from server.database import db, transaction
from server.workflows.transparency.proofs import growth_since, newest, prove_subjects
from server.workflows.transparency.sequencing import sequence
from sync.merkle import is_consistent, is_included, leaf_hash, node_hash
from tests.builders import now

BATCH = 100
BATCHES = 40
AT_ONCE = 20_000

_ROWS = """
    INSERT INTO access_log (id, at, action, entity_kind, entity_id, fields, reason, request)
    SELECT gen_random_uuid(), now(), 'bench', 'case', gen_random_uuid(), '{}', '', '{}'
      FROM generate_series(1, :count)
"""
_WITHOUT_LEAVES = "SET LOCAL session_replication_role = replica"


def write(count: int, *, with_leaves: bool) -> float:
    """Write rows in one transaction; return the seconds it took."""
    started = time.perf_counter()
    with transaction() as session:
        if not with_leaves:
            session.execute(sa.text(_WITHOUT_LEAVES))
        session.execute(sa.text(_ROWS), {"count": count})
    return time.perf_counter() - started


def rows_per_s() -> dict[str, float]:
    """Rows a second with leaves and without, in turns."""
    took: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(BATCHES):
        for with_leaves, each in took.items():
            each.append(write(BATCH, with_leaves=with_leaves))
    return {
        name: round(BATCH / statistics.median(took[with_leaves]))
        for name, with_leaves in (("with leaves", True), ("without", False))
    }


def grow_to(size: int) -> float:
    """Have the sequencer take in new leaves until the log has this size; return leaves a second."""
    while sequence(now=now()):
        pass
    missing = size - newest().size
    for begun in range(0, missing, AT_ONCE):
        write(min(AT_ONCE, missing - begun), with_leaves=True)
    started = time.perf_counter()
    while sequence(now=now()):
        pass
    return missing / (time.perf_counter() - started)


def hashes_per_s() -> float:
    """The hashing of a leaf and of a node, and nothing else."""
    entry, count = b"\x07" * 32, 200_000
    started = time.perf_counter()
    for _ in range(count):
        node_hash(entry, leaf_hash(entry))
    return count / (time.perf_counter() - started)


def median_ms(deeds: Iterator[Callable[[], object]]) -> float:
    """The median of what each of these deeds takes, in milliseconds."""
    took = []
    for deed in deeds:
        started = time.perf_counter()
        deed()
        took.append((time.perf_counter() - started) * 1000)
        db.session.rollback()
    return round(statistics.median(took), 2)


def proving(size: int, *, proofs: int, chance: random.Random) -> dict[str, float]:
    """Milliseconds of an inclusion proof, of a consistency proof, and of a bare look-up of a leaf."""
    ids = [chance.randrange(size) for _ in range(proofs)]
    some = sa.text("SELECT subject_id FROM log_leaves WHERE leaf_index = ANY(:places)")
    subjects: list[UUID] = list(db.session.scalars(some, {"places": ids}))
    heads = db.session.execute(sa.text("SELECT size, root FROM log_checkpoints ORDER BY size")).all()
    root = heads[-1].root
    bare = sa.text("SELECT entry FROM log_leaves WHERE leaf_index = :place")

    def include(subject: UUID) -> None:
        (leaf,) = prove_subjects([subject], now=now()).leaves
        entry = leaf_hash(leaf.entry)
        if not is_included(entry, index=leaf.index, size=size, root=root, proof=leaf.path):
            raise SystemExit("a leaf was not proven to be in the log")

    def grow(earlier: Any) -> None:
        told = growth_since(earlier.size)
        known = {"size": earlier.size, "root": earlier.root}
        if not is_consistent(**known, later_size=size, later_root=root, proof=told.proof):
            raise SystemExit("the log was not proven to have grown")

    return {
        "inclusion_ms": median_ms(lambda one=one: include(one) for one in subjects),
        "consistency_ms": median_ms(lambda one=one: grow(one) for one in chance.choices(heads, k=proofs)),
        "bare_ms": median_ms(lambda one=one: db.session.execute(bare, {"place": one}).all() for one in ids),
    }


def measure(sizes: list[int], *, proofs: int) -> dict[str, Any]:
    """Write, then grow and prove size by size."""
    chance = random.Random(7)
    written = rows_per_s()
    found: dict[str, Any] = {"rows_per_s": written, "hashes_per_s": round(hashes_per_s()), "sizes": {}}
    for size in sizes:
        appended = round(grow_to(size))
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE log_leaves"))
        found["sizes"][size] = {"appended_per_s": appended, **proving(size, proofs=proofs, chance=chance)}
    return found


def main() -> None:
    """Run on a stage of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--leaves", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--proofs", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with a_product():
        found = measure(options.leaves, proofs=options.proofs)
    rows = found["rows_per_s"]
    print(f"rows in batches of {BATCH}: {rows['with leaves']:,}/s with leaves, {rows['without']:,}/s without")
    names = f"{'inclusion':>12}{'growth':>10}{'bare':>10}"
    print(f"{'leaves':>11} {'appended/s':>11} {'hashing alone/s':>16}{names}")
    for size, told in found["sizes"].items():
        print(
            f"{size:>11,} {told['appended_per_s']:>11,} {found['hashes_per_s']:>16,}"
            f" {told['inclusion_ms']:>8} ms {told['consistency_ms']:>6} ms {told['bare_ms']:>6} ms"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
