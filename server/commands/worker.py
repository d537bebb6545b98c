"""`fieldvisit worker`: run jobs, once the schema is there."""

import click

from server.commands.opening import open_product
from server.commands.waiting import wait_to_serve
from server.garbage import collect_seldom
from server.jobs import run_worker


@click.command()
@click.option("--concurrency", default=4, show_default=True, help="Jobs at the same time.")
def worker(concurrency: int) -> None:
    """Run jobs until stopped; what has begun is finished first."""
    wait_to_serve()
    app = open_product()
    collect_seldom()
    run_worker(app, concurrency=concurrency)
