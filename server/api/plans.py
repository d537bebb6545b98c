"""Day plans: proposed, looked at, accepted stop by stop."""

from server.api.transport import Blueprint

blueprint = Blueprint("plans", __name__, description="A day's visits, planned")
