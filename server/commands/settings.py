"""`fieldvisit make-secrets` and `fieldvisit check-config`: prepare the environment of a production server."""

import os
import shlex

import click

from server.app import create_app
from server.config import BadConfig, Config, make_secrets
from server.readiness import var_folder


@click.command("make-secrets")
def print_secrets() -> None:
    """Print a fresh set of secrets as lines for an environment file. Keep them outside the checkout."""
    for name, value in make_secrets().items():
        click.echo(f"{name}={shlex.quote(value)}")


@click.command("check-config")
def check_config() -> None:
    """Read the environment as a process would, and say what is wrong with it."""
    try:
        config = Config.from_environ(
            os.environ, var=var_folder(os.environ), default_database_url="postgresql://embedded"
        )
        create_app(config)
    except BadConfig as fault:
        raise click.ClickException(str(fault)) from None
    click.echo(repr(config))
