"""How does a command open the product, and what does it say when it cannot, or is refused?

A sentence and status 1: wrong settings, a database that is away or of another release, and every refusal that
the product makes on purpose are no faults of the program.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Flask

from server.app import create_app
from server.config import BadConfig
from server.errors import DomainError
from server.readiness import NotReady, load_config
from server.schema import wait_for_schema

STARTUP_SECONDS = 30


def open_product() -> Flask:
    """Open the product on a database that answers and is of this release; else ClickException."""
    try:
        config = load_config(os.environ, timeout_seconds=STARTUP_SECONDS)
        wait_for_schema(config.libpq_url, timeout_seconds=0)
        return create_app(config)
    except (NotReady, BadConfig) as fault:
        raise click.ClickException(str(fault)) from None


@contextmanager
def product() -> Iterator[Flask]:
    """Open it and enter its context; a refusal inside becomes a sentence."""
    app = open_product()
    with app.app_context():
        try:
            yield app
        except DomainError as refusal:
            raise click.ClickException(refusal.detail) from None
