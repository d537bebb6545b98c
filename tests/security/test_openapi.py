"""The API document is valid, the docs page is ours alone, and no generated input makes a 5xx.

`OPENAPI_EXAMPLES` says how many requests are generated an operation; `make nightly` sends a hundred.
"""

import os
import re
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS31Validator

from server.api.problems import MEDIA_TYPE
from server.authority import Role
from tests.builders import a_handset, a_person, a_token, a_visitor

EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "6"))
GENTLY = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
    ],
)


def test_the_document_is_openapi_3_1_and_errors_are_problems(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()

    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        OAS31Validator.check_schema(schema)
        Draft202012Validator.check_schema(schema)
    errors = [
        response
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
        for status, response in operation.get("responses", {}).items()
        if status[0] in "45" and "content" in response
    ]
    shared = [one for name, one in document["components"]["responses"].items() if "content" in one]
    assert shared
    for response in errors + shared:
        assert set(response["content"]) == {MEDIA_TYPE}


def test_the_docs_page_loads_nothing_from_elsewhere(app: Flask) -> None:
    page = app.test_client().get("/api/v1/docs/")
    sources = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)

    assert page.status_code == 200 and sources
    assert not [source for source in sources if re.match(r"(https?:)?//", source)]
    local = [source for source in sources if source.endswith((".js", ".css"))]
    for source in local:
        path = source if source.startswith("/") else f"/api/v1/docs/{source.removeprefix('./')}"
        assert app.test_client().get(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing/here", 404), ("PUT", "/api/v1/tokens", 405), ("GET", "/api/v1/staff/7", 404)],
)
def test_errors_outside_any_view_are_problems_too(app: Flask, method: str, path: str, status: int) -> None:
    answer = app.test_client().open(path, method=method)

    assert (answer.status_code, answer.mimetype) == (status, MEDIA_TYPE)
    assert answer.get_json()["status"] == status
    assert status != 405 or "POST" in answer.headers["Allow"]


def operations(app: Flask) -> list[Any]:
    """Every operation of the document but signing out, which would end the test's own session."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    results: Any = schema.get_all_operations()
    found = [result.ok() for result in results]
    return [one for one in found if one.path != "/api/v1/tokens/current"]


def test_generated_requests_never_break_the_server(app: Flask) -> None:
    headers = {"Authorization": f"Bearer {a_token(a_person(*Role).id)}"}
    phone = a_handset(a_visitor()).headers
    broken: list[str] = []

    def send(case: schemathesis.Case) -> None:
        is_phones = case.path.startswith(("/api/v1/sync", "/api/v1/files"))
        answer = case.call(headers=phone if is_phones else headers)
        if answer.status_code >= 500:
            broken.append(f"{case.method} {case.path} -> {answer.status_code}: {answer.text[:200]}")

    for operation in operations(app):
        given(case=operation.as_strategy())(GENTLY(lambda case: send(case)))()

    assert broken == []
