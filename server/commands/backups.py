"""`fieldvisit backup` and `fieldvisit restored`: what a backup job, and a restore, tell the office.

    name=$(fieldvisit backup mark) && pg_dump ... && copy the media && fieldvisit backup complete "$name"

Until the first backup is completed, phones forget a record once it is stored here.
"""

from uuid import UUID

import click

from server.commands.opening import product
from server.workflows import backups


@click.group()
def backup() -> None:
    """Declare backups, so that phones keep what no backup holds yet."""


@backup.command()
def mark() -> None:
    """Call before a backup begins; prints the name to complete it by."""
    with product() as app:
        click.echo(backups.mark(now=app.extensions["clock"].now()))


@backup.command()
@click.argument("name", type=click.UUID)
def complete(name: UUID) -> None:
    """Call when database and media of the marked backup are safe somewhere else."""
    with product() as app:
        moved = backups.complete(name, now=app.extensions["clock"].now())
    click.echo(f"{moved} phones may forget what this backup holds.")


@click.command()
def restored() -> None:
    """Call after a backup was put back and before phones can reach the server: every phone starts over."""
    with product() as app:
        count = backups.begin_new_epochs(now=app.extensions["clock"].now())
    click.echo(f"{count} feeds begin anew; phones will offer again what they still hold.")
