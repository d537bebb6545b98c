"""What a request names wrongly is told at its place, in words that help."""

import pytest
from flask import Flask

from server.authority import Role
from sync.phone import Phone
from tests.builders import Cast
from tests.phones import office
from tests.pushing import push_raw


@pytest.mark.parametrize(
    ("path", "pointer", "detail"),
    [
        ("findings?staff=V001", "/staff", "Unknown field."),
        ("cases?clinet=BANK&limit=1", "/clinet", "Unknown field."),
        ("assignments?starts_from=2026-11-24T10:00:00", "/starts_from", "2026-11-24T10:00:00+08:00"),
        ("assignments?starts_from=2026-11-24T10:00:00+08:00", "/starts_from", "%2B"),
        ("visits?limit=1000", "/limit", "less than or equal to 200"),
        ("plans?day=24.11.2026", "/day", "2026-11-24"),
    ],
)
def test_a_filter_that_would_not_filter_is_a_fault(cast: Cast, path: str, pointer: str, detail: str) -> None:
    supervisor = cast.person(Role.SUPERVISOR)

    answer = supervisor.get(f"/api/v1/{path}")

    assert answer.status_code == 422
    (fault,) = answer.get_json()["errors"]
    assert fault["pointer"] == pointer
    assert detail in fault["detail"]


def test_a_phone_of_a_later_release_may_ask_for_more(app: Flask, phone: Phone) -> None:
    told = {"Authorization": f"Bearer {phone.outbox.fact('token')}"}

    with office(app) as http:
        pulled = http.get("/api/v1/sync/pull?later=1", headers=told)
    kept = push_raw(app, phone, b"x", path="/api/v1/sync/quarantine?later=1")

    assert (pulled.status_code, kept.status_code) == (200, 200)
