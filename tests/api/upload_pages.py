"""A web page that uploads a file over a network that breaks, whoever the client in it is.

`Page.send` hands a job to a runner: Node.js (`test_files_clients`), a real Chromium (`test_files_chromium`).
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from flask import Flask

from server.database import db
from server.models.evidence import Evidence, Upload
from tests.api.breaking import BreakingProxy, CutRequest, Fault, LoseAnswer, Stall
from tests.api.tus import FILES
from tests.builders import Handset

KIB: Final = 1024
CONTENT: Final = hashlib.shake_256(b"a recording").digest(1500 * KIB + 11)
Run = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Page:
    """A page with an upload client in it, behind the breaking network."""

    handset: Handset
    network: BreakingProxy
    file: Path
    evidence_id: UUID
    run: Run

    def send(self, content: bytes, *, sha256: str | None = None, **options: Any) -> dict[str, Any]:
        """Let the client upload this content and return what it says at the end."""
        self.file.write_bytes(content)
        told = sha256 or hashlib.sha256(content).hexdigest()
        return self.run(
            {
                "endpoint": f"http://127.0.0.1:{self.network.port}{FILES}",
                "token": self.handset.token,
                "path": str(self.file),
                "metadata": {"evidence_id": str(self.evidence_id), "sha256": told},
                **options,
            }
        )


def stored(app: Flask, page: Page) -> bytes | None:
    """What the store has as this evidence, or None."""
    db.session.rollback()
    key = db.session.get_one(Evidence, page.evidence_id, populate_existing=True).storage_key
    return None if key is None else b"".join(app.extensions["media_store"].read(key))


def uploads() -> list[str]:
    db.session.rollback()
    return [*db.session.scalars(sa.select(Upload.state))]


def random_faults(seed: int) -> list[Fault]:
    """Seven ways to lose a connection, each at a random byte."""
    chance = random.Random(seed)
    made: list[Fault] = []
    for _ in range(7):
        after = int(chance.choice((300, 5_000, 200_000)) * chance.random()) + 1
        faults = (CutRequest(after, "fin"), CutRequest(after, "rst"), Stall(after), LoseAnswer())
        made.append(chance.choice(faults))
    return made
