"""`fieldvisit db` runs the embedded PostgreSQL in the foreground; `fieldvisit wait` waits for it."""

import os
import signal
import sys

import click

from server.embedded import EmbeddedFault, EmbeddedPostgres
from server.readiness import NotReady, postgres_folder, wait_for_database, wait_for_schema


@click.command()
def db() -> None:
    """Run the embedded PostgreSQL until stopped; with DATABASE_URL set, only wait to be stopped."""
    if os.environ.get("DATABASE_URL"):
        click.echo("DATABASE_URL is set: using that server, starting none.")
        wait_for_stop()
        return
    server = EmbeddedPostgres(postgres_folder(os.environ))
    try:
        status = server.serve(
            announce=lambda: click.echo(f"PostgreSQL is ready; its files: {server.home.path}")
        )
    except EmbeddedFault as fault:
        raise click.ClickException(str(fault)) from None
    sys.exit(status)


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


def wait_for_stop() -> None:
    """Do nothing until SIGTERM or SIGINT."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    signal.sigwait(signals)
