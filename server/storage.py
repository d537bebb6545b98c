"""Which media store does this process use? The app factory opened it; workflows and the API get it here."""

from flask import current_app

from server.media.store import MediaStore


def current_store() -> MediaStore:
    """Return the running app's media store."""
    return current_app.extensions["media_store"]


def scrub_round_days() -> int:
    """Return in how many days all of the store has to be read back once."""
    return current_app.extensions["config"].scrub_round_days
