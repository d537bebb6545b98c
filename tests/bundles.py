"""Evidence bundles as the bank gets them, and as somebody without a key would hand them on, altered."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from server.ledger.bundle import Report, verify
from tests.builders import Person

Parts = dict[str, bytes]
Rows = list[dict[str, Any]]


def bundle_of(visit_id: UUID, auditor: Person, path: Path) -> Path:
    """Fetch a visit's bundle into a file."""
    answer = auditor.get(f"/api/v1/visits/{visit_id}/bundle")
    assert answer.status_code == 200
    path.write_bytes(answer.data)
    return path


def changed(bundle: Path, change: Callable[[Parts], None]) -> Path:
    """The bundle with its parts changed."""
    with zipfile.ZipFile(bundle) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    path = bundle.with_name("changed.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def rows(parts: Parts, name: str) -> Rows:
    return json.loads(parts[name])


def put(parts: Parts, name: str, value: Any) -> None:
    parts[name] = json.dumps(value, ensure_ascii=False).encode()


def rewritten(bundle: Path, part: str, change: Callable[[Rows], None]) -> Report:
    """Verify a bundle in which somebody changed the rows of a part."""

    def rewrite(parts: Parts) -> None:
        told = rows(parts, part)
        change(told)
        put(parts, part, told)

    return verify(changed(bundle, rewrite))
