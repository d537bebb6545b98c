"""The training ledger: courses, sessions, exams."""

from server.api.transport import Blueprint

blueprint = Blueprint("training", __name__, description="Courses, sessions, exams")
