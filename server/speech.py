"""Which speech engine does this process use, if any? The app factory opened it; jobs get it here."""

from flask import current_app

from server.media.transcriber import Transcriber


def current_transcriber() -> Transcriber | None:
    """Return the running app's engine; None: this agency has none."""
    return current_app.extensions["transcriber"]
