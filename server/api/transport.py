"""How do requests become Python values, and how is the API described?

`Blueprint` parses strict JSON (no NUL, lone surrogate, NaN or duplicate key reaches a workflow) and
documents errors as problems; `Api` carries the OpenAPI 3.1 document. `Day` and `Instant` are dates and times
as people enter them: a slip of the finger is not stored, for whoever reckons with it would fail.
"""

from datetime import UTC, date, datetime, time
from typing import Any, ClassVar, Final

import flask_smorest
import marshmallow as ma
from flask import Request
from webargs import ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException

from server.api.problems import MEDIA_TYPE, from_http
from server.clock import FIRST_DAY, LAST_DAY
from server.errors import Malformed
from sync.wire import WireFault, is_storable, parse

FIRST_INSTANT: Final = datetime.combine(FIRST_DAY, time.min, UTC)
LAST_INSTANT: Final = datetime.combine(LAST_DAY, time.max, UTC)
NO_DAY: Final = "Must be a day such as 2026-11-24."
NO_INSTANT: Final = (
    "Must be a time with its offset, such as 2026-11-24T10:00:00+08:00; in an address, + is written %2B."
)
UNLIKELY: Final = f"Is a date outside {FIRST_DAY.year}-{LAST_DAY.year}. Correct it."


class Day(ma.fields.Date):
    """A date that somebody enters, within the days that anything reckons with."""

    default_error_messages: ClassVar = {"invalid": NO_DAY}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        day: Any = super()._deserialize(value, attr, data, **kwargs)
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ma.ValidationError(UNLIKELY)
        return day


class Instant(ma.fields.AwareDateTime):
    """A time with its offset that somebody enters, within the same days."""

    default_error_messages: ClassVar = {"invalid": NO_INSTANT, "invalid_awareness": NO_INSTANT}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        at: Any = super()._deserialize(value, attr, data, **kwargs)
        if not FIRST_INSTANT <= at <= LAST_INSTANT:
            raise ma.ValidationError(UNLIKELY)
        return at


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
    """Parse JSON strictly, as the wire does; Malformed says what is wrong with it."""
    try:
        return parse(raw)
    except WireFault as fault:
        raise Malformed("malformed-json", f"The body cannot be read: {fault.detail}.") from None


class Parser(FlaskParser):
    """webargs with our JSON reader, and no text in the query that cannot be stored.

    A name that the query does not know is a fault, as in a body: who misspells a filter would take the whole
    list for what was asked for.
    """

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = dict(  # noqa: RUF012 (declared so by webargs)
        FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, query=ma.RAISE
    )

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
        spec: Any = self.spec
        for response in spec.components.responses_lazy.values():
            content = response.get("content", {})
            if "application/json" in content:
                content[MEDIA_TYPE] = content.pop("application/json")
