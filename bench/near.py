"""Does it stay fast to find a near picture or a near recording, however many there are?

    python -m bench.near [--pictures 10000 100000 1000000] [--recordings 10000 100000 1000000]
                         [--looks 60] [--build-memory 2GB]

A durable embedded PostgreSQL of our schema is filled to each size in turn; then the product's own look-ups
ask for a visit's picture, and for its recording of three minutes, each with a twin in another visit: a
picture some bits away, a recording that lost nine tenths of its landmarks. Beside them a bare look-up by
primary key. The pictures and landmarks of the others are random, which is what good hashes look like, and as
many as speech in the street has. All recordings have their rare keys; landmarks, 40 GB of a million, have
those that a look-up lays side by side because chance makes them share a key. A look-up that does not find
its twin ends the benchmark. Writes bench/results/near.json.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import sqlalchemy as sa

from bench.stage import a_product
from server.database import db
from server.media.landmarks import FRAME_SECONDS, RARE_BITS, Landmarks
from server.workflows.reconciliation.elsewhere import reuses
from server.workflows.reconciliation.heard_before import candidates, same_sounds

RESULTS = Path(__file__).parent / "results" / "near.json"
TWIN_BITS_AWAY = 20
DISTANCE = 31
SECONDS = 180
KEYS_A_SECOND = 19  # bench.reconciliation's speech and street noise: 3,368 in three minutes, of 30 seeds
SURVIVING = 0.1
BARE_BYTES = 2000
AIM_MS = 50.0
KINDS = {"picture": "photo", "recording": "audio"}
BATCH = 50_000

# Neither visits nor phones are needed for a look-up: foreign keys and triggers rest while the crowd moves in.
_ALONE = "SET session_replication_role = replica"
_EVIDENCE = """
    INSERT INTO evidence (id, visit_id, device_id, kind, sha256, state, captured_from_earliest,
                          captured_from_latest, captured_until_earliest, captured_until_latest)
    SELECT {id}, {visit}, gen_random_uuid(), :kind, sha256(CAST(CAST(gen_random_uuid() AS text) AS bytea)),
           'verified', {at}, {at}, {at}, {at}
"""
_OTHERS = (
    _EVIDENCE.format(id="gen_random_uuid()", visit="gen_random_uuid()", at="now() - interval '1 day'")
    + " FROM generate_series(1, :count) RETURNING id"
)
_ONE = _EVIDENCE.format(id=":id", visit=":visit", at="now() - :ago * interval '1 hour'")
_WORD = "CAST(CAST(random() * 4294967295 AS bigint) AS bit(32))"
_PICTURES = f"""
    WITH added AS ({_OTHERS})
    INSERT INTO picture_prints (evidence_id, bits)
    SELECT id, CAST({" || ".join([_WORD] * 8)} AS bit(256)) FROM added
"""
# As in the product, keys lie beside the row: a row of more than 2 kB is cut.
_RECORDINGS = f"""
    WITH added AS ({_OTHERS})
    INSERT INTO sound_prints (evidence_id, keys, landmarks)
    SELECT id, ARRAY(SELECT CAST(random() * {(1 << RARE_BITS) - 1} AS integer)
                     FROM generate_series(1, :keys) WHERE id IS NOT NULL),
           CAST(repeat(' ', {BARE_BYTES}) AS bytea)
    FROM added
"""


def fill(
    table: str, statement: str, *, index: str, to: int, memory: str, **values: object
) -> dict[str, float]:
    """Add others until there are this many; the index is built once they are there, in this much memory."""
    with db.engine.connect() as connection:
        connection.exec_driver_sql(_ALONE)
        connection.exec_driver_sql(f"SET maintenance_work_mem = '{memory}'")
        built = connection.exec_driver_sql(f"SELECT pg_get_indexdef('{index}'::regclass)").scalar_one()
        connection.exec_driver_sql(f"DROP INDEX {index}")
        have = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
        while have < to:
            count = min(BATCH, to - have)
            connection.execute(sa.text(statement), {"count": count, **values})
            connection.commit()
            have += count
        started = time.perf_counter()
        connection.exec_driver_sql(built)
        connection.commit()
        seconds = time.perf_counter() - started
        size = connection.exec_driver_sql(f"SELECT pg_relation_size('{index}')").scalar_one()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"VACUUM ANALYZE {table}, evidence")
    return {"build_seconds": round(seconds, 1), "index_mb": round(size / 1e6)}


def a_file(kind: str, *, visit: UUID, hours_ago: int) -> UUID:
    """Evidence of a visit of ours."""
    name = uuid4()
    with db.engine.begin() as connection:
        connection.exec_driver_sql(_ALONE)
        told = {"id": name, "visit": visit, "kind": kind, "ago": hours_ago}
        connection.execute(sa.text(_ONE), told)
    return name


def a_pair_of_pictures(chance: random.Random) -> UUID:
    """A visit whose picture another visit's resembles."""
    mine, theirs, bits = uuid4(), uuid4(), chance.getrandbits(256)
    near = bits
    for bit in chance.sample(range(256), TWIN_BITS_AWAY):
        near ^= 1 << bit
    for visit, ago, looks in ((mine, 1, bits), (theirs, 5, near)):
        name = a_file("photo", visit=visit, hours_ago=ago)
        with db.engine.begin() as connection:
            keep = "INSERT INTO picture_prints (evidence_id, bits) VALUES (:id, CAST(:bits AS bit(256)))"
            connection.execute(sa.text(keep), {"id": name, "bits": f"{looks:0256b}"})
    return mine


