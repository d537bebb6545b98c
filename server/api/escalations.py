"""Escalations: who evades or acts in bad faith, handed to the field in writing (D15, D17)."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.models.cases import Case, Client
from server.models.escalations import GROUNDS, Escalation
from server.workflows import escalations
from server.workflows.cases import find_client

blueprint = Blueprint("escalations", __name__, description="Cases handed to the field")
GROUND = validate.OneOf(GROUNDS)


class NewEscalationSchema(ma.Schema):
    """What the debtor did, and which ground it is."""

    ground = ma.fields.String(required=True, validate=GROUND)
    words = ma.fields.String(required=True, validate=validate.Length(1, 4000))


class EscalationSchema(ma.Schema):
    """A case handed to the field. Lists never carry what was written about the debtor."""

    id = ma.fields.UUID()
    case_id = ma.fields.UUID()
    case_reference = ma.fields.String()
    client = ma.fields.String()
    ground = ma.fields.String()
    raised_at = ma.fields.AwareDateTime()
    raised_by = ma.fields.UUID()
    withdrawn_at = ma.fields.AwareDateTime(allow_none=True)


class EscalationFileSchema(EscalationSchema):
    """An escalation with its words."""

    words = ma.fields.String()


class EscalationQuerySchema(ma.Schema):
    """Which escalations, and where the page starts."""

    ground = ma.fields.String(load_default=None, validate=GROUND)
    client = ma.fields.String(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class EscalationPageSchema(ma.Schema):
    """One page, the oldest first; `next` is null on the last."""

    escalations = ma.fields.List(ma.fields.Nested(EscalationSchema))
    next = ma.fields.UUID(allow_none=True)


@blueprint.post("/cases/<uuid:case_id>/escalations")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(NewEscalationSchema)
@blueprint.response(201, EscalationSchema)
def escalate(body: dict[str, Any], case_id: UUID) -> Escalation:
    """Hand a case to the field (D15). The same ground standing already is returned as it is."""
    return escalations.escalate(case_id, **body, actor=current_actor(), now=current_time())


@blueprint.get("/escalations")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(EscalationQuerySchema, location="query")
@blueprint.response(200, EscalationPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List what stands on open cases: the field's list (D17)."""
    client = query.pop("client")
    rows = escalations.for_the_field(**query, client_id=None if client is None else find_client(client).id)
    last = rows[-1].Escalation.id if len(rows) == query["limit"] else None
    return {"escalations": [_render(row.Escalation, row.Case, row.Client) for row in rows], "next": last}


@blueprint.get("/escalations/<uuid:escalation_id>")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.response(200, EscalationFileSchema)
def one(escalation_id: UUID) -> Escalation:
    """Return an escalation with its words; the reading is logged."""
    return escalations.read(escalation_id, actor=current_actor(), now=current_time())


@blueprint.post("/escalations/<uuid:escalation_id>/withdraw")
@requires(Role.SUPERVISOR)
@blueprint.response(200, EscalationSchema)
def withdraw(escalation_id: UUID) -> Escalation:
    """Take a case off the field's list."""
    return escalations.withdraw(escalation_id, actor=current_actor(), now=current_time())


def _render(escalation: Escalation, case: Case, client: Client) -> dict[str, Any]:
    names = [name for name in EscalationSchema().fields if hasattr(escalation, name)]
    return {name: getattr(escalation, name) for name in names} | {
        "case_reference": case.reference,
        "client": client.reference,
    }
