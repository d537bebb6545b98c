"""`fieldvisit scrub`: read all stored evidence back now, instead of a share of it every hour."""

import sys

import click

from server.commands.opening import product
from server.errors import Unavailable
from server.workflows.storage import scrubbing


@click.command()
@click.option("--rot", "only_rot", is_flag=True, help="Only what is known as rotten: is it mended?")
def scrub(only_rot: bool) -> None:
    """Verify every stored object by its SHA-256; status 1 if one is not what was stored.

    May be interrupted and started again: what was checked longest ago comes first.
    """
    rotten = checked = 0
    with product() as app:
        objects, size_bytes = scrubbing.everything_there_is()
        began = app.extensions["clock"].now()
        with click.progressbar(length=max(size_bytes, 1), label=f"{objects} objects", file=sys.stderr) as bar:
            try:
                for seen, size in scrubbing.scrub_everything(now=began, only_rot=only_rot):
                    checked += 1
                    bar.update(size)
                    if seen.outcome != scrubbing.SOUND:
                        rotten += 1
                        click.echo(f"{seen.outcome.upper():10} {seen.key}")
            except Unavailable as away:
                raise click.ClickException(f"{away.detail} {checked} objects were checked.") from None
    click.echo(f"{checked} objects checked, {rotten} are not what was stored.")
    sys.exit(1 if rotten else 0)
