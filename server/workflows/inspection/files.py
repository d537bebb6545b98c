"""How do the steps of an inspection get at the bytes, and what do they set going?"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.jobs import enqueue
from server.media.store import MediaStore
from server.models.evidence import Evidence


@contextmanager
def local_copy(store: MediaStore, key: str) -> Iterator[Path]:
    """Copy an object into a folder of its own, which goes away with everything made there."""
    with tempfile.TemporaryDirectory(prefix="evidence-") as folder:
        path = Path(folder) / "content"
        with path.open("wb") as file:
            store.copy_to(key, file)
        yield path


def reconcile_later(evidence: Evidence) -> None:
    """Have the visit judged again when this evidence says all it can."""
    is_settled = evidence.state == "mismatched" or (evidence.state == "verified" and evidence.inspected_at)
    if is_settled and evidence.visit_id is not None:
        visit_id = str(evidence.visit_id)
        enqueue(
            "reconcile_visit",
            queueing_lock=f"reconcile-{visit_id}",
            visit_id=visit_id,
            because="evidence",
        )


def compare_later(evidence: Evidence) -> None:
    """Have later visits judged again that this evidence served too, and that were judged without it."""
    if evidence.state == "verified" and evidence.inspected_at and evidence.visit_id is not None:
        name = str(evidence.id)
        enqueue("reconcile_later_visits", queueing_lock=f"later-visits-{name}", evidence_id=name)
