"""What does gunicorn call to get the application? `server.wsgi:build()`, once in every worker process."""

import os

from flask import Flask

from server.app import create_app
from server.readiness import load_config


def build() -> Flask:
    """Build the app from the environment; the database is already there (`fieldvisit web` waited for it)."""
    return create_app(load_config(os.environ, timeout_seconds=30))
