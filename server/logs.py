"""What does a running process say about itself, and what must it never say?

One line per event on standard error: JSON when a machine reads it, coloured text on a terminal. Lines of a
request carry its `request_id`. Tokens, passwords, signatures and personal data never appear: fields with
such names are hidden; bearer tokens, signed links and rows that PostgreSQL quotes are cut out of every text.
"""

import logging
import re
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from flask import Flask, Response, g, request

HIDDEN: Final = "[hidden]"
SECRET_NAMES: Final = re.compile(
    r"password|passwd|token|secret|authorization|cookie|signature|api_?key|keyset|enrol(l)?ment_code"
    r"|full_name|debtor_name|contact_name|phone|identity|id_number|address_text|narrative|body|payload"
)
SECRET_TEXT: Final = re.compile(
    r"(?i)(bearer\s+|[?&](?:token|sig|signature|mac|code|key)=|postgres(?:ql)?(?:\+\w+)?://[^:/@\s]*:)[^\s&\"'@]+"
)
ROWS_IN_TEXT: Final = re.compile(
    r"(\bDETAIL:\s+)(?:.|\n)*?(?=\n(?:HINT:|CONTEXT:|\[SQL|\n(?:The above|During) )|\Z)"
)
"""PostgreSQL quotes the row, or the key, that it refused: names and narratives."""
QUIET_ENDPOINTS: Final = frozenset({"health.healthz", "health.readyz", "metrics"})
QUIET_LOGGERS: Final = (
    *(
        "werkzeug",
        "botocore",
        "boto3",
        "urllib3",
        "s3transfer",
        "PIL",
        "alembic",
        "asyncio",
        "httpx",
        "httpcore",
    ),
    *("procrastinate.periodic", "procrastinate.blueprints"),
)


def init_app(app: Flask, *, level: str) -> None:
    """Log every request of this app by its route, never by its query or body."""
    configure(level=level)
    app.before_request(_start_timer)
    app.after_request(_log_request)


def configure(*, level: str) -> None:
    """Send structlog's and the standard library's records through the same hiding and the same renderer."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            hide_secrets,
            _renderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [
        old for old in root.handlers if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter)
    ]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _renderer() -> structlog.typing.Processor:
    if sys.stderr.isatty():
        return structlog.dev.ConsoleRenderer()
    return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)


def hide_secrets(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Hide what must not be logged, at any depth; the last step before rendering."""
    return {name: _cleaned(name, value) for name, value in event.items()}


def _cleaned(name: str, value: Any) -> Any:
    if SECRET_NAMES.search(name.lower()):
        return HIDDEN
    if isinstance(value, str):
        return ROWS_IN_TEXT.sub(rf"\1{HIDDEN}", SECRET_TEXT.sub(rf"\1{HIDDEN}", value))
    if isinstance(value, Mapping):
        return {key: _cleaned(str(key), part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned("", part) for part in value]
    return value


def _start_timer() -> None:
    g.started = time.perf_counter()


def _log_request(response: Response) -> Response:
    if request.endpoint in QUIET_ENDPOINTS:
        return response
    structlog.get_logger("fieldvisit.request").info(
        "request",
        method=request.method,
        route=request.url_rule.rule if request.url_rule else None,
        status=response.status_code,
        milliseconds=round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1),
    )
    return response
