"""How does evidence stay what it was, for years, on disks that rot and in stores that are replaced?

Importing this package makes its jobs known to the worker.
"""

from server.workflows.storage import collecting, scrubbing

__all__ = ["collecting", "scrubbing"]
