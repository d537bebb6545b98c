"""Stopping a case, and letting it go on."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.case_forms import HoldSchema
from server.api.transport import Blueprint
from server.authority import Role
from server.models.cases import HOLD_SCOPE_OF_REASON, Hold
from server.workflows import holds

blueprint = Blueprint("holds", __name__, description="Reasons why nothing may be done")


class NewHoldSchema(ma.Schema):
    """Why a case is to be stopped."""

    reason = ma.fields.String(required=True, validate=validate.OneOf(list(HOLD_SCOPE_OF_REASON)))
    note = ma.fields.String(load_default="", validate=validate.Length(max=4000))


class ReleaseSchema(ma.Schema):
    """By whose word work may go on."""

    instruction = ma.fields.String(required=True, validate=validate.Length(1, 4000))


@blueprint.post("/cases/<uuid:case_id>/holds")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(NewHoldSchema)
@blueprint.response(201, HoldSchema)
def raise_hold(body: dict[str, Any], case_id: UUID) -> Hold:
    """Stop a case; open assignments are cancelled in the same moment and leave the phones."""
    return holds.raise_on_case(case_id, **body, actor=current_actor(), now=current_time())


@blueprint.get("/cases/<uuid:case_id>/holds")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)
@blueprint.response(200, HoldSchema(many=True))
def holds_on_case(case_id: UUID) -> Sequence[Hold]:
    """List the holds that stop or stopped this case, its debtor's included, newest first."""
    return holds.holds_on(case_id)


@blueprint.post("/holds/<uuid:hold_id>/release")
@requires(Role.SUPERVISOR)
@blueprint.arguments(ReleaseSchema)
@blueprint.response(200, HoldSchema)
def release(body: dict[str, Any], hold_id: UUID) -> Hold:
    """Release a hold by the instruction that allows it."""
    return holds.release(hold_id, instruction=body["instruction"], actor=current_actor(), now=current_time())
