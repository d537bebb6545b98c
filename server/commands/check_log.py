"""`fieldvisit check-log`: hold everything a server stores against its tamper-evident log."""

import os
import sys

import click

from server.app import create_app
from server.readiness import load_config
from server.workflows.transparency.checking import alterations


@click.command("check-log")
def check_log() -> None:
    """Name every stored row that is not as it was logged; status 1 if there is one."""
    app = create_app(load_config(os.environ, timeout_seconds=30))
    found = 0
    with app.app_context():
        for one in alterations():
            found += 1
            click.echo(f"ALTERED  {one.where}: {one.what}.")
    click.echo(f"{found} things do not fit." if found else "Nothing was altered.")
    sys.exit(1 if found else 0)
