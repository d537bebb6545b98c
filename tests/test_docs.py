"""What the documents name exists: files, make targets, commands, endpoints, settings."""

import re
from pathlib import Path

import pytest
from flask import Flask

from server.cli import COMMANDS
from server.config import DEFAULT_RULE_PACK

CHECKOUT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "sync/README.md")
FOLDERS = ("server/", "sync/", "tests/", "bench/")


def text_of(document: str) -> str:
    return (CHECKOUT / document).read_text("utf-8")


def quoted(document: str) -> list[str]:
    """Everything between single backticks."""
    return re.findall(r"`([^`\n]+)`", text_of(document))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_named_exists(document: str) -> None:
    named = [
        word for word in quoted(document) if word.startswith(FOLDERS) and re.fullmatch(r"[\w./-]+", word)
    ]

    assert [word for word in named if not (CHECKOUT / word).exists()] == []
    assert named or document == "README.md"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_named_exists(document: str) -> None:
    makefile = text_of("Makefile")
    targets = [target for word in quoted(document) for target in re.findall(r"^make ([a-z]+)", word)]

    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_named_exists(document: str) -> None:
    commands = re.findall(r"python -m server\.cli ([a-z-]+)", text_of(document))

    assert set(commands) <= set(COMMANDS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_endpoint_named_exists(app: Flask, document: str) -> None:
    rules = {re.sub(r"<[^>]+>", "{}", rule.rule).rstrip("/") for rule in app.url_map.iter_rules()}
    named = re.findall(r"(/api/v1/[\w/{}.-]*[\w}])", text_of(document))

    assert [path for path in named if re.sub(r"\{[^}]*\}", "{}", path) not in rules] == []


def test_every_setting_is_documented() -> None:
    names = ("config", "keysets", "gunicorn_conf")
    read = "".join((CHECKOUT / f"server/{name}.py").read_text() for name in names)
    settings = set(re.findall(r"""["']([A-Z][A-Z_]{3,})["']""", read))
    levels = {"INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL"}
    others = levels | {"AWS_DEFAULT_REGION", "PROMETHEUS_MULTIPROC_DIR"}

    assert {name for name in settings - others if name not in text_of("README.md")} == set()


def test_the_documented_default_of_the_rules_is_the_one_that_holds() -> None:
    assert f"`{DEFAULT_RULE_PACK}`" in text_of("README.md")
