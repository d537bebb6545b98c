"""Keysets in a file, as an operator keeps them, and the environment of the operator's shell."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from server import blind, pii
from server.config import KEYSETS, Config
from server.keysets import KeysetFile
from tests.conftest import SECRETS
from tests.privacy.told import Told


@pytest.fixture
def keysets(app: Flask, config: Config, tmp_path: Path) -> Iterator[KeysetFile]:
    """The file; this process, which stands for a running web process, follows it until the test ends."""
    file = KeysetFile(tmp_path / "keysets.json")
    file.path.write_text(json.dumps({name: SECRETS[name] for name in KEYSETS}))
    pii.configure(config.pii_keyset, file=file)
    blind.configure(config.lookup_keyset, file=file)
    yield file
    pii.configure(config.pii_keyset)
    blind.configure(config.lookup_keyset)


@pytest.fixture
def environ(app: Flask, config: Config, tmp_path: Path) -> dict[str, str]:
    """The environment of an operator's shell on the test's database, with the keysets as variables."""
    return {
        **os.environ,
        **SECRETS,
        "DATABASE_URL": config.libpq_url,
        "FIELDVISIT_VAR": str(tmp_path),
        "LOG_LEVEL": "ERROR",
    }


@pytest.fixture
def filed(environ: dict[str, str], keysets: KeysetFile) -> dict[str, str]:
    """The same with the keysets in the file."""
    kept = {name: value for name, value in environ.items() if name not in KEYSETS}
    return {**kept, "KEYSETS_FILE": str(keysets.path)}


@pytest.fixture
def told(app: Flask, tmp_path: Path) -> Told:
    """One closed case."""
    one = Told(app, tmp_path / "phone")
    one.close()
    return one
