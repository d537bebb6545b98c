"""The cast and the stage: a real PostgreSQL, the real app, and people who are signed in.

Given/when/then stories start from `office` (an app with an empty database) and the builders of
`tests/builders.py`. Every test begins with empty tables; nothing is mocked.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings

from server.app import create_app
from server.config import Config, make_secrets
from server.database import db
from server.models.dispatch import Assignment
from server.models.people import Staff
from sync.phone import Phone
from tests import cluster
from tests.builders import Cast, a_case, a_visitor, an_address, an_assignment
from tests.cluster import pytest_configure, pytest_unconfigure
from tests.documented import DocumentedClient
from tests.office import Office, an_office
from tests.phones import a_phone

__all__ = ["pytest_configure", "pytest_unconfigure"]

SECRETS = make_secrets()
# Speed is never asserted in a test, and the gate draws the same examples every time: what it has passed, it
# passes again. `make nightly` draws new ones, by the other profile.
settings.register_profile("fieldvisit", deadline=None, derandomize=True, database=None)
settings.register_profile("exploring", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("fieldvisit")


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """A database of this worker's own, migrated, on the run's one PostgreSQL."""
    with cluster.worker_database(tmp_path_factory, worker_id) as url:
        yield url


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """xdist's name of this worker; "master" without xdist."""
    return getattr(request.config, "workerinput", {}).get("workerid", "master")


@pytest.fixture(scope="session")
def config(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Test settings: everything real, secrets of this run only."""
    folder = tmp_path_factory.mktemp("var")
    environ = {**SECRETS, "MEDIA_STORE": str(folder / "media"), "LOG_LEVEL": "WARNING"}
    return Config.from_environ(environ, var=Path(folder), default_database_url=database_url)


@pytest.fixture(scope="session")
def product(config: Config) -> Flask:
    """The app, built once per worker. Its clients hold every answer against the document."""
    app = create_app(config)
    app.test_client_class = DocumentedClient
    return app


@pytest.fixture
def app(product: Flask) -> Iterator[Flask]:
    """The app on an empty database, inside an application context; a story may stop its clock."""
    running = product.extensions["clock"]
    with product.app_context():
        cluster.empty_tables(db.engine)
        yield product
        db.session.remove()
    product.extensions["clock"] = running


@pytest.fixture
def cast(app: Flask) -> Cast:
    """People who can be asked to do things: `cast.client(Role.DISPATCHER)` is a signed-in browser."""
    return Cast(app)


@pytest.fixture
def office(app: Flask) -> Office:
    """A dispatch office on Monday 23 November 2026, 10:00 in China."""
    return an_office(app)


@pytest.fixture
def visitor(app: Flask) -> Staff:
    """A qualified visitor."""
    return a_visitor()


@pytest.fixture
def phone(visitor: Staff, tmp_path: Path) -> Iterator[Phone]:
    """The visitor's phone."""
    handset = a_phone(visitor, tmp_path / "phone")
    yield handset
    handset.close()


@pytest.fixture
def assignment(visitor: Staff) -> Assignment:
    """A visit assigned to the visitor alone."""
    case = a_case()
    return an_assignment(case, an_address(case), visitor)


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """Somebody without a token."""
    return app.test_client()
