"""`fieldvisit create-admin`: the first administrator. There is no default account and no default password."""

import sys

import click

from server.commands.opening import product
from server.passwords import make_password
from server.workflows import people


@click.command("create-admin")
@click.option("--employee-number", required=True, help="The administrator's permanent number.")
@click.option("--name", required=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def create_admin(employee_number: str, name: str, password_stdin: bool) -> None:
    """Create the first administrator; refuses once there is one."""
    given = sys.stdin.read().strip() if password_stdin else ""
    if password_stdin and not given:
        raise click.ClickException("Standard input holds no password: write it there.")
    password = given or make_password()
    with product() as app:
        people.create_first_admin(
            employee_number=employee_number,
            name=name,
            password=password,
            now=app.extensions["clock"].now(),
        )
    if not given:
        click.echo(f"Administrator {employee_number} may sign in with this password, shown only now:")
        click.echo(password)
