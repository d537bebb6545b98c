"""How does a recording become one that every browser plays? Beside the original, after its inspection."""

from datetime import datetime
from uuid import UUID

from server.database import db, release_connection, transaction
from server.jobs import task
from server.media import rendering
from server.models.evidence import Evidence
from server.storage import current_store
from server.workflows.inspection.files import local_copy


@task("render_recording")
def render_recording(*, now: datetime, evidence_id: str) -> None:
    """Make the copy of a recording that every browser plays, and keep it beside the original."""
    evidence = db.session.get(Evidence, UUID(evidence_id), populate_existing=True)
    if evidence is None or evidence.storage_key is None:
        return
    key, mime = evidence.storage_key, str((evidence.inspection or {}).get("sniffed_mime"))
    release_connection()
    store = current_store()
    with local_copy(store, key) as path:
        target = path.with_name("rendition.mp3")
        if not rendering.render(path, target, mime=mime):
            return
        rendition_key = f"renditions/{evidence_id}"
        store.put(rendition_key, target.read_bytes(), mime=rendering.MIME)
    with transaction() as session:
        evidence = session.get_one(Evidence, UUID(evidence_id), with_for_update=True, populate_existing=True)
        if evidence.storage_key == key:
            evidence.rendition_key = rendition_key
