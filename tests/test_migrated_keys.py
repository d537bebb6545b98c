"""Recordings of before keys were folded: they are found by those of after, by all keys that both keep."""

from pathlib import Path
from uuid import UUID

import numpy as np
import sqlalchemy as sa

from server.app import create_app
from server.config import Config
from server.database import db
from server.media.landmarks import Landmarks
from server.models.prints import SoundPrint
from server.schema import upgrade
from tests import cluster
from tests.conftest import SECRETS

RECORDING = UUID(int=1)
SECONDS = 180
BEFORE = sa.text("INSERT INTO sound_prints (evidence_id, keys, landmarks) VALUES (:id, :keys, :landmarks)")


def test_the_migration_leaves_old_keys_comparable_with_new_ones(tmp_path: Path, worker_id: str) -> None:
    noise = np.random.default_rng(1)
    frames = np.sort(noise.integers(0, SECONDS * 60, 3400)).astype(np.int32)
    heard = Landmarks(noise.integers(0, 1 << 63, 3400) & ~0x3E0, frames)
    old = np.unique(heard.keys[heard.keys & 0x3FF < 8] >> 32).tolist()
    with cluster.running_cluster() as server:
        url = server.create(f"unfolded_{worker_id}")
        app = create_app(Config.from_environ(SECRETS, var=tmp_path, default_database_url=url))
        upgrade(app, revision="0038")
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))  # no visit is needed
            told = {"id": RECORDING, "keys": old, "landmarks": heard.to_bytes()}
            connection.execute(BEFORE, told)

        upgrade(app)

        with app.app_context():
            print_ = db.session.scalars(sa.select(SoundPrint)).one()
            db.session.remove()
            db.engine.dispose()
    assert print_.keys == sorted(set(print_.keys))
    assert len(heard.rare) < len(print_.keys) == len(old)
    assert set(heard.rare) < set(print_.keys)
