"""Clocks that lie, phones that start again, phones of which there are two."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db
from server.models.dispatch import Assignment
from server.models.people import Staff
from server.models.visits import Item, Visit
from sync.phone import Phone
from tests.builders import now
from tests.phones import Watch, a_phone, office
from tests.pushing import begin

FIVE_YEARS = timedelta(days=5 * 365)
MINUTE = timedelta(minutes=1)


def sync(app: Flask, phone: Phone) -> None:
    with office(app) as http:
        phone.sync(http)


def visited() -> tuple[Visit, list[str]]:
    """The one visit, and what was flagged about its check-in."""
    db.session.rollback()
    return db.session.scalars(sa.select(Visit)).one(), db.session.scalars(sa.select(Item.flags)).one()


@pytest.mark.parametrize("skew", [FIVE_YEARS, -FIVE_YEARS], ids=["ahead", "behind"])
def test_a_phone_clock_five_years_wrong_with_an_anchor(
    app: Flask, visitor: Staff, assignment: Assignment, tmp_path: Path, skew: timedelta
) -> None:
    phone = a_phone(visitor, tmp_path / "phone", watch=Watch(skew=skew))
    sync(app, phone)
    before = now()
    begin(phone, assignment.id)
    after = now()

    sync(app, phone)

    visit, flags = visited()
    assert visit.arrived_method == "anchored" and "clock_low_trust" not in flags
    assert visit.arrived_earliest <= after and before <= visit.arrived_latest
    assert visit.arrived_latest - visit.arrived_earliest < MINUTE
    phone.close()


@pytest.mark.parametrize("skew", [FIVE_YEARS, -FIVE_YEARS], ids=["ahead", "behind"])
def test_a_phone_clock_five_years_wrong_without_an_anchor(
    app: Flask, visitor: Staff, assignment: Assignment, tmp_path: Path, skew: timedelta
) -> None:
    phone = a_phone(visitor, tmp_path / "phone", watch=Watch(skew=skew))
    before = now()
    begin(phone, assignment.id)

    sync(app, phone)

    visit, flags = visited()
    assert phone.outbox.outcomes()[0]["outcome"] == "applied"
    assert (visit.arrived_method, "clock_low_trust" in flags) == ("received", True)
    assert visit.arrived_earliest <= before <= visit.arrived_latest <= now()
    phone.close()


def start_again(watch: Watch) -> None:
    watch.boot, watch.booted = f"{watch.boot}, again", datetime.now(UTC)


@pytest.mark.parametrize(
    ("is_started_again", "method"), [(False, "anchored-later"), (True, "wall")], ids=["once", "twice"]
)
def test_a_phone_that_restarts_offline_keeps_its_chain_and_is_trusted_less_if_it_does_so_twice(
    app: Flask, visitor: Staff, assignment: Assignment, tmp_path: Path, is_started_again: bool, method: str
) -> None:
    watch = Watch(skew=timedelta(minutes=3))
    phone = a_phone(visitor, tmp_path / "phone", watch=watch)
    sync(app, phone)
    phone.close()
    start_again(watch)
    phone = Phone(tmp_path / "phone", clocks=watch.clocks())
    before = now()
    begin(phone, assignment.id)
    after = now()
    if is_started_again:
        start_again(watch)

    sync(app, phone)

    visit, flags = visited()
    assert (visit.arrived_method, "clock_low_trust" in flags) == (method, is_started_again)
    assert visit.arrived_earliest <= after and before <= visit.arrived_latest
    assert is_started_again or visit.arrived_latest - visit.arrived_earliest < MINUTE
    phone.close()


def test_a_cloned_phone_loses_nothing_and_both_sides_are_flagged(
    app: Flask, visitor: Staff, assignment: Assignment, tmp_path: Path
) -> None:
    original = a_phone(visitor, tmp_path / "phone")
    begin(original, assignment.id)
    sync(app, original)
    original.close()
    shutil.copytree(tmp_path / "phone", tmp_path / "clone")
    phones = [Phone(tmp_path / name, clocks=Watch().clocks()) for name in ("phone", "clone")]

    for phone in phones:
        phone.record("gap.explained", {"reason": str(phone.folder)})
        sync(app, phone)

    db.session.rollback()
    rows = db.session.execute(sa.select(Item.seq, Item.outcome, Item.flags).order_by(Item.received_at)).all()
    assert [(row.seq, row.outcome) for row in rows] == [(1, "applied"), (2, "applied"), (2, "applied")]
    assert ["chain_fork" in row.flags for row in rows] == [False, True, True]
    for phone in phones:
        assert phone.outbox.count_waiting() == (0, 0)
        phone.close()
