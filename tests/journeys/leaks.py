"""Does anything that a whole journey printed tell of a person, or open a door?

What must not be printed is read from the journey's own database, not listed: everything that is encrypted
there, every account, every password and secret, and every token (of which the database has the digests).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import psycopg
from psycopg import sql

from server import pii
from server.keysets import PII
from server.workflows.rekeying import encrypted_tables
from sync.bodies import RECIPIENTS

TOKEN_LENGTH = 43
RUNS = re.compile(rf"[A-Za-z0-9_-]{{{TOKEN_LENGTH},}}")
STRANGER = {"name": "欧阳无痕", "phone": "13999998888", "password": "correct-horse-battery"}
"""What only the provoked requests carry."""


def leaks(printed: str, *, url: str, var: Path) -> list[str]:
    """Name what was printed and must not be: which kind, never the value itself."""
    with psycopg.connect(url) as connection:
        private = dict(_private(connection, var))
        tokens = {bytes(row[0]) for row in connection.execute("SELECT sha256 FROM tokens")}
    size = f"{len(private)} private values, {len(tokens)} tokens"
    assert len(private) > 40 and len(tokens) > 3, f"too small to prove anything: {size}"
    found = {kind for value, kind in private.items() if value in printed}
    windows = (run[at : at + TOKEN_LENGTH] for run in RUNS.findall(printed) for at in _places(run))
    if any(hashlib.sha256(one.encode()).digest() in tokens for one in windows):
        found.add("a token")
    return sorted(found)


def _places(run: str) -> range:
    return range(len(run) - TOKEN_LENGTH + 1)


def _private(connection: psycopg.Connection[tuple[object, ...]], var: Path) -> Iterator[tuple[str, str]]:
    """Every private value of the journey, and what kind it is."""
    kept = json.loads((var / "secrets.json").read_text())
    pii.configure(kept[PII])
    for table in encrypted_tables():
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        query = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(table.name))
        for row in connection.execute(query):
            for (name, bound_to), value in zip(table.columns.items(), row, strict=True):
                if isinstance(value, bytes):
                    yield from _worth_a_search(pii.decrypt(bound_to, value), f"{table.name}.{name}")
    for row in connection.execute("SELECT narrative FROM accounts"):
        yield from _worth_a_search(str(row[0]), "accounts.narrative")
    for name, secret in kept.items():
        yield secret, name
    for number, password in json.loads((var / "demo" / "passwords.json").read_text()).items():
        yield password, f"the password of {number}"
    for name, value in STRANGER.items():
        yield value, f"what was provoked: {name}"


def _worth_a_search(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """Leave out what any line may hold by chance (a short number), and words that say no more than a role."""
    if len(text.encode()) >= 6 and text not in RECIPIENTS:
        yield text, kind


def provoked(base_url: str, *, var: Path) -> str:
    """What the product answers and keeps in its log when everything is wrong about a request."""
    passwords = json.loads((var / "demo" / "passwords.json").read_text())
    with httpx.Client(base_url=f"{base_url}/api/v1", timeout=60, trust_env=False) as http:
        signed_in = http.post("/tokens", json={"employee_number": "D001", "password": passwords["D001"]})
        by = {"Authorization": f"Bearer {signed_in.json()['token']}"}
        wrong = {"employee_number": STRANGER["name"], "password": STRANGER["password"]}
        answers = [
            http.post("/tokens", json=wrong),
            http.get(f"/cases/{STRANGER['phone']}", headers=by),
            http.post("/debtors/look-up", json={"phone": STRANGER["phone"]}),
            http.post("/debtors/look-up", json={"phone": STRANGER["phone"]}, headers=by),
            http.post("/debtors/look-up", json={"phone": [STRANGER["phone"]], "reason": 1}, headers=by),
            http.post("/debtors/look-up", content=json.dumps(STRANGER)[:-1], headers=by),
            http.get("/cases", params={"queue": STRANGER["name"]}, headers=by),
        ]
        figures = httpx.get(f"{base_url}/metrics", trust_env=False, timeout=60)
    assert [answer.status_code for answer in answers if answer.status_code not in range(400, 500)] == []
    return "\n".join([*(answer.text for answer in answers), figures.text])


def texts_of(files: Iterable[Path]) -> str:
    """Return what all these files hold."""
    return "\n".join(path.read_text("utf-8", "replace") for path in files)
