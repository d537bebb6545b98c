"""`fieldvisit verify`: check an evidence bundle on any machine, without server and database."""

import sys
from pathlib import Path

import click

from server.ledger.bundle import sentences, verify
from server.ledger.bundle_parts import NoBundle


@click.command("verify")
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--server-key", help="The key (16 hex digits) that must have signed it; ask the agency once.")
def verify_bundle(bundle: Path, server_key: str | None) -> None:
    """Check an evidence bundle; status 0 if nothing was altered, 1 if something was."""
    try:
        report = verify(bundle, server_key=server_key)
    except NoBundle as fault:
        raise click.ClickException(str(fault)) from None
    for sentence in sentences(report):
        click.echo(sentence)
    sys.exit(0 if report.is_sound else 1)
