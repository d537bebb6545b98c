"""Orphans go, evidence never does: not even when a phone sends an orphan's bytes while it is removed."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.jobs import run_worker
from server.media.disk import DiskStore
from server.media.s3 import S3Store
from server.media.store import ObjectMissing
from server.models.evidence import Evidence, Upload
from server.models.storage import DoomedObject, KeptObject
from server.workflows.storage.collecting import collect, collect_folder, tidy_store
from server.workflows.uploads.creating import expire_uploads
from sync.protocol import uuid7
from tests.api.tus import CONTENT, Uploader, evidence_of, jobs
from tests.builders import a_handset, a_visitor, now
from tests.storage.shelf import Shelf, has, later, lay, some_bytes

THREE_DAYS = 3
FOLDERS = ("uploads", "evidence", "thumbnails", "renditions", "quarantine")


def collect_all(days_later: float = THREE_DAYS) -> None:
    for folder in FOLDERS:
        collect_folder(now=later(days_later), folder=folder)


def is_there(store: Any, key: str) -> bool:
    try:
        return store.size(key) >= 0
    except ObjectMissing:
        return False


def staged(store: Any) -> set[str]:
    return {one.key for one in store.walk("uploads")}


def test_an_object_that_nothing_names_goes_once_it_is_old_and_evidence_stays(shelf: Shelf) -> None:
    orphan, kept = shelf.lay(b"put, then the power went"), shelf.keep(b"evidence")

    collect_all(days_later=1)
    assert shelf.has(orphan)
    collect_all()

    assert not shelf.has(orphan)
    assert shelf.has(kept)
    assert db.session.query(DoomedObject).count() == 0


def test_pictures_of_evidence_go_with_it_and_others_stay(shelf: Shelf) -> None:
    shelf.keep(b"evidence")
    evidence = db.session.scalars(sa.select(Evidence)).one()
    gone = uuid7()
    for folder in ("thumbnails", "renditions"):
        for owner in (evidence.id, gone):
            shelf.store.put(f"{folder}/{owner}", b"small", mime="image/jpeg")
    with transaction() as session:
        session.execute(sa.update(Evidence).values(thumbnail_key=f"thumbnails/{evidence.id}"))

    collect_all()

    assert is_there(shelf.store, f"thumbnails/{evidence.id}")
    assert not is_there(shelf.store, f"renditions/{evidence.id}")  # nothing names it
    assert not is_there(shelf.store, f"thumbnails/{gone}")
    assert not is_there(shelf.store, f"renditions/{gone}")


def test_what_is_not_ours_is_left_alone(disk: Shelf) -> None:
    strange = disk.store.root / "evidence" / "no" / "notes-of-the-operator"
    strange.parent.mkdir()
    strange.write_bytes(b"do not remove")

    collect_all()

    assert strange.read_bytes() == b"do not remove"


def test_segments_of_an_expired_upload_go_and_those_of_a_running_one_stay(shelf: Shelf) -> None:
    expired, running = (Uploader(shelf.app, a_handset(a_visitor())) for _ in range(2))
    expired.patch(expired.created(CONTENT), 0, CONTENT[:100])
    at = running.created(CONTENT)
    running.patch(at, 0, CONTENT[:100])
    with transaction() as session:
        past = {"expires_at": now() - timedelta(seconds=1)}
        session.execute(sa.update(Upload).where(Upload.evidence_id == expired.evidence_id).values(**past))

    expire_uploads(now=now())
    run_worker(shelf.app, until_idle=True)
    collect_all()

    assert {key[:44] for key in staged(shelf.store)} == {f"uploads/{at[-36:]}"}
    assert running.patch(at, 100, CONTENT[100:]).status_code == 204
    assert shelf.has(evidence_of(running).storage_key or "")


def test_segments_that_came_after_their_upload_had_ended_go_too(shelf: Shelf, uploader: Uploader) -> None:
    at = uploader.created(CONTENT)
    uploader.patch(at, 0, CONTENT)
    run_worker(shelf.app, until_idle=True)
    shelf.store.append_segment(at[-36:], start=0, content=b"late", fence=99)
    shelf.store.append_segment(str(uuid7()), start=0, content=b"of no upload at all", fence=1)
    assert staged(shelf.store)

    collect_all()

    assert not staged(shelf.store)
    assert shelf.has(evidence_of(uploader).storage_key or "")


def test_creating_an_expired_upload_anew_has_the_old_bytes_cleared_away(app: Flask) -> None:
    uploader = Uploader(app, a_handset(a_visitor()))
    first = uploader.created(CONTENT)
    uploader.patch(first, 0, CONTENT[:100])
    with transaction() as session:
        session.execute(sa.update(Upload).values(expires_at=now() - timedelta(seconds=1)))

    second = uploader.created(CONTENT)

    assert second != first
    assert jobs("discard_segments") == 1


# The race: a phone sends bytes that an old orphan has. `keep` (a whole file) or `assemble` (pieces) may find
# them there and put nothing; then the collector strikes, at the moment named; then the commit comes.


class Collector:
    """Stops at each step of a removal, so that another's commit can come between any two."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.before_delete: Callable[[], None] = lambda: None

    def run(self) -> None:
        remove = self.shelf.store.remove

        def watched(key: str) -> None:
            self.before_delete()
            remove(key)

        self.shelf.store.remove = watched
        collect_folder(now=later(THREE_DAYS), folder="evidence")
        del self.shelf.store.remove


