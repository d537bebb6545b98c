"""Which HTTP answer does each refusal become?

The only place that knows both domain errors and statuses. Everything that is not a success leaves as
`application/problem+json` (RFC 9457): `type` ends in the slug, `detail` says what to do next, facts are
extensions, and validation lists *all* faults as `errors: [{pointer, detail}]`.
"""

import errno
from collections.abc import Iterator
from typing import Any

import structlog
from flask import Flask, Response, g, json
from sqlalchemy.exc import DataError, InterfaceError, OperationalError, TimeoutError
from werkzeug.exceptions import ClientDisconnected, HTTPException

from server.errors import (
    ChecksumMismatch,
    Conflict,
    DomainError,
    Fault,
    Forbidden,
    Gone,
    Invalid,
    Malformed,
    NotFound,
    TooLarge,
    TooManyTries,
    Unauthenticated,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
STATUS: dict[type[DomainError], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    TooLarge: 413,
    Invalid: 422,
    TooManyTries: 429,
    ChecksumMismatch: 460,
    Unavailable: 503,
}
log = structlog.get_logger()


def problem(
    *, status: int, slug: str, title: str, detail: str, facts: dict[str, Any] | None = None
) -> Response:
    """Render one problem; `facts` become extension members."""
    body = {"type": f"/problems/{slug}", "title": title, "status": status, "detail": detail, **(facts or {})}
    if "request_id" in g:
        body["request_id"] = g.request_id
    return Response(json.dumps(body), status=status, mimetype=MEDIA_TYPE)


def status_of(error: DomainError) -> int:
    """Return the status of the nearest mapped class of this error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def from_domain(error: DomainError) -> Response:
    """Render a refusal the domain made on purpose."""
    facts = dict(error.facts)
    if isinstance(error, Invalid) and error.faults:
        facts["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
    answer = problem(
        status=status_of(error), slug=error.slug, title=error.title, detail=error.detail, facts=facts
    )
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _faults(messages: object, pointer: str) -> Iterator[Fault]:
    """Flatten marshmallow's nested messages into pointers."""
    if isinstance(messages, dict):
        for key, below in messages.items():
            step = "" if key == "_schema" else "/" + str(key).replace("~", "~0").replace("/", "~1")
            yield from _faults(below, pointer + step)
    elif isinstance(messages, list):
        for message in messages:
            yield from _faults(message, pointer)
    else:
        yield Fault(pointer, str(messages))


def from_http(error: HTTPException) -> Response:
    """Render what Flask, Werkzeug or webargs raised, keeping headers such as Allow."""
    data = getattr(error, "data", None) or {}
    slug = (error.name or "error").lower().replace(" ", "-")
    if "messages" in data:
        faults = [fault for below in data["messages"].values() for fault in _faults(below, "")]
        slug = "invalid-input" if error.code == 422 else "malformed-json"
        answer = from_domain(_input_error(slug, faults))
    else:
        detail = error.description or "The request could not be carried out."
        answer = problem(status=error.code or 500, slug=slug, title=error.name, detail=detail)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value
    return answer


def _input_error(slug: str, faults: list[Fault]) -> DomainError:
    if slug == "malformed-json":
        return Malformed(slug, faults[0].detail if faults else "The body is not JSON.")
    return Invalid(slug, "Correct the fields listed in `errors` and send the request again.", faults=faults)


def from_database(error: OperationalError | InterfaceError | TimeoutError) -> Response:
    """Render a database that is away, full, busy or shutting down: nothing was stored, try again."""
    log.error("database.unavailable", error=type(getattr(error, "orig", error)).__name__)
    return from_domain(
        Unavailable(
            "database-unavailable",
            "The database cannot be reached. Nothing was stored; retry.",
            retry_after=5,
        )
    )


def from_silence(_error: ClientDisconnected) -> Response:
    """Render a body that broke off; whoever is still there may simply send it again."""
    detail = "The body did not arrive whole. Nothing was stored; send it again."
    return problem(status=408, slug="body-incomplete", title="Request Timeout", detail=detail)


def from_unstorable(error: DataError) -> Response:
    """Render a value the database refused to hold (out of range, NUL): the request's fault, not ours."""
    log.warning("database.refused_value", error=type(error.orig).__name__)
    detail = "A value of the request is outside what can be stored. Check numbers, dates and characters."
    return from_domain(Invalid("unstorable-value", detail))


def from_system(error: OSError) -> Response:
    """Render a disk that is full, where large bodies are put aside; any other such error is a defect."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return from_fault(error)
    log.error("disk.full", error=error.strerror)
    detail = "The office's disk is full. Send it again later; what has been stored stays as it is."
    return from_domain(Unavailable("disk-full", detail, retry_after=60))


def from_fault(error: Exception) -> Response:
    """Render a defect of ours: logged with the request id, saying nothing more."""
    log.exception("request.failed", exc_info=error)
    detail = "Something went wrong on our side. Quote the request id when you report it."
    return problem(status=500, slug="internal-error", title="Internal error", detail=detail)


def register(app: Flask) -> None:
    """Make every error of the app leave as a problem."""
    app.register_error_handler(DomainError, from_domain)
    app.register_error_handler(HTTPException, from_http)
    for kind in (OperationalError, InterfaceError, TimeoutError):
        app.register_error_handler(kind, from_database)
    app.register_error_handler(DataError, from_unstorable)
    app.register_error_handler(ClientDisconnected, from_silence)
    app.register_error_handler(OSError, from_system)
    app.register_error_handler(Exception, from_fault)
