"""How does Alembic find our database and tables? Through the running app: there is one configuration."""

from alembic import context
from flask import current_app

from server.jobs import is_ours

database = current_app.extensions["migrate"].db


def run() -> None:
    """Run the migrations, each in its own transaction, one process at a time."""
    with database.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            include_object=is_ours,
            compare_type=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
database.engine.dispose()
