"""`fieldvisit check-log`: hold everything a server stores against its tamper-evident log."""

import sys

import click

from server.commands.opening import product
from server.workflows.transparency.checking import alterations


@click.command("check-log")
def check_log() -> None:
    """Name every stored row that is not as it was logged; status 1 if there is one."""
    found = 0
    with product():
        for one in alterations():
            found += 1
            click.echo(f"ALTERED  {one.where}: {one.what}.")
    click.echo(f"{found} things do not fit." if found else "Nothing was altered.")
    sys.exit(1 if found else 0)
