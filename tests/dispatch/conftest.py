"""The stage of the dispatch stories."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.office import Office, an_office


@pytest.fixture
def office(app: Flask) -> Iterator[Office]:
    """An office on Monday 23 November 2026, 10:00 in China."""
    running = app.extensions["clock"]
    yield an_office(app)
    app.extensions["clock"] = running
