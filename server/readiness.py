"""When may a process that needs the database start its work?

All processes of the Procfile are started at once, so web and worker wait: here until PostgreSQL answers,
in `schema.py` until its tables are those this code was written for. The folder of everything the product
keeps on this machine (`var`, or FIELDVISIT_VAR) is named here, too.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg

from server.config import Config
from server.embedded import published_url

POLL_SECONDS: Final = 0.1


class NotReady(Exception):
    """What was waited for did not come; the message says what to look at."""


def var_folder(environ: Mapping[str, str]) -> Path:
    """Return where this machine's own files live: embedded database, media, development secrets."""
    return Path(environ.get("FIELDVISIT_VAR") or "var")


def postgres_folder(environ: Mapping[str, str]) -> Path:
    """Return the embedded server's folder."""
    return var_folder(environ) / "postgres"


def wait_for_database(environ: Mapping[str, str], *, timeout_seconds: float) -> str:
    """Wait until the database of this environment answers; returns its URL.

    The embedded server's address is read anew at every try: it may come up on another port than last time.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        url = environ.get("DATABASE_URL") or published_url(postgres_folder(environ))
        fault = _fault_of(url) if url else "no embedded server was ever started here"
        if url and fault is None:
            return url
        if time.monotonic() > deadline:
            owner = "DATABASE_URL" if environ.get("DATABASE_URL") else "the `db` process of the Procfile"
            raise NotReady(f"PostgreSQL does not answer ({fault}); look at {owner}")
        time.sleep(POLL_SECONDS)


def load_config(environ: Mapping[str, str], *, timeout_seconds: float = 0) -> Config:
    """Read the settings once the database answers, whose address is part of them."""
    url = wait_for_database(environ, timeout_seconds=timeout_seconds)
    return Config.from_environ(environ, var=var_folder(environ), default_database_url=url)


def libpq_url(url: str) -> str:
    """Drop SQLAlchemy's driver name from a URL (postgresql+psycopg://), which libpq does not know."""
    return f"postgresql://{url.partition('://')[2]}"


def _fault_of(url: str) -> str | None:
    try:
        psycopg.connect(libpq_url(url), connect_timeout=3).close()
    except psycopg.ProgrammingError:  # its words may repeat the password
        raise NotReady("DATABASE_URL cannot be read; see that of the README") from None
    except psycopg.OperationalError as error:
        return str(error).strip().splitlines()[-1]
    return None
