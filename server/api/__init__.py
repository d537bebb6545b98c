"""Transport: parse, call one workflow, render. One blueprint per noun, its schemas beside it."""

from server.api.transport import Blueprint

# Each noun adds its blueprint here; app.py mounts them under /api/v1.
BLUEPRINTS: tuple[Blueprint, ...] = ()
