"""A running product moves from disk to S3 and back: killed in the middle, read all the time, nothing lost."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from flask import Flask

from server.cli import main
from server.database import db, transaction
from server.media.moving import MovingStore, carry
from server.media.opening import open_store
from server.media.store import MediaStore
from server.models.evidence import Evidence, Upload
from server.models.storage import StoreMove
from server.workflows import evidence as evidence_jobs
from sync.protocol import uuid7
from tests.api.tus import Uploader, evidence_of, stored
from tests.builders import a_handset, a_visitor, now
from tests.conftest import SECRETS
from tests.object_stores import BUCKET
from tests.storage.shelf import Shelf, has, rot, some_bytes

MIB = 1024 * 1024
CONTENT = some_bytes(5 * MIB // 2)
# What `fieldvisit move-store` is, but the power goes off while the n-th object is copied.
DIES = """
import itertools, os, signal, sys
from server.cli import main
from server.workflows.storage import moving
count, carry = itertools.count(1), moving.carry
def until_then(key, **stores):
    if next(count) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return carry(key, **stores)
moving.carry = until_then
main(["move-store"])
"""


@dataclass
class Removal:
    """A product that is told of two stores."""

    app: Flask
    new_url: str
    old_url: str
    access: dict[str, str]

    def __post_init__(self) -> None:
        self.new: Any = open_store(self.new_url, **self.access)
        self.old: Any = open_store(self.old_url, **self.access)
        self.both = MovingStore(new=self.new, old=self.old)

    def use(self, store: MediaStore) -> None:
        """Restart the product with this store."""
        self.app.extensions["media_store"] = store

    @property
    def environ(self) -> dict[str, str]:
        return {
            **SECRETS,
            "DATABASE_URL": self.app.extensions["config"].libpq_url,
            "MEDIA_STORE": self.new_url,
            "MEDIA_STORE_BEFORE": self.old_url,
            "S3_ENDPOINT_URL": self.access["endpoint"],
            "AWS_ACCESS_KEY_ID": self.access["access_key"],
            "AWS_SECRET_ACCESS_KEY": self.access["secret_key"],
        }

    def run(self, **changed: str) -> Result:
        result = CliRunner().invoke(main, ["move-store"], env=self.environ | changed)
        db.session.rollback()
        return result

    def run_until_killed(self, *, at: int) -> None:
        command = [sys.executable, "-c", DIES, str(at)]
        done = subprocess.run(command, env={**os.environ, **self.environ}, capture_output=True, timeout=600)
        assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(params=["disk to S3", "S3 to disk"])
def removal(
    request: pytest.FixtureRequest,
    app: Flask,
    tmp_path: Path,
    moto_s3: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Removal:
    monkeypatch.setitem(app.extensions, "media_store", None)
    urls = [str(tmp_path / "media"), f"s3://{BUCKET}/{uuid7().hex}"]
    old, new = urls if request.param == "disk to S3" else reversed(urls)
    return Removal(app, new_url=new, old_url=old, access=moto_s3)


@pytest.fixture
def shelf(removal: Removal) -> Shelf:
    """The old store, in use."""
    removal.use(removal.old)
    return Shelf(removal.app, removal.old)


def all_readable(store: MediaStore, contents: dict[str, bytes]) -> bool:
    return all(b"".join(store.read(key)) == content for key, content in contents.items())


def test_a_move_goes_between_two_s3_servers_with_keys_of_their_own(
    app: Flask,
    moto_s3: dict[str, str],
    rclone_s3: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old_url, new_url = (f"s3://{BUCKET}/{uuid7().hex}" for _ in range(2))
    removal = Removal(app, new_url=new_url, old_url=old_url, access=moto_s3)
    old = open_store(old_url, **rclone_s3)
    monkeypatch.setitem(app.extensions, "media_store", old)
    key = Shelf(app, old).keep(CONTENT)

    done = removal.run(
        S3_ENDPOINT_URL_BEFORE=rclone_s3["endpoint"],
        AWS_ACCESS_KEY_ID_BEFORE=rclone_s3["access_key"],
        AWS_SECRET_ACCESS_KEY_BEFORE=rclone_s3["secret_key"],
    )

    assert done.exit_code == 0, done.output
    assert all_readable(removal.new, {key: CONTENT})


def test_a_move_that_was_killed_goes_on_and_everything_can_be_read_all_the_time(
    removal: Removal, shelf: Shelf
) -> None:
    contents = {shelf.keep(content): content for content in (some_bytes(2000, seed=n) for n in range(100))}
    contents[shelf.keep(CONTENT * 4)] = CONTENT * 4
    one = db.session.scalars(sa.select(Evidence)).first()
    assert one is not None
    removal.old.put(f"thumbnails/{one.id}", b"small", mime="image/jpeg")
    with transaction() as session:
        this = sa.update(Evidence).where(Evidence.id == one.id)
        session.execute(this.values(thumbnail_key=f"thumbnails/{one.id}"))

    removal.run_until_killed(at=80)
    removal.use(removal.both)
    assert db.session.scalars(sa.select(StoreMove.objects)).one() == 64
    assert all_readable(removal.both, contents)
    came_meanwhile = some_bytes(3000, seed=999)
    contents[Shelf(removal.app, removal.both).keep(came_meanwhile)] = came_meanwhile
    done = removal.run()

    assert done.exit_code == 0, done.output
    assert "Everything is in the new store." in done.output
    removal.use(removal.new)
    assert all_readable(removal.new, contents)
    assert b"".join(removal.new.read(f"thumbnails/{one.id}")) == b"small"
    assert all_readable(removal.old, {key: contents[key] for key in list(contents)[:101]})
    assert db.session.scalars(sa.select(StoreMove.finished_at)).one() is not None


def test_an_upload_that_began_before_the_move_goes_on_where_it_was(removal: Removal, shelf: Shelf) -> None:
    uploader = Uploader(removal.app, a_handset(a_visitor()))
    at = uploader.created(CONTENT)
    uploader.patch(at, 0, CONTENT[: MIB + 5])

    removal.use(removal.both)
    waiting = removal.run()
    offset = uploader.offset(at)
    answer = uploader.patch(at, offset, CONTENT[offset:])
    evidence_jobs.discard_segments(now=now(), upload_id=at[-36:])
    done = removal.run()

    assert waiting.exit_code == 1
    assert "1 uploads that began in the old store" in waiting.output
    assert (offset, answer.status_code) == (MIB + 5, 204)
    assert done.exit_code == 0
    removal.use(removal.new)
    assert stored(removal.app, uploader) == CONTENT


def test_an_upload_that_begins_during_the_move_touches_the_new_store_only(
    removal: Removal, shelf: Shelf
) -> None:
    removal.use(removal.both)
    uploader = Uploader(removal.app, a_handset(a_visitor()))
    at = uploader.created(CONTENT)

    uploader.patch(at, 0, CONTENT[: 2 * MIB])
    uploader.patch(at, 2 * MIB, CONTENT[2 * MIB :])

    key = evidence_of(uploader).storage_key or ""
    assert has(removal.new, key)
    assert not has(removal.old, key)


def test_what_is_rotten_in_the_old_store_is_named_left_there_and_holds_the_end_up(
    removal: Removal, shelf: Shelf
) -> None:
    rotten, lost, sound = (shelf.keep(content) for content in (b"rotten", b"lost", b"sound"))
    shelf.flip_a_bit(rotten, at=1)
    shelf.remove(lost)

    removal.use(removal.both)
    held_up = removal.run()
    assert held_up.exit_code == 1
    assert f"ALTERED    {rotten}" in held_up.output
    assert f"MISSING    {lost}" in held_up.output
    assert rot() == {rotten: "altered", lost: "missing"}
    assert has(removal.new, sound) and not has(removal.new, rotten)

    Shelf(removal.app, removal.old).flip_a_bit(rotten, at=1)
    removal.old.put("evidence/" + lost.partition("/")[2], b"lost", mime="image/jpeg")
    mended = removal.run()

    assert mended.exit_code == 0
    assert has(removal.new, rotten) and has(removal.new, lost)


def test_a_process_that_was_not_restarted_writes_to_the_old_store_and_that_is_carried_too(
    removal: Removal, shelf: Shelf
) -> None:
    shelf.keep(b"one photo")
    removal.use(removal.both)
    removal.run()
    with transaction() as session:
        session.execute(sa.update(StoreMove).values(finished_at=None))
    late = shelf.keep(b"written to the old store by a process that nobody restarted")

    done = removal.run()

    assert done.exit_code == 0
    assert has(removal.new, late)


def test_rotten_bytes_under_the_address_in_the_new_store_are_replaced(removal: Removal, shelf: Shelf) -> None:
    key = shelf.keep(b"one photo")
    removal.new.put(key, b"one phot0", mime="image/jpeg")

    step = carry(key, source=removal.old, target=removal.new)

    assert step.outcome == "carried"
    assert has(removal.new, key)


def test_without_an_old_store_the_command_says_what_to_set(removal: Removal, shelf: Shelf) -> None:
    told = removal.run(MEDIA_STORE_BEFORE="")

    assert told.exit_code == 1
    assert "MEDIA_STORE_BEFORE" in told.output
    assert db.session.query(Upload).count() == db.session.query(StoreMove).count() == 0
