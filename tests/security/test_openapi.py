"""The API document is valid, the docs page is ours alone, and no generated input makes a 5xx.

`OPENAPI_EXAMPLES` says how many requests are generated an operation; `make nightly` sends a hundred.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from flask import Flask, Response
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS31Validator

from server.api.problems import MEDIA_TYPE
from server.authority import Role
from tests.builders import a_handset, a_person, a_token, a_visitor
from tests.documented import Document

NOBODY = UUID(int=0)
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


def test_every_operation_says_how_it_succeeds(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()

    silent = [
        f"{method} {path}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict) and not any(one.startswith("2") for one in operation["responses"])
    ]

    assert silent == []


def test_an_answer_that_the_document_does_not_describe_fails_whoever_asked(app: Flask) -> None:
    document, path = Document(app), "/api/v1/staff"
    person: dict[str, Any] = {"id": str(NOBODY), "name": "王", "left_at": None}

    def told(status: int = 200, **changed: Any) -> list[str]:
        answer = Response(json.dumps({"staff": [person | changed], "next": None}), status)
        answer.mimetype = "application/json"
        return document.faults(path, "GET", answer)

    assert told() == []
    assert told(name=None) == ['GET /api/v1/staff: 200 /staff/0/name: null is not of type "string"']
    assert len(told(salary=1)) == 1
    assert told(202) == ["GET /api/v1/staff: 202 is not documented"]
    assert told(403, name=None) == []


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


def entered_dates(document: dict[str, Any]) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Every date and time that a request may bring: method, path, format, and the way to it.

    A way begins with "?" for a parameter of the query; "0" is the first of a list.
    """
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if not isinstance(operation, dict):
                continue
            for one in operation.get("parameters", ()):
                shape = one.get("schema", {}).get("format")
                if shape in EXTREMES:
                    yield method, path, shape, ("?", one["name"])
            content = operation.get("requestBody", {}).get("content", {})
            for shape, way in _dates_of(document, content.get("application/json", {}).get("schema", {})):
                yield method, path, shape, way


def _dates_of(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("format") in EXTREMES:
        yield schema["format"], ()
    inner = {"0": schema["items"]} if "items" in schema else {}
    for part in schema.get("anyOf", ()):
        yield from _dates_of(document, part)
    for name, member in (inner | schema.get("properties", {})).items():
        if not member.get("readOnly"):
            yield from ((shape, (name, *way)) for shape, way in _dates_of(document, member))


EXTREMES = {
    "date": ("0001-01-01", "9999-12-31"),
    "date-time": ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
}


def test_a_date_beyond_any_calendar_is_refused_wherever_one_is_entered(app: Flask) -> None:
    browser = app.test_client()
    headers = {"Authorization": f"Bearer {a_token(a_person(*Role).id)}"}
    entered = list(entered_dates(browser.get("/api/v1/openapi.json").get_json()))
    taken: list[str] = []

    for method, path, shape, way in entered:
        place = re.sub(r"{\w+}", "2026-11" if "{month}" in path else str(NOBODY), path)
        pointer = "/" + "/".join(way).removeprefix("?/")
        for extreme in EXTREMES[shape]:
            body: Any = extreme
            for name in reversed(way[1:] if way[0] == "?" else way):
                body = [body] if name == "0" else {name: body}
            where = {"query_string": body} if way[0] == "?" else {"json": body}
            answer = browser.open(place, method=method, headers=headers, **where)
            if pointer not in [one["pointer"] for one in (answer.get_json() or {}).get("errors", ())]:
                taken.append(
                    f"{method} {path} {pointer} {extreme} -> {answer.status_code}: {answer.text[:200]}"
                )

    assert len(entered) > 40
    assert taken == []


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
