"""What an operator does wrong is answered with a sentence that says what to mend, never with a traceback."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from server.cli import main
from server.config import Config
from server.database import db
from tests.conftest import SECRETS

COMMANDS = (
    "check-log",
    "reconcile-again --month 2026-10",
    "scrub",
    "move-store",
    "backup mark",
    "restored",
    "rotate-keys",
    "retire-keys",
    "create-admin --employee-number A1 --name Admin",
)


def typed(command: str, config: Config, var: Path, **environ: str) -> Result:
    """Run a command as the operator types it, with these settings wrong."""
    sound = {**SECRETS, "DATABASE_URL": config.libpq_url, "FIELDVISIT_VAR": str(var), "LOG_LEVEL": "ERROR"}
    return CliRunner().invoke(main, command.split(), env=sound | environ)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_setting_is_said_by_every_command(
    app: Flask, config: Config, tmp_path: Path, command: str
) -> None:
    answer = typed(command, config, tmp_path, POOL_SIZE="many")

    assert answer.exit_code == 1
    assert answer.output.startswith("Error: POOL_SIZE is 'many'")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_of_another_release_is_said_by_every_command(
    app: Flask, config: Config, tmp_path: Path, command: str
) -> None:
    with db.engine.begin() as session:
        (here,) = session.exec_driver_sql("SELECT version_num FROM alembic_version").one()
        session.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    try:
        answer = typed(command, config, tmp_path)
    finally:
        with db.engine.begin() as session:
            session.exec_driver_sql("UPDATE alembic_version SET version_num = %s", (here,))

    assert answer.exit_code == 1
    assert answer.output.startswith("Error: the schema is at ['0001']")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PII_KEYSET", "junk"),
        ("LOOKUP_KEYSET", "{}"),
        ("MEDIA_STORE", "ftp://somewhere"),
        ("MEDIA_STORE_BEFORE", "ftp://somewhere"),
        ("RULE_PACK", "nobody.has.it"),
        ("POOL_SIZE", "0"),
        ("TRUSTED_PROXIES", "-1"),
        ("S3_LOCK_DAYS", "-1"),
        ("DATABASE_URL", "postgresql://u:hunter2@host:port/database"),
    ],
)
def test_check_config_finds_what_a_process_would_stumble_over(
    app: Flask, config: Config, tmp_path: Path, name: str, value: str
) -> None:
    answer = typed("check-config", config, tmp_path, **{name: value})

    assert answer.exit_code == 1
    assert answer.output.startswith("Error: ") and name in answer.output
    assert "hunter2" not in answer.output


def test_an_address_that_nobody_can_read_is_refused_at_once(
    app: Flask, config: Config, tmp_path: Path
) -> None:
    answer = typed("wait", config, tmp_path, DATABASE_URL="postgresql://u:hunter2@127.0.0.1/db?nobody=1")

    assert answer.exit_code == 1
    assert "DATABASE_URL" in answer.output and "hunter2" not in answer.output
