"""Client overlays of the rules: entered, shown beside what they change, withdrawn."""

from server.api.transport import Blueprint

blueprint = Blueprint("packs", __name__, description="Client overlays of the rules")
