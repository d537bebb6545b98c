"""How many rows a second does an import take in, and does its memory stay flat?

Debtors and cases go through the whole path over the test client: CSV in GB18030, validated, resolved,
encrypted, loaded. Beside it, on the same PostgreSQL in the same run: a raw COPY of the same cells as text
into a table without constraints, the physical limit. Memory is this process's peak above what it was before.
Run: `python -m bench.imports [--rows 100000]`. Writes JSON with `--json FILE`.
"""

import argparse
import json
import resource
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask

from server.app import create_app
from server.authority import Role
from server.config import Config, make_secrets
from server.database import db, transaction
from server.embedded import EmbeddedPostgres
from server.models.people import Staff
from server.models.tokens import new_token
from server.schema import upgrade
from server.workflows.people import OFFICE_TOKEN_LASTS

HEADINGS = {
    "clients": ("银行代码", "银行名称"),
    "debtors": ("银行代码", "客户号", "姓名", "身份证号", "手机号"),
    "cases": ("银行代码", "案件编号", "客户号", "卡号", "本金", "欠款金额", "余额日期", "备注"),
}


def cells(kind: str, rows: int) -> Iterator[tuple[str, ...]]:
    """Make the rows of one file."""
    if kind == "clients":
        yield "BANK", "城市银行"
        return
    for n in range(rows):
        if kind == "debtors":
            yield "BANK", f"D{n:07}", f"王建国{n % 97}", f"110101199003{n:06}"[:17] + "1", f"138{n:08}"
        else:
            money = f'"{n % 90 + 1},{n % 900 + 100:03}.50"'
            yield "BANK", f"C{n:07}", f"D{n:07}", f"622700{n:013}", money, money, "2026/1/5", "先电话联系" * 4


def write_file(path: Path, kind: str, rows: int) -> None:
    """Write a CSV as Chinese Excel does."""
    with path.open("w", encoding="gb18030", newline="\r\n") as file:
        file.write(",".join(HEADINGS[kind]) + "\n")
        file.writelines(",".join(row) + "\n" for row in cells(kind, rows))


def raw_copy(url: str, kind: str, rows: int) -> float:
    """Return the seconds a plain COPY of the same cells takes."""
    names = [f"c{number}" for number in range(len(HEADINGS[kind]))]
    with psycopg.connect(url) as connection:
        columns = ", ".join(f"{name} text" for name in names)
        connection.execute(f"CREATE TABLE raw_{kind} ({columns})".encode())
        begun = time.perf_counter()
        with connection.cursor().copy(f"COPY raw_{kind} FROM STDIN".encode()) as copy:
            for row in cells(kind, rows):
                copy.write_row(row)
        connection.commit()
    return time.perf_counter() - begun


def a_dispatcher_token(app: Flask) -> str:
    """Write a dispatcher into the tables and sign them in."""
    now = datetime.now(UTC)
    with app.app_context(), transaction() as session:
        staff = Staff(
            employee_number=secrets.token_hex(4),
            name="Dispatcher",
            roles=[Role.DISPATCHER.value],
            joined_on=date(2024, 1, 2),
            created_at=now,
        )
        session.add(staff)
        session.flush()
        row, fresh = new_token(staff.id, device_id=None, lasts=OFFICE_TOKEN_LASTS, now=now)
        session.add(row)
    return fresh.token


class Peak:
    """The largest resident size of this process while it is entered, in MiB, above the size at entry."""

    def __enter__(self) -> "Peak":
        self._start = self.mib = _resident_mib()
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            self.mib = max(self.mib, _resident_mib())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watch.join()
        self.growth_mib = round(self.mib - self._start, 1)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure(app: Flask, token: str, path: Path, *, kind: str, rows: int) -> dict[str, Any]:
    """Import one file and report speed and memory."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/csv"}
    with path.open("rb") as file, Peak() as peak:
        begun = time.perf_counter()
        answer = app.test_client().post(
            f"/api/v1/imports?kind={kind}",
            input_stream=file,
            headers=headers,
            environ_overrides={"CONTENT_LENGTH": str(path.stat().st_size)},
        )
        seconds = time.perf_counter() - begun
    report = answer.get_json()
    if answer.status_code != 201 or report["rejected"]:
        raise SystemExit(f"the import failed: {report}")
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "rows_per_s": round(rows / seconds),
        "peak_growth_mib": peak.growth_mib,
        "created": report["created"],
        "unchanged": report["unchanged"],
    }


def run(app: Flask, url: str, folder: Path, rows: int) -> list[dict[str, Any]]:
    """Import debtors, then cases, then the cases once more; COPY beside each."""
    token = a_dispatcher_token(app)
    results: list[dict[str, Any]] = []
    for kind in HEADINGS:
        write_file(folder / kind, kind, rows)
    measure(app, token, folder / "clients", kind="clients", rows=1)
    for kind in ("debtors", "cases"):
        copy_s = raw_copy(url, kind, rows)
        first = measure(app, token, folder / kind, kind=kind, rows=rows)
        again = measure(app, token, folder / kind, kind=kind, rows=rows)
        copied = {"copy_rows_per_s": round(rows / copy_s)}
        results += [{"what": kind, **first, **copied}, {"what": f"{kind} again", **again, **copied}]
    return results


def main() -> None:
    """Run against an embedded PostgreSQL of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, EmbeddedPostgres(Path(name) / "pg") as cluster:
        folder, url = Path(name), cluster.url()
        environ = {**make_secrets(), "MEDIA_STORE": f"{folder}/media", "LOG_LEVEL": "WARNING"}
        app = create_app(Config.from_environ(environ, var=folder, default_database_url=url))
        upgrade(app)
        results = run(app, url, folder, options.rows)
        with app.app_context():
            db.engine.dispose()
    print(f"{'import':>14} {'rows':>8} {'s':>7} {'rows/s':>8} {'COPY rows/s':>12} {'peak +MiB':>10}")
    for result in results:
        print(
            f"{result['what']:>14} {result['rows']:>8} {result['seconds']:>7} {result['rows_per_s']:>8} "
            f"{result['copy_rows_per_s']:>12} {result['peak_growth_mib']:>10}"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
