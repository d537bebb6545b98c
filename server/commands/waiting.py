"""`fieldvisit wait` waits until the database answers; whoever serves also waits for its tables.

Does not load the application: the processes that wait are started together and would only slow down the one
that all of them wait for.
"""

import os

import click

from server.config import BadConfig
from server.readiness import NotReady, load_config, wait_for_database
from server.schema import wait_for_schema

STARTUP_SECONDS = 300.0


@click.command()
@click.option("--migrated", is_flag=True, help="Also wait until the schema is up to date.")
@click.option("--timeout", "timeout_seconds", default=60.0, show_default=True)
def wait(migrated: bool, timeout_seconds: float) -> None:
    """Wait until the database answers."""
    try:
        url = wait_for_database(os.environ, timeout_seconds=timeout_seconds)
        if migrated:
            wait_for_schema(url, timeout_seconds=timeout_seconds)
    except NotReady as fault:
        raise click.ClickException(str(fault)) from None


def wait_to_serve() -> None:
    """Wait for database and schema, and stop at once when the settings are wrong."""
    try:
        config = load_config(os.environ, timeout_seconds=STARTUP_SECONDS)
        wait_for_schema(config.libpq_url, timeout_seconds=STARTUP_SECONDS)
    except (NotReady, BadConfig) as fault:
        raise click.ClickException(str(fault)) from None
