"""`fieldvisit db` runs the embedded PostgreSQL in the foreground."""

import os
import signal
import sys
from collections.abc import Callable

import click

from server.embedded import EmbeddedFault, EmbeddedPostgres
from server.readiness import postgres_folder


@click.command()
def db() -> None:
    """Run the embedded PostgreSQL until stopped; with DATABASE_URL set, only wait to be stopped."""
    if os.environ.get("DATABASE_URL"):
        wait_for_stop(announce=lambda: click.echo("DATABASE_URL is set: using that server, starting none."))
        return
    server = EmbeddedPostgres(postgres_folder(os.environ))
    try:
        status = server.serve(
            announce=lambda: click.echo(f"PostgreSQL is ready; its files: {server.home.path}")
        )
    except EmbeddedFault as fault:
        raise click.ClickException(str(fault)) from None
    sys.exit(status)


def wait_for_stop(*, announce: Callable[[], None] = lambda: None) -> None:
    """Do nothing until SIGTERM or SIGINT; a signal that comes after the announcement is never fatal."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    announce()
    signal.sigwait(signals)
