"""Keeping people's data as long as the pack says, and no longer: what is due, what holds it, erasing it."""

from server.workflows.retention import erasing, objects

__all__ = ["erasing", "objects"]
