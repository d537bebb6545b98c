"""Transport: parse, call one workflow, render. One blueprint per noun, its schemas beside it."""

from server.api import (
    assignments,
    cases,
    devices,
    evidence,
    files,
    findings,
    holds,
    imports,
    rules,
    staff,
    sync,
    tokens,
    visits,
)
from server.api.transport import Blueprint

# Each noun adds its blueprint here; app.py mounts them under /api/v1.
BLUEPRINTS: tuple[Blueprint, ...] = (
    tokens.blueprint,
    staff.blueprint,
    devices.blueprint,
    imports.blueprint,
    cases.blueprint,
    holds.blueprint,
    files.blueprint,
    evidence.blueprint,
    sync.blueprint,
    assignments.blueprint,
    rules.blueprint,
    visits.blueprint,
    findings.blueprint,
)
