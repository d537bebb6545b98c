"""How do the rooms come together into one running product?

`create_app` is the only place that knows everything: it reads no environment (it is given a `Config`),
opens no connection, and starts no thread. Web, worker, command line and tests all start here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import structlog
import tink
from flask import Flask, g, request
from flask.json.provider import DefaultJSONProvider
from flask_swagger_ui import get_swaggerui_blueprint
from werkzeug.middleware.proxy_fix import ProxyFix

from server import api, blind, logs, metrics, models, pii
from server.api import health, problems
from server.api.incoming import ReadOut
from server.api.transport import Api
from server.clock import Clock
from server.config import BadConfig, Config
from server.database import db
from server.media.opening import open_stores
from server.media.speech_choice import open_transcriber
from server.media.store import MediaStore, Retention
from server.rules.pack import named
from server.rules.pack_file import PackError
from server.signing import Signer
from server.workflows import backups, inspection, reconciliation, retention, storage
from server.workflows.exchange import forgetting, overdue
from sync.protocol import uuid7

__all__ = [
    "backups",
    "create_app",
    "forgetting",
    "inspection",
    "models",
    "overdue",
    "reconciliation",
    "retention",
    "storage",
]

API = "/api/v1"


def create_app(config: Config) -> Flask:
    """Build the product around one frozen configuration."""
    app = Flask("fieldvisit", static_folder=None)
    app.config.update(_flask_settings(config))
    app.json = Json(app)
    app.extensions["config"] = config
    app.extensions["clock"] = Clock(
        shift=timedelta(seconds=config.clock_shift_seconds), shift_file=config.clock_shift_file
    )
    app.extensions["signer"] = Signer.from_seed(config.signing_seed, secret=config.link_secret)
    with _read_from("RULE_PACK"):
        named(config.rule_pack)
    with _read_from("MEDIA_STORE, MEDIA_STORE_BEFORE or S3_ENDPOINT_URL"):
        app.extensions["media_store"] = _media_store(config)
    with _read_from("transcriber.toml"):
        file = config.transcriber_file
        app.extensions["transcriber"] = None if file is None else open_transcriber(file)
    with _read_from("PII_KEYSET"):
        pii.configure(config.pii_keyset, file=config.keysets_file)
    with _read_from("LOOKUP_KEYSET"):
        blind.configure(config.lookup_keyset, file=config.keysets_file)
    if config.trusted_proxies:
        # Without this all of the agency would share one address, and one brute-force counter.
        hops = config.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)
    app.wsgi_app = ReadOut(app.wsgi_app)
    db.init_app(app)
    logs.init_app(app, level=config.log_level)
    metrics.init_app(app)
    app.before_request(_open_request)
    app.after_request(_close_request)
    problems.register(app)
    app.register_blueprint(health.blueprint)
    _register_api(app)
    return app


@contextmanager
def _read_from(setting: str) -> Iterator[None]:
    """Name the setting that something cannot be opened from. BadConfig."""
    try:
        yield
    except (ValueError, PackError, tink.TinkError) as fault:
        raise BadConfig(f"{setting} cannot be used: {fault}") from None


def _media_store(config: Config) -> MediaStore:
    return open_stores(
        config.media_store,
        access=config.s3_access,
        before=config.media_store_before,
        access_before=config.s3_access_before,
        retention=Retention(days=config.s3_lock_days, mode=config.s3_lock_mode),
    )


def _flask_settings(config: Config) -> dict[str, Any]:
    return {
        "SQLALCHEMY_DATABASE_URI": config.sqlalchemy_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "pool_size": config.pool_size,
            "max_overflow": config.pool_size,
            "pool_timeout": 30,
            "pool_use_lifo": True,  # few connections stay busy, and keep their statements prepared
            "hide_parameters": True,  # an exception's text goes to the log, and parameters are people's data
        },
        "MAX_CONTENT_LENGTH": config.json_limit_bytes,
        "API_TITLE": "fieldvisit",
        "API_VERSION": "v1",
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": API,
    }


def _register_api(app: Flask) -> None:
    """Mount every noun under /api/v1, and the documentation page beside them."""
    described = Api(app)
    assert described.spec is not None
    described.spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    described.spec.options["security"] = [{"token": []}]
    for blueprint in api.BLUEPRINTS:
        described.register_blueprint(blueprint, url_prefix=API + (blueprint.url_prefix or ""))
    docs = get_swaggerui_blueprint(f"{API}/docs", f"{API}/openapi.json", config={"app_name": "fieldvisit"})
    app.register_blueprint(docs)


class Json(DefaultJSONProvider):
    """Answers keep the order we gave their members, and characters as they are."""

    sort_keys = False
    ensure_ascii = False


def _open_request() -> None:
    g.request_id = str(uuid7())
    g.pop("now", None)  # several requests share one context in tests; each has its own now
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id, method=request.method)


def _close_request(response: Any) -> Any:
    response.headers["X-Request-Id"] = g.request_id
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Cache-Control", "no-store")
    return response
