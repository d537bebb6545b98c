"""`fieldvisit migrate` brings the schema up to date; `fieldvisit release` is the same for the Procfile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click
import flask_migrate
import psycopg

from server.app import create_app
from server.commands.database import wait_for_stop
from server.config import BadConfig, Config
from server.readiness import MIGRATIONS, NotReady, libpq_url, load_config

ONE_MIGRATION_AT_A_TIME = 0x66_76_6D_69
"""The key of the advisory lock that two releases at the same time queue up for."""


@click.command()
@click.option("--timeout", "timeout_seconds", default=60.0, show_default=True)
def migrate(timeout_seconds: float) -> None:
    """Apply every migration that is missing."""
    try:
        config = load_config(os.environ, timeout_seconds=timeout_seconds)
    except (NotReady, BadConfig) as fault:
        raise click.ClickException(str(fault)) from None
    upgrade(config)
    click.echo("The schema is up to date.")


@click.command()
@click.pass_context
def release(context: click.Context) -> None:
    """Migrate; under honcho then stay, because there the first process that ends stops all others."""
    context.invoke(migrate, timeout_seconds=60.0)
    if os.environ.get("HONCHO_PROCESS_NAME"):
        wait_for_stop()


def upgrade(config: Config) -> None:
    """Bring the schema of this configuration's database up to date."""
    with _alone(config.libpq_url), create_app(config).app_context():
        flask_migrate.upgrade(directory=str(MIGRATIONS))


@contextmanager
def _alone(url: str) -> Iterator[None]:
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [ONE_MIGRATION_AT_A_TIME])
        yield
