"""`fieldvisit backup` and `fieldvisit restored`: what a backup job, and a restore, tell the office.

    name=$(fieldvisit backup mark) && pg_dump ... && copy the media && fieldvisit backup complete "$name"

Until the first backup is completed, phones forget a record once it is stored here.
"""

import os
from uuid import UUID

import click
from flask import Flask

from server.app import create_app
from server.errors import DomainError
from server.readiness import load_config
from server.workflows import backups


@click.group()
def backup() -> None:
    """Declare backups, so that phones keep what no backup holds yet."""


@backup.command()
def mark() -> None:
    """Call before a backup begins; prints the name to complete it by."""
    app = _app()
    with app.app_context():
        click.echo(backups.mark(now=app.extensions["clock"].now()))


@backup.command()
@click.argument("name", type=click.UUID)
def complete(name: UUID) -> None:
    """Call when database and media of the marked backup are safe somewhere else."""
    app = _app()
    with app.app_context():
        try:
            moved = backups.complete(name, now=app.extensions["clock"].now())
        except DomainError as refusal:
            raise click.ClickException(refusal.detail) from None
    click.echo(f"{moved} phones may forget what this backup holds.")


@click.command()
def restored() -> None:
    """Call after a backup was put back and before phones can reach the server: every phone starts over."""
    app = _app()
    with app.app_context():
        count = backups.begin_new_epochs(now=app.extensions["clock"].now())
    click.echo(f"{count} feeds begin anew; phones will offer again what they still hold.")


def _app() -> Flask:
    return create_app(load_config(os.environ, timeout_seconds=30))
