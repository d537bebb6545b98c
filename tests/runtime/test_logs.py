"""What a log line shows, and what it never shows."""

import json
import logging
import traceback

import pytest
import sqlalchemy as sa
import structlog
from flask import Flask
from sqlalchemy.exc import IntegrityError

from server.database import transaction
from server.logs import HIDDEN, configure, hide_secrets
from tests.builders import Cast

TOKEN = "Zm9vYmFyYmF6cXV4"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "access_token",
        "Authorization",
        "set_cookie",
        "api_key",
        "phone",
        "narrative",
        "pii_keyset",
    ],
)
def test_fields_with_secret_names_are_hidden_at_any_depth(name: str):
    event = hide_secrets(None, "info", {"event": "x", name: TOKEN, "deep": [{"er": {name: TOKEN}}]})

    assert TOKEN not in json.dumps(event)
    assert event["event"] == "x"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization was Bearer {TOKEN}",
        f"GET /api/v1/evidence/1/content?expires=5&sig={TOKEN}",
        f"connecting to postgresql+psycopg://fieldvisit:{TOKEN}@db/agency",
    ],
    ids=["bearer", "signed-link", "database-url"],
)
def test_secrets_are_cut_out_of_text(text: str):
    event = hide_secrets(None, "info", {"event": text})

    assert TOKEN not in event["event"]
    assert HIDDEN in event["event"]


def test_a_row_that_the_database_refused_is_cut_out_of_a_traceback(app: Flask, cast: Cast):
    with pytest.raises(IntegrityError) as refused, transaction() as session:
        session.execute(
            sa.text("INSERT INTO findings (id, claim) VALUES (gen_random_uuid(), :said)"),
            {"said": f"{TOKEN}\n\nand more {TOKEN}"},
        )
    shown = "".join(traceback.format_exception(refused.value))
    assert TOKEN in shown

    event = hide_secrets(None, "error", {"event": "failed", "exception": shown})

    assert TOKEN not in event["exception"]
    assert "INSERT INTO findings" in event["exception"]
    assert "NotNullViolation" in event["exception"]


def test_standard_library_and_structlog_lines_look_the_same(capsys: pytest.CaptureFixture[str]):
    kept = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure(level="INFO")
        structlog.contextvars.bind_contextvars(request_id="r-1")
        logging.getLogger("library").info("signed in with Bearer %s", TOKEN)
        structlog.get_logger("ours").info("signed in", token=TOKEN)
    finally:
        structlog.contextvars.clear_contextvars()
        logging.getLogger().handlers[:], level = kept
        logging.getLogger().setLevel(level)

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["request_id"] for line in lines] == ["r-1", "r-1"]
    assert [line["level"] for line in lines] == ["info", "info"]
    assert TOKEN not in json.dumps(lines)
