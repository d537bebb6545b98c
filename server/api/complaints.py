"""Complaints, incidents and what the client was told."""

from server.api.transport import Blueprint

blueprint = Blueprint("complaints", __name__, description="Complaints, incidents, notices to clients")
