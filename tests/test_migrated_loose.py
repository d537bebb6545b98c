"""Files that nobody had promised before they were logged: the migration logs them as they stand."""

from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from server.app import create_app
from server.config import Config
from server.database import db
from server.models.evidence import Evidence
from server.models.transparency import LogLeaf
from server.schema import upgrade
from server.workflows.transparency.rows import rows
from tests import cluster
from tests.conftest import SECRETS

LOOSE, AWAITED, PHONE = UUID(int=1), UUID(int=2), UUID(int=3)
BEFORE = sa.text(
    """
    INSERT INTO evidence (id, device_id, state, storage_key)
    VALUES (:loose, :phone, 'stored', 'evidence/' || encode(sha256('x'), 'hex')),
           (:awaited, :phone, 'uploading', NULL)
    """
)


def test_the_migration_logs_the_files_that_are_loose(tmp_path: Path, worker_id: str) -> None:
    with cluster.running_cluster() as server:
        url = server.create(f"loose_{worker_id}")
        app = create_app(Config.from_environ(SECRETS, var=tmp_path, default_database_url=url))
        upgrade(app, revision="0033")
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(
                sa.text("SET LOCAL session_replication_role = replica")
            )  # no phones are needed
            connection.execute(BEFORE, {"loose": LOOSE, "awaited": AWAITED, "phone": PHONE})

        upgrade(app)

        with app.app_context():
            from_ = {one.id: one.loose_from for one in db.session.scalars(sa.select(Evidence))}
            leaves = db.session.execute(sa.select(LogLeaf.kind, LogLeaf.subject_id)).all()
            odd = list(rows(db.session()))
            db.session.remove()
            db.engine.dispose()
    assert from_ == {LOOSE: PHONE, AWAITED: None}
    assert [tuple(leaf) for leaf in leaves] == [("loose", LOOSE)]
    assert odd == []
