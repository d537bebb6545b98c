"""`fieldvisit migrate` and `release` bring the schema up to date."""

import os

import click

from server.app import create_app
from server.commands.database import wait_for_stop
from server.config import BadConfig
from server.readiness import NotReady, load_config
from server.schema import upgrade
from server.workflows.calendar import seed_calendar
from server.workflows.provisional import foresee
from server.workflows.rekeying import fill_indexes


@click.command()
@click.option("--timeout", "timeout_seconds", default=60.0, show_default=True)
def migrate(timeout_seconds: float) -> None:
    """Apply every migration that is missing, and enter what a new release keeps beside what was there."""
    try:
        app = create_app(load_config(os.environ, timeout_seconds=timeout_seconds))
    except (NotReady, BadConfig) as fault:
        raise click.ClickException(str(fault)) from None
    upgrade(app)
    with app.app_context():
        now = app.extensions["clock"].now()
        seed_calendar(now=now)
        foresee(now=now)
        fill_indexes()
    click.echo("The schema is up to date.")


@click.command()
@click.pass_context
def release(context: click.Context) -> None:
    """Migrate; under honcho then stay, because there the first process that ends stops all others."""
    context.invoke(migrate, timeout_seconds=300.0)
    if os.environ.get("HONCHO_PROCESS_NAME"):
        wait_for_stop()
