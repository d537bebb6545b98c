"""A client's files, and sending them: what the stories about imports share."""

import json
from collections.abc import Mapping
from typing import Any

from werkzeug.test import TestResponse

from tests.builders import Person

CSV = "text/csv"
JSON_LINES = "application/x-ndjson"
NEWS: dict[str, dict[str, Any]] = {
    "clients": {"reference": "BANK", "name": "Bank"},
    "debtors": {
        "client_reference": "BANK",
        "reference": "D1",
        "name": "王建国",
        "id_number": "11010119900307001X",
        "phone": "13812345678",
    },
    "cases": {
        "client_reference": "BANK",
        "reference": "C1",
        "debtor_reference": "D1",
        "account_number": "6227000012340001",
        "principal": "20000",
        "outstanding": "12,345.60",
        "balance_as_of": "2026-01-05",
    },
    "contacts": {
        "client_reference": "BANK",
        "reference": "K1",
        "case_reference": "C1",
        "name": "李四",
        "phone": "13912345678",
        "relation": "colleague",
    },
    "addresses": {
        "client_reference": "BANK",
        "reference": "A1",
        "case_reference": "C1",
        "text": "北京市朝阳区建国路88号",
        "latitude": 39.9087,
        "longitude": 116.4605,
        "status": "verified",
        "source": "client file",
    },
    "ledger": {
        "client_reference": "BANK",
        "reference": "L1",
        "case_reference": "C1",
        "channel": "call",
        "at": "2026-01-05 10:00",
    },
}


def lines(*rows: Mapping[str, Any]) -> bytes:
    """Write rows as JSON lines."""
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def news(kind: str, **facts: Any) -> dict[str, Any]:
    """Write one row of a kind, with these facts."""
    return {"kind": kind, **NEWS[kind], **facts}


def whole_file() -> bytes:
    """Write one row of every kind, parents first."""
    return lines(*(news(kind) for kind in NEWS))


def send(person: Person, content: bytes, *, kind: str | None = None, mime: str = JSON_LINES) -> TestResponse:
    """Post a file."""
    query = {} if kind is None else {"kind": kind}
    return person.post("/api/v1/imports", data=content, query_string=query, headers={"Content-Type": mime})


def counts(answer: TestResponse) -> tuple[int, int, int, int]:
    """Return created, updated, unchanged, rejected."""
    assert answer.status_code == 201, answer.get_data(as_text=True)
    report = answer.get_json()
    return report["created"], report["updated"], report["unchanged"], report["rejected"]
