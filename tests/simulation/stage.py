"""Where do runs happen? The real app on the real PostgreSQL, put back to one image before each run.

The image is an office that has opened: people, cases, three phones with their folders, three visits assigned.
Putting back, a backup and its restore are the same thing: all tables are copied, inside the database.
"""

import itertools
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

import psycopg
from flask import Flask

from server.authority import Role
from server.clock import Clock
from server.database import db
from server.models.cases import Debtor
from server.models.people import Staff
from sync import protocol
from sync.phone import Phone
from tests import cluster
from tests.builders import a_visitor
from tests.office import NOW, Door, Office, a_body, a_door, an_office
from tests.phones import Watch, a_phone
from tests.phones import office as office_line
from tests.simulation.interleaving import Turns

MEMORY: Final = Path("/dev/shm")
SLOTS: Final = ("2026-11-23 10:10", "2026-11-23 13:00", "2026-11-23 16:00", "2026-11-24 10:00")
PHONES: Final = 3
BOOTED: Final = NOW - timedelta(hours=3)
OPENING: Final = Watch(real=lambda: NOW, booted=BOOTED)
# Milliseconds of ids: what stood when the office opened comes before all that a run makes, on any day.
_OPENING: Final = 1_700_000_000_000
_AFTER_OPENING: Final = 1_800_000_000_000
_COPYING: Final = """
    CREATE FUNCTION simulation_copy(source text, target text) RETURNS void LANGUAGE plpgsql AS $body$
    DECLARE one record; is_there boolean;
    BEGIN
        FOR one IN SELECT name, columns FROM simulation_tables LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I)', target, one.name) INTO is_there;
            IF is_there THEN EXECUTE format('DELETE FROM %I.%I', target, one.name); END IF;
            EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I)', source, one.name) INTO is_there;
            IF is_there THEN
                EXECUTE format(
                    'INSERT INTO %1$I.%2$I (%3$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM %4$I.%2$I',
                    target, one.name, one.columns, source);
            END IF;
        END LOOP;
    END $body$;
    CREATE TABLE simulation_tables AS
        SELECT table_name::text AS name, string_agg(quote_ident(column_name), ', ') AS columns
          FROM information_schema.columns
          JOIN pg_tables ON tablename = table_name AND schemaname = table_schema
         WHERE table_schema = 'public' AND is_generated = 'NEVER'
           AND table_name NOT IN ('alembic_version', 'simulation_tables')
         GROUP BY table_name;
    DO $body$
    DECLARE image text; one record;
    BEGIN
        FOREACH image IN ARRAY ARRAY['opened', 'backup'] LOOP
            EXECUTE format('CREATE SCHEMA %I', image);
            FOR one IN SELECT name FROM simulation_tables LOOP
                EXECUTE format(
                    'CREATE UNLOGGED TABLE %1$I.%2$I (LIKE public.%2$I INCLUDING GENERATED)',
                    image, one.name);
            END LOOP;
        END LOOP;
    END $body$;
"""
_TIDYING: Final = """
    DROP SCHEMA IF EXISTS opened, backup CASCADE;
    DROP FUNCTION IF EXISTS simulation_copy;
    DROP TABLE IF EXISTS simulation_tables;
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What the opened office consists of."""

    tokens: dict[Role, str]
    people: dict[Role, UUID]
    doors: tuple[Door, ...]
    visitors: tuple[Staff, ...]
    teams: tuple[tuple[Staff, ...], ...]
    folders: tuple[Path, ...]


