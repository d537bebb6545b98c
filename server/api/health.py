"""Is this process alive, and could it serve a request now?"""

from typing import Any

import sqlalchemy as sa
from flask import Blueprint, current_app

from server.database import db
from server.errors import Unavailable

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> dict[str, Any]:
    """Alive: the process answers. Looks at nothing else, so a database outage restarts nobody."""
    return {"status": "alive"}


@blueprint.get("/readyz")
def readyz() -> dict[str, Any]:
    """Ready: the database answers and is migrated, and the media store is reachable."""
    if db.session.execute(sa.text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        raise Unavailable("not-migrated", "Run the `release` process of the Procfile.", retry_after=5)
    db.session.rollback()
    current_app.extensions["media_store"].check()
    return {"status": "ready"}
