"""A phone in bad hands, and its victim."""

import json
from collections.abc import Iterator

import pytest
from flask import Flask

from server.database import db
from tests.security.hostile import Forger, a_victim


@pytest.fixture
def forger(app: Flask) -> Iterator[Forger]:
    """A phone in bad hands; whatever a test did with it, its queue must go on afterwards."""
    phone = Forger.with_a_visit(app)
    yield phone
    db.session.rollback()
    phone.seq += 1000  # beyond anything the test left in its place
    phone.must_apply([phone.next_item("visit.account", phone.account_body())])
    assert json.loads(phone.get("/api/v1/sync/status").text)["acked_seq"] >= 1


@pytest.fixture
def victim(app: Flask) -> Forger:
    return a_victim(app)
