"""How do requests become Python values, and how is the API described?

`Blueprint` parses strict JSON (no NUL, lone surrogate, NaN or duplicate key reaches a workflow) and
documents errors as problems; `Api` carries the OpenAPI 3.1 document.
"""

import json
from typing import Any, NoReturn

import flask_smorest
import marshmallow as ma
from flask import Request
from webargs import ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException

from server.api.problems import MEDIA_TYPE, from_http
from server.errors import Malformed

MAX_DEPTH = 64


class ProblemSchema(ma.Schema):
    """RFC 9457 problem details; facts of the refusal are further members."""

    type = ma.fields.String(required=True, metadata={"description": "ends in the problem's stable slug"})
    title = ma.fields.String(required=True)
    status = ma.fields.Integer(required=True)
    detail = ma.fields.String(required=True, metadata={"description": "what to do next"})
    errors = ma.fields.List(
        ma.fields.Nested(
            ma.Schema.from_dict({"pointer": ma.fields.String(), "detail": ma.fields.String()}, name="Fault")
        )
    )
    request_id = ma.fields.String()


def read_json(raw: bytes) -> Any:
    """Parse JSON strictly; Malformed says what is wrong with it."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Malformed("malformed-json", f"The body is not valid JSON: {error}.") from None
    _refuse_unstorable(value)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _refuse_unstorable(value: Any) -> None:
    """Refuse text that PostgreSQL cannot hold, wherever it stands, and absurd nesting."""
    waiting = [(value, 0)]
    while waiting:
        current, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise Malformed("malformed-json", f"The body nests deeper than {MAX_DEPTH} levels.")
        if isinstance(current, str) and not is_storable(current):
            raise Malformed("malformed-json", "The body has text with a NUL or half of a surrogate pair.")
        if isinstance(current, dict):
            waiting.extend((part, depth + 1) for pair in current.items() for part in pair)
        elif isinstance(current, list):
            waiting.extend((part, depth + 1) for part in current)


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold this text: no NUL, no lone surrogate."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class Parser(FlaskParser):
    """webargs with our JSON reader, and no text in the query that cannot be stored."""

    def _raw_load_json(self, req: Request) -> Any:
        return read_json(req.get_data())

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        unstorable = [name for name, value in req.args.items(multi=True) if not is_storable(name + value)]
        if unstorable:
            raise ValidationError({unstorable[0].replace("\x00", ""): ["Has a character that is not text."]})
        return super().load_querystring(req, schema)


class Blueprint(flask_smorest.Blueprint):
    """A noun of the API."""

    ARGUMENTS_PARSER = Parser()


class Api(flask_smorest.Api):
    """The OpenAPI document; errors are `application/problem+json`."""

    ERROR_SCHEMA = ProblemSchema

    def handle_http_exception(self, error: HTTPException) -> Any:
        """Replaced by api/problems.py."""
        return from_http(error)

    def _register_responses(self) -> None:
        super()._register_responses()
        assert self.spec is not None
        for response in self.spec.components.responses_lazy.values():
            content = response.get("content", {})
            if "application/json" in content:
                content[MEDIA_TYPE] = content.pop("application/json")