@pytest.fixture
def sender(shelf: Shelf) -> Uploader:
    """A phone about to finish an upload whose bytes lie in the store already, as an orphan."""
    shelf.lay(CONTENT)
    return Uploader(shelf.app, a_handset(a_visitor()))


def just_after(shelf: Shelf, step: str, happens: Callable[[], None]) -> None:
    """Let something happen once, between a step of the store, the final put (or find), and the commit."""
    take = getattr(shelf.store, step)

    def watched(*args: Any, **kwargs: Any) -> Any:
        found = take(*args, **kwargs)
        setattr(shelf.store, step, take)
        happens()
        return found

    setattr(shelf.store, step, watched)


@pytest.mark.parametrize(("step", "first"), [("keep", len(CONTENT)), ("assemble", 100)])
def test_an_orphan_collected_between_put_and_commit_is_put_again(
    shelf: Shelf, sender: Uploader, step: str, first: int
) -> None:
    at, collected = sender.created(CONTENT), []
    just_after(shelf, step, lambda: collected.append(Collector(shelf).run()))

    sender.patch(at, 0, CONTENT[:first])
    answer = sender.patch(at, first, CONTENT[first:])

    assert answer.status_code == 204
    assert len(collected) == 1
    assert shelf.has(evidence_of(sender).storage_key or "")


def test_while_an_orphan_is_doomed_its_bytes_do_not_become_evidence(shelf: Shelf, sender: Uploader) -> None:
    at = sender.created(CONTENT)
    collector, answers = Collector(shelf), []
    collector.before_delete = lambda: answers.append(sender.patch(at, 0, CONTENT))

    collector.run()
    again = sender.patch(at, sender.offset(at), CONTENT[sender.offset(at) :])

    assert [one.status_code for one in answers] == [503]
    assert again.status_code == 204
    assert shelf.has(evidence_of(sender).storage_key or "")


def test_an_orphan_that_became_evidence_before_it_was_doomed_stays(shelf: Shelf, sender: Uploader) -> None:
    old = [one.key for one in shelf.store.walk("evidence")]
    sender.patch(sender.created(CONTENT), 0, CONTENT)

    collect_all()

    assert old == [evidence_of(sender).storage_key]
    assert shelf.has(old[0])


def test_a_removal_whose_process_died_is_finished_by_the_next_one(shelf: Shelf, sender: Uploader) -> None:
    class PowerCut(Exception):
        """The process ends here."""

    def dies() -> None:
        raise PowerCut

    collector = Collector(shelf)
    collector.before_delete = dies
    with pytest.raises(PowerCut):
        collector.run()
    del shelf.store.remove
    at = sender.created(CONTENT)
    assert sender.patch(at, 0, CONTENT).status_code == 503

    collect_folder(now=later(THREE_DAYS + 1), folder="evidence")
    answer = sender.patch(at, sender.offset(at), CONTENT[sender.offset(at) :])

    assert answer.status_code == 204
    assert shelf.has(evidence_of(sender).storage_key or "")


def test_half_written_files_and_unfinished_multipart_uploads_are_removed_when_old(shelf: Shelf) -> None:
    kept = shelf.keep(some_bytes(1000))
    if isinstance(shelf.store, DiskStore):
        left = shelf.path(kept).with_name(f"{shelf.path(kept).name}.{uuid7().hex}")
        left.write_bytes(b"half")
    elif isinstance(shelf.store, S3Store):
        where = {"Bucket": shelf.store.bucket, "Key": f"{shelf.store.prefix}evidence/{'0' * 64}"}
        shelf.store.client.create_multipart_upload(**where)

    tidy_store(now=later(1))
    tidy_store(now=later(THREE_DAYS))

    assert shelf.store.tidy(before=later(THREE_DAYS)) == 0
    assert shelf.has(kept)


def test_the_night_job_goes_through_every_folder(disk: Shelf, app: Flask) -> None:
    orphan = disk.lay(b"orphan")
    os.utime(disk.path(orphan), (1, 1))

    collect(now=now())
    run_worker(app, until_idle=True)

    assert not disk.has(orphan)
    assert db.session.query(KeptObject).count() == 0


def test_two_stores_walk_and_delete_alike(shelf: Shelf) -> None:
    keys = {lay(shelf.store, some_bytes(100, seed=number)) for number in range(5)}

    assert {one.key for one in shelf.store.walk("evidence")} == keys
    assert {one.size_bytes for one in shelf.store.walk("evidence")} == {100}

    for key in keys:
        shelf.store.remove(key)
        shelf.store.remove(key)
        assert not has(shelf.store, key)
    assert list(shelf.store.walk("evidence")) == []
