"""What people said about people before it was encrypted: after the migration it is, and nothing was lost."""

from pathlib import Path

import sqlalchemy as sa
from flask import Flask

from server.app import create_app
from server.config import Config
from server.database import db
from server.models.cases import Hold
from server.schema import upgrade
from tests import cluster
from tests.conftest import SECRETS

CAST = """
    INSERT INTO clients (id, reference, name, instructions) VALUES (gen_random_uuid(), 'B', 'Bank', '');
    INSERT INTO debtors (id, client_id, reference) SELECT gen_random_uuid(), id, 'D' FROM clients;
    INSERT INTO cases (id, client_id, reference, debtor_id, principal_fen, outstanding_fen)
    SELECT gen_random_uuid(), client_id, 'C', id, 0, 0 FROM debtors;
    INSERT INTO holds (id, scope, debtor_id, case_id, reason, note, raised_at, released_at, released_by,
                       release_instruction)
    SELECT gen_random_uuid(), 'case', debtor_id, id, reason, 'said ' || reason, now(),
           CASE reason WHEN 'paid' THEN now() END, CASE reason WHEN 'paid' THEN gen_random_uuid() END,
           CASE reason WHEN 'paid' THEN 'letter 7' ELSE '' END
    FROM cases, unnest(ARRAY['paid', 'other']) AS reason
"""


def an_older_database(app: Flask) -> None:
    """The schema before casework, with a released hold and an open one."""
    upgrade(app, revision="0003")
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text(CAST))


def test_the_words_on_holds_are_encrypted_and_none_is_lost(tmp_path: Path, worker_id: str) -> None:
    with cluster.running_cluster() as server:
        url = server.create(f"older_{worker_id}")
        app = create_app(Config.from_environ(SECRETS, var=tmp_path, default_database_url=url))
        an_older_database(app)

        upgrade(app)

        with app.app_context():
            read = db.session.execute(sa.select(Hold.reason, Hold.note, Hold.release_instruction)).all()
            stored = db.session.execute(sa.text("SELECT note FROM holds")).scalars().all()
            db.session.remove()
            db.engine.dispose()
    assert {tuple(row) for row in read} == {
        ("paid", "said paid", "letter 7"),
        ("other", "said other", None),
    }
    assert not any(b"said" in bytes(words) for words in stored)
