"""Work lists: what is due today, overdue, or blocked and why; promises and payments."""

import server.models.deadlines  # noqa: F401  (the tables must be known before there are endpoints)
from server.api.transport import Blueprint

blueprint = Blueprint("work", __name__, description="Deadlines, promises, payments")
