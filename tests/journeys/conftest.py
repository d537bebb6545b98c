"""Where the journeys' products keep their files."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the database's account may enter, also when root runs the tests; gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="fieldvisit-journey-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)
