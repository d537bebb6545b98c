"""A phone's outbox, and an office that a test can make misbehave."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sync.outbox import Outbox
from tests.sync.fake_office import FakeOffice


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.sqlite")) as outbox:
        yield outbox


@pytest.fixture
def office() -> FakeOffice:
    return FakeOffice()


@pytest.fixture
def taking(office: FakeOffice) -> FakeOffice:
    """An office that takes bytes with the creation and says how many it has."""
    office.takes_bytes = office.tells_offset = True
    return office
