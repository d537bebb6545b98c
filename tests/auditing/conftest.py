"""The people of the audit."""

import pytest

from server.authority import Role
from tests.builders import Cast, Person


@pytest.fixture
def auditor(cast: Cast) -> Person:
    return cast.person(Role.AUDITOR)


@pytest.fixture
def supervisor(cast: Cast) -> Person:
    return cast.person(Role.SUPERVISOR)
