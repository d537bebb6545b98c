"""A server that a test may kill."""

from collections.abc import Iterator

import pytest
from flask import Flask

from server.config import Config
from tests.failures.servers import Server
from tests.ports import reserved_port


@pytest.fixture(scope="module")
def two_processes(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server on this worker's database, with two processes that serve, for a whole module."""
    with reserved_port() as port:
        running = Server(config, tmp_path_factory.mktemp("two"), port, processes=2)
        running.start()
        yield running
        running.kill()


@pytest.fixture
def server(app: Flask, two_processes: Server) -> Server:
    """The same server, running again if a test before killed it."""
    if two_processes.process is None:
        two_processes.start()
    return two_processes