@dataclass(slots=True)
class Stage:
    """One worker's stage, for one run at a time."""

    app: Flask
    image: Image
    turns: Turns
    sql: psycopg.Connection[Any]
    room: Path
    true_time: datetime = NOW
    server_wrong_by: timedelta = timedelta(0)

    def reset(self, seed: int) -> None:
        """Put tables, clocks and randomness back to where every run begins."""
        self.copy("opened", "public")
        self.true_time, self.server_wrong_by = NOW, timedelta(0)
        _make_ids_from(random.Random(seed), since=_AFTER_OPENING)

    def copy(self, source: str, target: str) -> None:
        """Make every table of the target schema equal to the source's: opened, backup, public."""
        self.sql.execute("SELECT simulation_copy(%s, %s)", [source, target])

    def pass_time(self, **by: float) -> None:
        """Let true time pass."""
        self.true_time += timedelta(**by)

    def server_now(self) -> datetime:
        """Say what the server's clock shows."""
        return self.true_time + self.server_wrong_by


@dataclass(frozen=True)
class StageClock(Clock):
    """The product's clock is the stage's."""

    stage: Stage | None = None

    def now(self) -> datetime:
        assert self.stage is not None
        return self.stage.server_now()


def _make_ids_from(dice: random.Random, *, since: int) -> None:
    """Have `uuid7` count milliseconds and draw from the run's dice: the same ids each time, in order."""
    ticks = itertools.count(since)
    clock = SimpleNamespace(time_ns=lambda: next(ticks) * 1_000_000)
    protocol.__dict__.update(time=clock, secrets=SimpleNamespace(randbits=dice.getrandbits))


@contextmanager
def a_stage(app: Flask) -> Iterator[Stage]:
    """Open the office once and keep its image; everything is given back at the end."""
    room = Path(tempfile.mkdtemp(prefix="simulation-", dir=MEMORY if MEMORY.is_dir() else None))
    clock, ids = app.extensions["clock"], {name: protocol.__dict__[name] for name in ("time", "secrets")}
    address = app.extensions["config"].libpq_url
    with psycopg.connect(address, autocommit=True) as sql:
        try:
            with app.app_context():
                cluster.empty_tables(db.engine)
                _make_ids_from(random.Random("the opening"), since=_OPENING)
                image = _open_the_office(app, room)
                db.session.remove()
                stage = Stage(app, image, Turns(sql), sql, room)
                app.extensions["clock"] = StageClock(stage=stage)
                stage.turns.listen_to(db.engine)
            sql.execute("SET session_replication_role = replica")  # neither triggers nor keys while copying
            sql.execute("SET deadlock_timeout = '100ms'")
            sql.execute(_TIDYING + _COPYING)
            stage.copy("public", "opened")
            yield stage
            stage.turns.forget()
        finally:
            sql.execute(_TIDYING)
            app.extensions["clock"] = clock
            protocol.__dict__.update(ids)
            shutil.rmtree(room)


def _open_the_office(app: Flask, room: Path) -> Image:
    """Two debtors, one of them in hardship, one with two cases; four visitors, three of them with a phone."""
    office: Office = an_office(app)
    first = a_door()
    debtor = db.session.get_one(Debtor, first.case.debtor_id)
    doors = (first, a_door(hardship=("pregnancy",)), a_door(debtor=debtor))
    visitors = tuple(a_visitor() for _ in range(4))
    a, b, c, d = visitors
    teams = ((a, d), (b, c), (c, a), (b, d))
    folders = tuple(room / f"phone-{n}" for n in range(PHONES))
    for staff, folder in zip(visitors, folders, strict=False):
        a_phone(staff, folder, watch=OPENING).close()
    roles = (Role.DISPATCHER, Role.SUPERVISOR, Role.ADMIN)
    for door, team, slot in zip(doors, teams, SLOTS, strict=False):
        answer = office.ask("/assignments", a_body(door, *team, start=slot))
        assert answer.status_code == 201, answer.text
    db.session.remove()
    for folder in folders:
        _sync(app, folder)
    return Image(
        tokens={role: office.person(role).token for role in roles},
        people={role: office.person(role).staff.id for role in roles},
        doors=doors,
        visitors=visitors,
        teams=teams,
        folders=folders,
    )


def _sync(app: Flask, folder: Path) -> None:
    """The visitors have fetched their day before a run begins."""
    phone = Phone(folder, clocks=OPENING.clocks())
    with office_line(app) as http:
        phone.sync(http)
    phone.close()
