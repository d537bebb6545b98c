"""Letters: approved templates, issued letters, deliveries."""

from server.api.transport import Blueprint

blueprint = Blueprint("letters", __name__, description="Letters to liable persons")
