"""A visitor with a phone, and the people of the audit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from server.authority import Role
from server.models.people import Staff
from sync.phone import Phone
from tests.builders import Cast, Person, a_visitor
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
def auditor(cast: Cast) -> Person:
    return cast.person(Role.AUDITOR)


@pytest.fixture
def supervisor(cast: Cast) -> Person:
    return cast.person(Role.SUPERVISOR)
