"""A month as people of the office read and close it."""

from typing import Any

from server.authority import Role
from tests.office import Office

OCTOBER = "/api/v1/assessments/2026-10"


def read(office: Office, path: str = OCTOBER, *, by: Role = Role.SUPERVISOR, **query: Any) -> dict[str, Any]:
    answer = office.person(by).get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def close(office: Office, *, reason: str = "") -> Any:
    return office.person(Role.SUPERVISOR).post(f"{OCTOBER}/close", json={"reason": reason})


def slug(answer: Any) -> str:
    return answer.get_json()["type"].rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def charged(person: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(one["rule"], one["least_fen"], one["most_fen"]) for one in person["proposals"]]
