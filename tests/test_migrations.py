"""The migrations build exactly what the models say, on an empty database."""

from pathlib import Path

import sqlalchemy as sa

from server.app import create_app
from server.config import Config
from server.database import db
from server.jobs import apply_schema
from server.schema import upgrade
from tests import cluster
from tests.conftest import SECRETS

SHAPE = """
    SELECT 'column', table_name || '.' || column_name, concat_ws(' ', udt_name, is_nullable, column_default,
           is_identity, character_maximum_length)
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'index', tablename || '.' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    ORDER BY 1, 2, 3
"""


def shape_of(url: str) -> list[tuple[str, str, str]]:
    """Describe every column, constraint and index of a database."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        rows = connection.execute(sa.text(SHAPE)).all()
    engine.dispose()
    return [(row[0], row[1], row[2]) for row in rows if not row[1].startswith("alembic_version")]


def test_migrations_and_models_say_the_same(tmp_path: Path, worker_id: str) -> None:
    with cluster.running_cluster() as server:
        urls = [server.create(f"shape_{name}_{worker_id}") for name in ("migrated", "modelled")]
        migrated, modelled = (
            create_app(Config.from_environ(SECRETS, var=tmp_path, default_database_url=url)) for url in urls
        )
        upgrade(migrated)
        with modelled.app_context():
            with db.engine.begin() as connection:
                db.metadata.create_all(connection)
                apply_schema(connection)
            db.engine.dispose()

        shapes = [shape_of(url) for url in urls]

    assert len(shapes[1]) > 300
    assert shapes[0] == shapes[1]
