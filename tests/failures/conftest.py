"""A visitor with a phone and an assignment, and a server that a test may kill."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from server.config import Config
from server.models.dispatch import Assignment
from server.models.people import Staff
from sync.phone import Phone
from tests.builders import a_case, a_visitor, an_address, an_assignment
from tests.failures.servers import Server
from tests.phones import a_phone


@pytest.fixture
def visitor(app: Flask) -> Staff:
    return a_visitor()


@pytest.fixture
def phone(app: Flask, visitor: Staff, tmp_path: Path) -> Iterator[Phone]:
    handset = a_phone(visitor, tmp_path / "phone")
    yield handset
    handset.close()


@pytest.fixture
def assignment(app: Flask, visitor: Staff) -> Assignment:
    case = a_case()
    return an_assignment(case, an_address(case), visitor)


@pytest.fixture(scope="module")
def two_processes(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server on this worker's database, with two processes that serve, for a whole module."""
    running = Server(config, tmp_path_factory.mktemp("two"), processes=2)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def server(app: Flask, two_processes: Server) -> Server:
    """The same server, running again if a test before killed it."""
    if two_processes.process is None:
        two_processes.start()
    return two_processes
