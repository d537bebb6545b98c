"""What could not be applied: looked at, corrected, released; rescue bundles taken in."""

from server.api.transport import Blueprint

blueprint = Blueprint("quarantine", __name__, description="Items nobody could apply")
