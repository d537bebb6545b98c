"""How long people's data are kept: what is due, what holds it, and what was erased."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.models.retention import HOLD_KINDS, Erasure, RetentionHold
from server.workflows.retention import due, erasing, holds

blueprint = Blueprint("retention", __name__, description="How long people's data are kept")
REASON = validate.Length(3, 1000)


class PageQuerySchema(ma.Schema):
    """Where a page starts and how long it is."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class ErasureQuerySchema(PageQuerySchema):
    """Everybody's, or one debtor's."""

    debtor = ma.fields.UUID(load_default=None)


class DueQuerySchema(PageQuerySchema):
    """How many days ahead: 0 is what goes the coming night unless something holds it."""

    within_days = ma.fields.Integer(load_default=0, validate=validate.Range(0, 1100))


class ErasureDueSchema(ma.Schema):
    """Somebody whose time is over. With an empty `held_by` their data go the coming night."""

    debtor_id = ma.fields.UUID()
    reference = ma.fields.String()
    ended_at = ma.fields.AwareDateTime()
    kept_days = ma.fields.Integer()
    due_at = ma.fields.AwareDateTime()
    source = ma.fields.Dict(metadata={"description": "pack, instrument and article"})
    held_by = ma.fields.List(ma.fields.String())


class ErasureDuePageSchema(ma.Schema):
    """One page; `next` is null on the last."""

    debtors = ma.fields.List(ma.fields.Nested(ErasureDueSchema))
    next = ma.fields.UUID(allow_none=True)


class NewRetentionHoldSchema(ma.Schema):
    """What keeps the data, and why."""

    kind = ma.fields.String(required=True, validate=validate.OneOf(HOLD_KINDS))
    reason = ma.fields.String(required=True, validate=REASON)


class ReleaseRetentionHoldSchema(ma.Schema):
    """Why nothing keeps them any more."""

    reason = ma.fields.String(required=True, validate=REASON)


class RetentionHoldSchema(NewRetentionHoldSchema):
    """A hold."""

    id = ma.fields.UUID()
    debtor_id = ma.fields.UUID()
    set_at = ma.fields.AwareDateTime()
    set_by = ma.fields.UUID()
    released_at = ma.fields.AwareDateTime(allow_none=True)
    released_by = ma.fields.UUID(allow_none=True)
    release_reason = ma.fields.String(allow_none=True)


class RetentionHoldPageSchema(ma.Schema):
    """One page; `next` is null on the last."""

    holds = ma.fields.List(ma.fields.Nested(RetentionHoldSchema))
    next = ma.fields.UUID(allow_none=True)


class ErasureSchema(ma.Schema):
    """Somebody's data, erased: when, by which rule, how much of what, and which bytes are still there."""

    id = ma.fields.UUID()
    debtor_id = ma.fields.UUID()
    erased_at = ma.fields.AwareDateTime()
    ended_at = ma.fields.AwareDateTime()
    kept_days = ma.fields.Integer()
    source = ma.fields.Dict()
    counts = ma.fields.Dict()
    objects = ma.fields.Dict(metadata={"description": "waiting, removed, shared, refused"})


class ErasurePageSchema(ma.Schema):
    """One page; `next` is null on the last."""

    erasures = ma.fields.List(ma.fields.Nested(ErasureSchema))
    next = ma.fields.UUID(allow_none=True)


@blueprint.get("/erasures/due")
@requires(Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)
@blueprint.arguments(DueQuerySchema, location="query")
@blueprint.response(200, ErasureDuePageSchema)
def due_page(query: dict[str, Any]) -> dict[str, Any]:
    """List whose data will be erased within some days, and what holds the rest; nothing is changed."""
    found = due.list_due(**query, now=current_time())
    return {"debtors": found, "next": found[-1].debtor_id if len(found) == query["limit"] else None}


@blueprint.get("/erasures")
@requires(Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)
@blueprint.arguments(ErasureQuerySchema, location="query")
@blueprint.response(200, ErasurePageSchema)
def erasure_page(query: dict[str, Any]) -> dict[str, Any]:
    """List what was erased."""
    found = erasing.list_erasures(**query)
    last = found[-1][0].id if len(found) == query["limit"] else None
    return {"erasures": [_render(one, objects) for one, objects in found], "next": last}


def _render(erasure: Erasure, objects: dict[str, int]) -> dict[str, Any]:
    named = {name: getattr(erasure, name) for name in ErasureSchema().fields if hasattr(erasure, name)}
    return {**named, "objects": objects}


@blueprint.get("/retention-holds")
@requires(Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, RetentionHoldPageSchema)
def hold_page(query: dict[str, Any]) -> dict[str, Any]:
    """List what people set to keep data for longer; open complaints and incidents hold without being here."""
    found = holds.open_holds(**query)
    return {"holds": found, "next": found[-1].id if len(found) == query["limit"] else None}


@blueprint.post("/debtors/<uuid:debtor_id>/retention-holds")
@requires(Role.SUPERVISOR)
@blueprint.arguments(NewRetentionHoldSchema)
@blueprint.response(201, RetentionHoldSchema)
def set_hold(body: dict[str, Any], debtor_id: UUID) -> RetentionHold:
    """Keep a debtor's data until released, for a lawsuit, a complaint or an audit."""
    return holds.set_hold(debtor_id, **body, actor=current_actor(), now=current_time())


@blueprint.post("/retention-holds/<uuid:hold_id>/release")
@requires(Role.SUPERVISOR)
@blueprint.arguments(ReleaseRetentionHoldSchema)
@blueprint.response(200, RetentionHoldSchema)
def release_hold(body: dict[str, Any], hold_id: UUID) -> RetentionHold:
    """Let a hold go. Releasing it again changes nothing."""
    return holds.release_hold(hold_id, reason=body["reason"], actor=current_actor(), now=current_time())
