"""The calendar: published years, and notices on their way."""

from server.api.transport import Blueprint

blueprint = Blueprint("calendar", __name__, description="Which days are banned, and which are working days")
