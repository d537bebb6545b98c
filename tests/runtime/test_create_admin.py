"""The first-run command: one administrator, a password nobody chose for them, and no second try."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient

from server.cli import main
from server.config import Config
from tests.conftest import SECRETS


@pytest.fixture
def environ(app: Flask, config: Config, tmp_path: Path) -> dict[str, str]:
    """The environment of an operator's shell, on the test's database."""
    return {
        **SECRETS,
        "DATABASE_URL": config.libpq_url,
        "FIELDVISIT_VAR": str(tmp_path),
        "LOG_LEVEL": "ERROR",
    }


def create(environ: dict[str, str], number: str, *options: str, typed: str | None = None) -> Result:
    """Run the command as the operator types it."""
    arguments = ["create-admin", "--employee-number", number, "--name", "Admin", *options]
    return CliRunner().invoke(main, arguments, env=environ, input=typed)


def may_sign_in(browser: FlaskClient, number: str, password: str) -> bool:
    """Whether the account opens with this password."""
    body = {"employee_number": number, "password": password}
    return browser.post("/api/v1/tokens", json=body).status_code == 201


def test_the_password_is_made_and_shown_once(environ: dict[str, str], stranger: FlaskClient) -> None:
    made = create(environ, "A1")

    assert made.exit_code == 0
    assert may_sign_in(stranger, "A1", made.stdout.split()[-1])


def test_a_password_from_standard_input_is_not_repeated(
    environ: dict[str, str], stranger: FlaskClient
) -> None:
    made = create(environ, "A1", "--password-stdin", typed="a long enough password\n")

    assert made.exit_code == 0
    assert "a long enough password" not in made.output
    assert may_sign_in(stranger, "A1", "a long enough password")


@pytest.mark.parametrize("typed", ["", "\n", "short\n"])
def test_a_missing_or_short_password_makes_no_account(environ: dict[str, str], typed: str) -> None:
    assert create(environ, "A1", "--password-stdin", typed=typed).exit_code == 1
    assert create(environ, "A1").exit_code == 0


def test_where_an_administrator_exists_no_other_is_made(environ: dict[str, str]) -> None:
    create(environ, "A1")

    again = create(environ, "A2")

    assert again.exit_code == 1
    assert "ask them" in again.output
