"""Does the API answer as its document says? Every test that asks over HTTP helps to find out.

`product` of `conftest.py` makes its clients of this class: a JSON answer of a documented operation is held
against the schema of its status, for nulls, types and unknown members.
"""

import re
from functools import cached_property
from typing import Any

import jsonschema_rs
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

NAME = "document-of-tests"


class Document:
    """The OpenAPI document of an app, and a validator for each answer that was asked about."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._validators: dict[tuple[str, str, str], jsonschema_rs.Validator | None] = {}

    @cached_property
    def _document(self) -> dict[str, Any]:
        found = FlaskClient(self._app, TestResponse).get("/api/v1/openapi.json").get_json()
        for schema in found["components"]["schemas"].values():
            for name, member in schema.get("properties", {}).items():
                if member.get("writeOnly") and name in schema.get("required", ()):
                    schema["required"].remove(name)
        return found

    def faults(self, path: str, method: str, answer: Response) -> list[str]:
        """Return what the document does not say about an answer; nothing about what it does not describe."""
        operation = self._operation(path, method)
        if operation is None or not 200 <= answer.status_code < 300:
            return []
        where, described = operation
        status = str(answer.status_code)
        if status not in described["responses"]:
            return [f"{method} {where}: {status} is not documented"]
        key = where, method, status
        if key not in self._validators:
            self._validators[key] = self._validator(described["responses"][status])
        validator = self._validators[key]
        if validator is None or not answer.is_json or method == "HEAD" or answer.content_encoding:
            return []
        found = validator.iter_errors(answer.get_json())
        return [f"{method} {where}: {status} {_place(one)}: {one.message}" for one in found]

    def _operation(self, path: str, method: str) -> tuple[str, dict[str, Any]] | None:
        try:
            rule, _ = self._app.url_map.bind("").match(path, method, return_rule=True)
        except HTTPException:
            return None
        where = re.sub(r"<(?:[^:<>]*:)?(\w+)>", r"{\1}", rule.rule)
        operation = self._document["paths"].get(where, {}).get(method.lower())
        return None if operation is None else (where, operation)

    def _validator(self, response: dict[str, Any]) -> jsonschema_rs.Validator | None:
        if "$ref" in response:
            response = self._document["components"]["responses"][response["$ref"].rpartition("/")[2]]
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return None
        return jsonschema_rs.Draft202012Validator({**schema, "components": self._document["components"]})


def _place(error: Any) -> str:
    return "/" + "/".join(map(str, error.instance_path))


class DocumentedClient(FlaskClient):
    """A client that fails the test whose answer contradicts the document."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        answer = super().open(*args, **kwargs)
        document: Document | None = self.application.extensions.get(NAME)
        if document is None:
            document = self.application.extensions[NAME] = Document(self.application)
        assert document.faults(answer.request.path, answer.request.method, answer) == []
        return answer
