"""Stopping a case, and letting it go on."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.case_forms import HoldSchema
from server.api.transport import Blueprint, Day
from server.authority import Role
from server.models.cases import HOLD_SCOPE_OF_REASON, Hold
from server.models.casework import GIVERS
from server.workflows import holds
from server.workflows.notices import is_overdue

blueprint = Blueprint("holds", __name__, description="Reasons why nothing may be done")
REASON = validate.OneOf(list(HOLD_SCOPE_OF_REASON))


class NewHoldSchema(ma.Schema):
    """Why a case is to be stopped."""

    reason = ma.fields.String(required=True, validate=REASON)
    note = ma.fields.String(load_default="", validate=validate.Length(max=4000))


class ReleaseSchema(ma.Schema):
    """By whose word work may go on. The client's needs the letter's reference and the day it was received."""

    instruction = ma.fields.String(required=True, validate=validate.Length(1, 4000))
    given_by = ma.fields.String(load_default="supervisor", validate=validate.OneOf(GIVERS))
    reference = ma.fields.String(load_default="", validate=validate.Length(max=200))
    received_on = Day(load_default=None, allow_none=True)


class OpenHoldSchema(HoldSchema):
    """An open hold, with its case and what the client was told."""

    debtor_id = ma.fields.UUID()
    case_reference = ma.fields.String()
    client_notified_at = ma.fields.AwareDateTime(allow_none=True)
    notice_id = ma.fields.UUID(allow_none=True)
    notice_due_at = ma.fields.AwareDateTime(allow_none=True)
    is_notice_overdue = ma.fields.Boolean()
    released_by_word_of = ma.fields.List(
        ma.fields.String(), metadata={"description": "whose instruction releases it"}
    )


class HoldQuerySchema(ma.Schema):
    """Which open holds, and where the page starts."""

    reason = ma.fields.String(load_default=None, validate=REASON)
    overdue_notice = ma.fields.Boolean(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class HoldPageSchema(ma.Schema):
    """One page of open holds, oldest first; `next` is null on the last."""

    holds = ma.fields.List(ma.fields.Nested(OpenHoldSchema))
    next = ma.fields.UUID(allow_none=True)


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


@blueprint.get("/holds")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(HoldQuerySchema, location="query")
@blueprint.response(200, HoldPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List all open holds, oldest first."""
    found = holds.open_holds(**query, now=current_time())
    last = found[-1].hold.id if len(found) == query["limit"] else None
    return {"holds": [_shown(one) for one in found], "next": last}


def _shown(one: holds.OpenHold) -> dict[str, Any]:
    named = {name: getattr(one.hold, name) for name in OpenHoldSchema().fields if hasattr(one.hold, name)}
    return {
        **named,
        "case_reference": one.case_reference,
        "notice_id": one.notice and one.notice.id,
        "notice_due_at": one.notice and one.notice.due_at,
        "is_notice_overdue": one.notice is not None and is_overdue(one.notice, current_time()),
        "released_by_word_of": list(holds.GIVERS_OF[one.hold.reason]),
    }


@blueprint.post("/holds/<uuid:hold_id>/release")
@requires(Role.SUPERVISOR)
@blueprint.arguments(ReleaseSchema)
@blueprint.response(200, HoldSchema)
@blueprint.alt_response(409, description="Released already, or a complaint or incident is unsettled.")
def release(body: dict[str, Any], hold_id: UUID) -> Hold:
    """Release a hold by the instruction of whoever may give it for this reason."""
    word = holds.Word(
        text=body["instruction"],
        given_by=body["given_by"],
        reference=body["reference"],
        received_on=body["received_on"],
    )
    return holds.release(hold_id, word, actor=current_actor(), now=current_time())
