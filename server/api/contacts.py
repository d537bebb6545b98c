"""Third parties: who wants no contact, and what visitors heard of others."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.models.cases import Contact
from server.models.casework import LEARNED_STATES, REFUSALS, LearnedContact
from server.pii import mask_address, mask_name, mask_phone
from server.workflows import learned, third_parties

blueprint = Blueprint("contacts", __name__, description="Third parties of a case")


class RefusalSchema(ma.Schema):
    """Why a third party is left alone, and what they said."""

    why = ma.fields.String(required=True, validate=validate.OneOf(REFUSALS))
    words = ma.fields.String(load_default="", validate=validate.Length(max=4000))


class RefusedSchema(ma.Schema):
    """A third party who is not contacted again."""

    id = ma.fields.UUID()
    case_id = ma.fields.UUID()
    stop_contact = ma.fields.Boolean()
    stop_reason = ma.fields.String()
    refused_at = ma.fields.AwareDateTime(allow_none=True)


class LearnedSchema(ma.Schema):
    """What a visitor heard: masked, as nobody has verified it."""

    id = ma.fields.UUID()
    case_id = ma.fields.UUID()
    learned_at = ma.fields.AwareDateTime()
    learned_by = ma.fields.UUID()
    name = ma.fields.String(allow_none=True, metadata={"description": "masked"})
    phone = ma.fields.String(allow_none=True, metadata={"description": "masked"})
    relation = ma.fields.String(allow_none=True)
    address = ma.fields.String(allow_none=True, metadata={"description": "masked"})
    state = ma.fields.String()
    judged_at = ma.fields.AwareDateTime(allow_none=True)
    judged_by = ma.fields.UUID(allow_none=True)
    contact_id = ma.fields.UUID(allow_none=True)
    address_id = ma.fields.UUID(allow_none=True)


class LearnedQuerySchema(ma.Schema):
    """Which of it, and where the page starts."""

    state = ma.fields.String(load_default="open", validate=validate.OneOf(LEARNED_STATES))
    case_id = ma.fields.UUID(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class LearnedPageSchema(ma.Schema):
    """One page, oldest first; `next` is null on the last."""

    learned = ma.fields.List(ma.fields.Nested(LearnedSchema))
    next = ma.fields.UUID(allow_none=True)


def _shown(one: LearnedContact) -> dict[str, Any]:
    named = {name: getattr(one, name) for name in LearnedSchema().fields}
    masked = {
        "name": mask_name(one.name),
        "phone": mask_phone(one.phone),
        "address": mask_address(one.address),
    }
    return named | masked


@blueprint.post("/contacts/<uuid:contact_id>/refusal")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(RefusalSchema)
@blueprint.response(200, RefusedSchema)
@blueprint.alt_response(409, description="The person is liable: hold the case instead.")
def refuse(body: dict[str, Any], contact_id: UUID) -> Contact:
    """Mark a third party as never to be contacted again; visits to their addresses end at once."""
    refusal = third_parties.Refusal(**body)
    return third_parties.refuse_contact(contact_id, refusal, actor=current_actor(), now=current_time())


@blueprint.get("/learned")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(LearnedQuerySchema, location="query")
@blueprint.response(200, LearnedPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List what visitors heard, oldest first."""
    found = learned.list_learned(**query)
    last = found[-1].id if len(found) == query["limit"] else None
    return {"learned": [_shown(one) for one in found], "next": last}


@blueprint.post("/learned/<uuid:learned_id>/accept")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.response(200, LearnedSchema)
def accept(learned_id: UUID) -> dict[str, Any]:
    """Take it into the case: a third party, an address that is still to be verified."""
    return _shown(learned.accept(learned_id, actor=current_actor(), now=current_time()))


@blueprint.post("/learned/<uuid:learned_id>/reject")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.response(200, LearnedSchema)
def reject(learned_id: UUID) -> dict[str, Any]:
    """Leave it out of the case."""
    return _shown(learned.reject(learned_id, actor=current_actor(), now=current_time()))
