"""`fieldvisit move-store`: everything from one store to another, while the product runs.

    MEDIA_STORE=s3://bucket MEDIA_STORE_BEFORE=var/media, in every process; restart; fieldvisit move-store

When it says so, remove MEDIA_STORE_BEFORE and restart again; the old store is then no longer needed.
"""

import sys

import click
from flask import Flask

from server.commands.opening import product
from server.errors import DomainError
from server.workflows.storage import moving
from server.workflows.storage.moving import NOT_WHOLE, Ending


@click.command("move-store")
def move_store() -> None:
    """Copy what MEDIA_STORE_BEFORE holds to MEDIA_STORE, each object verified by its digest.

    May be killed and started again at any time; it goes on where it was.
    """
    with product() as app:
        try:
            ending = _move(app)
        except DomainError as refusal:
            raise click.ClickException(f"{refusal.detail} Start it again: it goes on where it was.") from None
    if ending.not_whole:
        click.echo(
            f"{ending.not_whole} objects are not whole in the old store. Mend them, then run this again."
        )
    if ending.still_arriving:
        click.echo(
            f"{ending.still_arriving} uploads that began in the old store are not finished. "
            "Run this again later; after seven days they have expired."
        )
    if ending.is_done:
        click.echo("Everything is in the new store. Remove MEDIA_STORE_BEFORE and restart.")
    sys.exit(0 if ending.is_done else 1)


def _move(app: Flask) -> Ending:
    stores, clock = moving.both_stores(), app.extensions["clock"].now
    config = app.extensions["config"]
    move = moving.begin(source=config.media_store_before, target=config.media_store, now=clock())
    total = moving.count_objects()
    with click.progressbar(length=total, label=f"{total} objects", file=sys.stderr) as bar:
        bar.update(move.objects)
        for step in moving.carry_all(move, stores, clock=clock):
            bar.update(1)
            if step.outcome in NOT_WHOLE:
                click.echo(f"{step.outcome.upper():10} {step.key}")
    return moving.finish(move, stores, clock=clock)
