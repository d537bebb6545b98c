"""The product as it is run: web, worker and an embedded PostgreSQL that really waits for its disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from server.app import create_app
from server.config import Config
from server.demo.processes import Processes
from server.embedded import published_url
from tests.conftest import SECRETS
from tests.ports import reserved_port

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Stage:
    """The running product and what it runs on."""

    product: Processes
    var: Path
    environ: dict[str, str]

    def app(self) -> Flask:
        """The same product inside this process, to look into its tables."""
        url = published_url(self.var / "postgres")
        assert url is not None
        return create_app(Config.from_environ(self.environ, var=self.var, default_database_url=url))


@contextmanager
def running(var: Path, *, web_processes: int) -> Iterator[Stage]:
    """Start everything in a folder; everything ends with the block."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "MEDIA_STORE")}
    environ = {
        **kept,
        **SECRETS,
        "FIELDVISIT_VAR": str(var),
        "MEDIA_STORE": str(var / "media"),
        "WEB_CONCURRENCY": str(web_processes),
        "LOG_LEVEL": "WARNING",
    }
    with (
        reserved_port() as port,
        Processes(
            checkout=CHECKOUT, environ=environ, logs=var / "log", port=port, say=lambda _text: None
        ) as product,
    ):
        product.start_all()
        yield Stage(product, var, environ)
