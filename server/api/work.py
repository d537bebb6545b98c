"""Work lists: what is due today, overdue, or blocked and why; promises and payments."""

from server.api.transport import Blueprint

blueprint = Blueprint("work", __name__, description="Deadlines, promises, payments")
