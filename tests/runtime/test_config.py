"""The settings: complete, frozen, and silent about secrets."""

import os
from pathlib import Path

import pytest
from flask import request

from server.app import create_app
from server.config import BadConfig, Config, make_secrets

URL = "postgresql://u:hunter2@127.0.0.1/fieldvisit"


def test_development_makes_its_secrets_once_and_keeps_them_private(tmp_path: Path):
    first = read(tmp_path)
    again = read(tmp_path)

    assert again == first
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["secrets.json"]


@pytest.mark.parametrize("missing", ["SIGNING_KEY", "LINK_SECRET", "PII_KEYSET", "LOOKUP_KEYSET"])
def test_production_does_not_boot_without_a_secret(tmp_path: Path, missing: str):
    environ = {**make_secrets(), "FIELDVISIT_ENV": "production"}
    del environ[missing]

    with pytest.raises(BadConfig, match=f"{missing}.*make-secrets"):
        read(tmp_path, **environ)
    assert not (tmp_path / "secrets.json").exists()


def test_production_refuses_a_shifted_clock(tmp_path: Path):
    with pytest.raises(BadConfig, match="CLOCK_SHIFT_SECONDS"):
        read(tmp_path, **make_secrets(), FIELDVISIT_ENV="production", CLOCK_SHIFT_SECONDS="3600")

    assert read(tmp_path, CLOCK_SHIFT_SECONDS="3600").clock_shift_seconds == 3600


def test_printed_settings_show_no_secret(tmp_path: Path):
    made = make_secrets()

    shown = repr(read(tmp_path, **made, AWS_SECRET_ACCESS_KEY="s3cr3t"))

    for secret in (*made.values(), "s3cr3t", "hunter2"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIELDVISIT_ENV", "staging"),
        ("CLOCK_SHIFT_SECONDS", "soon"),
        ("SIGNING_KEY", "short"),
        ("POOL_SIZE", "many"),
        ("LOG_LEVEL", "loud"),
        ("DATABASE_URL", "sqlite:///x.db"),
    ],
)
def test_wrong_value_stops_the_boot_and_names_the_variable(tmp_path: Path, name: str, value: str):
    with pytest.raises(BadConfig, match=name):
        read(tmp_path, **{name: value})


def test_external_database_is_reached_through_our_driver(tmp_path: Path):
    config = read(tmp_path, DATABASE_URL="postgres://user:pw@db.example/agency")

    assert config.sqlalchemy_url == "postgresql+psycopg://user:pw@db.example/agency"
    assert config.libpq_url == "postgresql://user:pw@db.example/agency"


def read(var: Path, **environ: str) -> Config:
    """Read settings from these variables alone."""
    return Config.from_environ(environ, var=var, default_database_url=URL)


def test_a_trusted_proxy_says_where_a_request_came_from(tmp_path: Path):
    forwarded = {"X-Forwarded-For": "203.0.113.9"}

    seen = []
    for hops in ("0", "1"):
        app = create_app(read(tmp_path, TRUSTED_PROXIES=hops))
        app.add_url_rule("/where", view_func=lambda: request.remote_addr or "")
        seen.append(app.test_client().get("/where", headers=forwarded).text)

    assert seen == ["127.0.0.1", "203.0.113.9"]
