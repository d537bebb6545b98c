"""What rots in the store is named, whatever it is; what is sound is gone round in time and never accused."""

import tracemalloc
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from flask import Flask

from server.authority import Role
from server.cli import main
from server.database import db, transaction
from server.jobs import run_worker
from server.media.opening import open_store
from server.media.store import StoreUnavailable
from server.models.evidence import Evidence
from server.models.storage import KeptObject, Rot
from server.workflows.storage import scrubbing
from server.workflows.storage.scrubbing import ASKING_COSTS, scrub, scrub_everything, scrub_stretch, share_of
from tests.api.tus import CONTENT, Uploader, jobs, stored
from tests.builders import Cast, a_handset, a_visitor, now
from tests.conftest import SECRETS
from tests.storage.shelf import Shelf, later, rot, some_bytes

MIB = 1024 * 1024


def check_all(at: datetime | None = None) -> list[str]:
    """Go round once; return the keys in the order in which they were read."""
    return [seen.key for seen, _ in scrub_everything(now=at or later(0.01))]


@pytest.mark.parametrize("size", [1, 70_000, 9 * MIB])
def test_one_flipped_bit_is_named(shelf: Shelf, size: int) -> None:
    sound, rotten = shelf.keep(b"sound"), shelf.keep(some_bytes(size))
    shelf.flip_a_bit(rotten, at=size // 2)

    check_all()

    assert rot() == {rotten: "altered"}
    outcomes = db.session.execute(sa.select(KeptObject.key, KeptObject.outcome))
    assert {key: outcome for key, outcome in outcomes} == {sound: "sound", rotten: "altered"}


def test_what_was_removed_or_cut_short_is_rot_too(shelf: Shelf) -> None:
    removed, cut = shelf.keep(b"one photo"), shelf.keep(b"another photo")
    shelf.remove(removed)
    shelf.cut(cut, to=5)

    check_all()

    assert rot() == {removed: "missing", cut: "altered"}
    assert db.session.scalars(sa.select(Rot.found_bytes).where(Rot.key == cut)).one() == 5


def test_what_the_disk_cannot_read_is_rot_and_the_round_goes_on(disk: Shelf) -> None:
    bad, next_one = disk.keep(b"one photo", days_ago=2), disk.keep(b"another photo", days_ago=1)
    disk.path(bad).unlink()
    disk.path(bad).mkdir()  # reading it fails with an error of the file system's own

    assert check_all() == [bad, next_one]
    assert rot() == {bad: "unreadable"}


def test_a_store_that_is_away_is_no_rot(shelf: Shelf, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.keep(b"one photo")
    away = open_store("s3://media", endpoint="http://127.0.0.1:9", access_key="a", secret_key="b")
    monkeypatch.setitem(app.extensions, "media_store", away)

    with pytest.raises(StoreUnavailable):
        check_all()

    assert rot() == {}


def test_rot_is_told_once_and_ends_when_the_phone_sends_the_file_again(app: Flask) -> None:
    uploader = Uploader(app, a_handset(a_visitor()))
    uploader.patch(uploader.created(CONTENT), 0, CONTENT)
    shelf = Shelf(app, app.extensions["media_store"])
    key = db.session.scalars(sa.select(KeptObject.key)).one()
    shelf.flip_a_bit(key, at=7)
    check_all(later(1))
    check_all(later(2))
    assert rot() == {key: "altered"}
    assert stored(app, uploader) != CONTENT

    again = Uploader(app, uploader.handset)
    again.patch(again.created(CONTENT), 0, CONTENT)
    check_all(later(3))

    assert rot() == {}
    assert db.session.scalars(sa.select(Rot.mended_at)).one() is not None
    assert stored(app, uploader) == CONTENT


def test_evidence_is_known_to_the_scrubber_however_its_row_was_written(disk: Shelf) -> None:
    key = disk.keep(b"one photo")
    twin = disk.keep(b"one photo")

    assert key == twin
    assert check_all() == [key]


def test_what_was_erased_is_not_missed(disk: Shelf) -> None:
    key = disk.keep(b"one photo")
    with transaction() as session:
        session.execute(sa.update(Evidence).values(storage_key=None))
    disk.remove(key)

    assert check_all() == []
    assert rot() == {}


def test_the_oldest_check_comes_first_and_a_share_is_not_exceeded(disk: Shelf) -> None:
    keys = [disk.keep(some_bytes(100_000, seed=days), days_ago=days) for days in range(9, 0, -1)]
    cost = 100_000 + ASKING_COSTS

    scrub_stretch(now=now(), share=3 * cost)

    checked = sa.select(KeptObject.key).where(KeptObject.checked_at > now() - timedelta(hours=1))
    assert set(db.session.scalars(checked)) == set(keys[:3])
    assert jobs("scrub_stretch") == 0


def test_a_share_larger_than_a_stretch_is_worked_off_by_the_worker_in_several(
    disk: Shelf, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [disk.keep(some_bytes(1000, seed=days), days_ago=days) for days in range(7, 0, -1)]
    monkeypatch.setattr(scrubbing, "STRETCH", 2 * (ASKING_COSTS + 1000))
    monkeypatch.setattr(scrubbing, "RUNS_A_DAY", 1 / 24)  # one run goes through all of it

    scrub(now=now())
    run_worker(app, until_idle=True)

    db.session.rollback()
    checked = sa.select(KeptObject.key).where(KeptObject.checked_at > now() - timedelta(hours=1))
    assert set(db.session.scalars(checked)) == set(keys)
    assert jobs("scrub_stretch") == 4


@pytest.mark.parametrize("objects", [1, 5, 40])
@pytest.mark.parametrize("days", [1, 7])
def test_every_object_is_read_again_within_the_round_and_one_run_may_fail_in_six(
    objects: int, days: int
) -> None:
    sizes = [(7 + 13 * number % 11) * MIB for number in range(objects)]
    checked = [0] * objects
    share = share_of(sum(sizes) + objects * ASKING_COSTS, round_days=days)
    longest = 0

    for hour in range(1, 24 * days * 3):
        if hour % 6 == 0:
            continue
        left = share
        while left > 0:
            oldest = min(range(objects), key=checked.__getitem__)
            longest = max(longest, hour - checked[oldest])
            checked[oldest] = hour
            left -= sizes[oldest] + ASKING_COSTS

    assert longest <= 24 * days


def test_memory_stays_flat_whatever_the_object(disk: Shelf) -> None:
    key = disk.keep(b"\0" * (48 * MIB))
    tracemalloc.start()

    assert check_all() == [key]

    assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    tracemalloc.stop()


def test_no_connection_is_held_while_an_object_is_read(
    disk: Shelf, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.keep(b"one photo")
    held: list[int] = []
    read = disk.store.digest

    def watched(key: str) -> object:
        held.append(db.engine.pool.checkedout())  # pyright: ignore[reportAttributeAccessIssue]
        return read(key)

    monkeypatch.setattr(disk.store, "digest", watched)

    scrub_stretch(now=later(1), share=1)

    assert held == [0]


def test_auditors_see_which_visit_the_rot_belongs_to(disk: Shelf, cast: Cast) -> None:
    key = disk.keep(b"one photo")
    disk.flip_a_bit(key, at=0)
    check_all()

    page = cast.person(Role.AUDITOR).get("/api/v1/storage/rot").get_json()
    whole = cast.person(Role.ADMIN).get("/api/v1/storage").get_json()

    told = page["rot"][0]
    evidence = db.session.scalars(sa.select(Evidence)).one()
    assert (told["key"], told["kind"], told["size_bytes"]) == (key, "altered", len(b"one photo"))
    assert [one["id"] for one in told["evidence"]] == [str(evidence.id)]
    assert told["found_sha256"] and told["found_sha256"] not in key
    assert (whole["objects"], whole["rot"]) == (1, {"altered": 1})
    assert cast.person(Role.AUDITOR).get("/api/v1/storage/rot?mended=true").get_json()["rot"] == []


def test_the_metrics_say_how_much_is_rotten(disk: Shelf, app: Flask) -> None:
    disk.remove(disk.keep(b"one photo", days_ago=3))
    scrub_stretch(now=now(), share=1)

    told = app.test_client().get("/metrics").text

    assert 'fieldvisit_rot{kind="missing"} 1.0' in told
    assert 'fieldvisit_rot{kind="altered"} 0.0' in told


def test_the_command_goes_round_now_and_names_what_it_found(disk: Shelf, app: Flask) -> None:
    disk.keep(b"sound")
    rotten = disk.keep(some_bytes(3000))
    disk.flip_a_bit(rotten, at=2999)
    environ = {
        **SECRETS,
        "DATABASE_URL": app.extensions["config"].libpq_url,
        "MEDIA_STORE": str(disk.store.root),
    }

    found = CliRunner().invoke(main, ["scrub"], env=environ)
    disk.path(rotten).write_bytes(some_bytes(3000))
    mended = CliRunner().invoke(main, ["scrub", "--rot"], env=environ)

    assert found.exit_code == 1
    assert f"ALTERED    {rotten}" in found.output
    assert "2 objects checked, 1 are not what was stored." in found.output
    assert mended.exit_code == 0
    assert "1 objects checked, 0 are" in mended.output
    assert rot() == {}