def a_pair_of_recordings(chance: random.Random) -> UUID:
    """A visit whose recording another visit's holds, spoilt: few of its landmarks are the same."""
    heard = some_landmarks(chance)
    noise = np.random.default_rng(chance.getrandbits(32))
    spoilt = np.where(noise.random(len(heard)) < SURVIVING, heard.keys, heard.keys ^ (1 << 40))
    mine, theirs = uuid4(), uuid4()
    for visit, ago, marks in ((mine, 1, heard), (theirs, 5, Landmarks(spoilt, heard.frames))):
        name = a_file("audio", visit=visit, hours_ago=ago)
        with db.engine.begin() as connection:
            keep = "INSERT INTO sound_prints (evidence_id, keys, landmarks) VALUES (:id, :keys, :landmarks)"
            told = {"id": name, "keys": marks.rare, "landmarks": marks.to_bytes()}
            connection.execute(sa.text(keep), told)
    return mine


def some_landmarks(chance: random.Random) -> Landmarks:
    """As many as a recording of three minutes keeps."""
    noise = np.random.default_rng(chance.getrandbits(32))
    count = SECONDS * KEYS_A_SECOND
    kept = noise.integers(0, 8, count) | noise.integers(0, 4, count) << 8
    keys = (noise.integers(0, 1 << 53, count) << 10) | kept
    return Landmarks(keys, np.sort(noise.integers(0, int(SECONDS / FRAME_SECONDS), count)).astype(np.int32))


def be_heard(visits: Sequence[UUID], chance: random.Random) -> None:
    """Give landmarks to all that a look-up lays beside the recordings of these visits."""
    others = {row.other_id for visit in visits for row in candidates(visit)}
    db.session.rollback()
    keep = "UPDATE sound_prints SET landmarks = :heard WHERE evidence_id = :id AND length(landmarks) = :bare"
    for other in sorted(others):
        with db.engine.begin() as connection:
            heard = some_landmarks(chance).to_bytes()
            connection.execute(sa.text(keep), {"id": other, "heard": heard, "bare": BARE_BYTES})


def settle() -> None:
    """Write down what filling left to be written: a look-up would do it, page by page, to make room."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CHECKPOINT")


def timed(visits: Sequence[UUID], look: Callable[[UUID], Sequence[object]]) -> dict[str, float]:
    """Milliseconds of a look-up for each of these visits; each must find its twin."""
    spent: list[float] = []
    for visit in visits:
        started = time.perf_counter()
        found = look(visit)
        spent.append((time.perf_counter() - started) * 1000)
        db.session.rollback()
        if not found:
            raise SystemExit("a look-up did not find the twin that is there")
    return {"p50_ms": round(statistics.median(spent), 2), "p95_ms": round(_p95(spent), 2)}


def bare(table: str, *, looks: int) -> dict[str, float]:
    """Milliseconds of a look-up by primary key, through the same session."""
    some = sa.text(f"SELECT evidence_id FROM {table} TABLESAMPLE SYSTEM (50) LIMIT :looks")
    names = list(db.session.scalars(some, {"looks": looks}))
    query = sa.text(f"SELECT evidence_id FROM {table} WHERE evidence_id = :id")
    return timed(names, lambda name: db.session.execute(query, {"id": name}).all())


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[18]


def measure(
    pictures: Sequence[int], recordings: Sequence[int], *, looks: int, memory: str
) -> dict[str, dict[str, dict[str, float]]]:
    """Fill and ask, size by size."""
    chance = random.Random(20261126)
    keys_each = len(some_landmarks(chance).rare)
    kinds = {
        "picture": (pictures, "picture_prints", "ix_picture_prints_bands", _PICTURES, a_pair_of_pictures),
        "recording": (recordings, "sound_prints", "ix_sound_prints_keys", _RECORDINGS, a_pair_of_recordings),
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    for kind, (sizes, table, index, statement, pair) in kinds.items():
        look = same_sounds if kind == "recording" else lambda visit: reuses(visit, distance=DISTANCE)
        told = {"keys": keys_each} if kind == "recording" else {}
        for size in sizes:
            filled = fill(table, statement, index=index, to=size, memory=memory, kind=KINDS[kind], **told)
            visits = [pair(chance) for _ in range(looks)]
            if kind == "recording":
                be_heard(visits, chance)
            settle()
            timed(visits[:5], look)
            times = {"near": timed(visits, look), "by primary key": bare(table, looks=looks)}
            answer = found[f"{kind}, {size:,}"] = {**times, "index": filled}
            print(f"  {kind}, {size:,}: {answer}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure, print, write the results."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--pictures", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--recordings", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--looks", type=int, default=60)
    arguments.add_argument("--build-memory", default="2GB", help="what building an index may take")
    chosen = arguments.parse_args()
    with a_product():
        found = measure(chosen.pictures, chosen.recordings, looks=chosen.looks, memory=chosen.build_memory)
    print(f"{'':<24}{'p50':>10}{'p95':>10}{'by primary key':>18}{'index':>12}{'built in':>12}")
    for name, told in found.items():
        near, key = told["near"], told["by primary key"]
        times = f"{near['p50_ms']:>7.1f} ms{near['p95_ms']:>7.1f} ms{key['p50_ms']:>15.1f} ms"
        index = f"{told['index']['index_mb']:>9,.0f} MB{told['index']['build_seconds']:>10.0f} s"
        print(f"{name:<24}{times}{index}{'' if near['p95_ms'] < AIM_MS else '   over the aim'}")
    RESULTS.parent.mkdir(exist_ok=True)
    about = {
        "measured_at": datetime.now(UTC).isoformat(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "looks": chosen.looks,
    }
    RESULTS.write_text(json.dumps({**about, "found": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
