"""Looking a debtor up by a number: in the body, never in the URL; logged, and answered masked."""

from typing import Any

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.pii import mask_name, mask_number, mask_phone
from server.workflows.look_up import Found, look_up

blueprint = Blueprint("look_up", __name__, description="Looking people up by their numbers")


class LookUpSchema(ma.Schema):
    """Exactly one number, and what it is needed for."""

    id_number = ma.fields.String(load_default=None, validate=validate.Length(1, 64))
    phone = ma.fields.String(load_default=None, validate=validate.Length(1, 64))
    reason = ma.fields.String(required=True, validate=validate.Length(3, 500))

    @ma.validates_schema
    def _names_one(self, body: dict[str, Any], **_: Any) -> None:
        if (body.get("id_number") is None) == (body.get("phone") is None):
            raise ma.ValidationError("Name either an identity number or a phone number.", "phone")


class FoundCaseSchema(ma.Schema):
    """A case of somebody who was found."""

    id = ma.fields.UUID()
    reference = ma.fields.String()
    state = ma.fields.String()


class FoundSchema(ma.Schema):
    """Somebody of this number, masked."""

    id = ma.fields.UUID()
    reference = ma.fields.String()
    client = ma.fields.String(metadata={"description": "the client's reference"})
    name = ma.fields.String(allow_none=True)
    id_number = ma.fields.String(allow_none=True)
    phone = ma.fields.String(allow_none=True)
    cases = ma.fields.List(ma.fields.Nested(FoundCaseSchema))


class FoundPageSchema(ma.Schema):
    """Everybody of this number."""

    debtors = ma.fields.List(ma.fields.Nested(FoundSchema))


@blueprint.post("/debtors/look-up")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(LookUpSchema)
@blueprint.response(200, FoundPageSchema)
def find(body: dict[str, Any]) -> dict[str, Any]:
    """Return the debtors of a number, masked; who asked and why is logged, the number is not."""
    field = "phone" if body["id_number"] is None else "id_number"
    found = look_up(field, body[field], reason=body["reason"], actor=current_actor(), now=current_time())
    return {"debtors": [_render(one) for one in found]}


def _render(found: Found) -> dict[str, Any]:
    debtor = found.debtor
    return {
        "id": debtor.id,
        "reference": debtor.reference,
        "client": found.client.reference,
        "name": mask_name(debtor.name),
        "id_number": mask_number(debtor.id_number),
        "phone": mask_phone(debtor.phone),
        "cases": found.cases,
    }
