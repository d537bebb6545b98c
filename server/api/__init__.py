"""Transport: parse, call one workflow, render. One blueprint per noun, its schemas beside it."""

from server.api import (
    assignments,
    calendar,
    cases,
    complaints,
    devices,
    evidence,
    files,
    findings,
    holds,
    imports,
    letters,
    plans,
    rules,
    staff,
    sync,
    tokens,
    training,
    visitability,
    visits,
    work,
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
    calendar.blueprint,
    visitability.blueprint,
    plans.blueprint,
    work.blueprint,
    complaints.blueprint,
    letters.blueprint,
    training.blueprint,
    visits.blueprint,
    findings.blueprint,
)
