"""The codes that cases of a client may carry, and how often a debtor was called."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_time, requires
from server.api.case_forms import CaseSchema, render_case
from server.api.transport import Blueprint
from server.authority import Role
from server.models.cases import STATUS_MEANINGS
from server.workflows import cases, contact_counts, status_codes
from server.workflows.status_codes import Code

blueprint = Blueprint("status_codes", __name__, description="Status codes of cases; calls against the caps")
OFFICE = (Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)
A_CODE = validate.Length(1, 64)


class StatusCodeSchema(ma.Schema):
    """One code (D1). `rule`: the house rule it stands in; empty: the client's own."""

    code = ma.fields.String(required=True, validate=A_CODE)
    title = ma.fields.String(load_default="", validate=validate.Length(max=200))
    meaning = ma.fields.String(load_default="other", validate=validate.OneOf(STATUS_MEANINGS))
    rule = ma.fields.String(dump_only=True)


class StatusCodesSchema(ma.Schema):
    """A client's table of codes."""

    codes = ma.fields.List(
        ma.fields.Nested(StatusCodeSchema), required=True, validate=validate.Length(1, 500)
    )


class CaseStatusSchema(ma.Schema):
    """The status a case is given; empty: none."""

    status_code = ma.fields.String(required=True, validate=validate.Length(max=64))


class CallCapSchema(ma.Schema):
    """One cap and what counts against it. `of`: calls of the case, or on all cases of its debtor."""

    rule = ma.fields.String()
    counts = ma.fields.String(metadata={"description": "effective, connected, unanswered or total"})
    of = ma.fields.String()
    most = ma.fields.Integer()
    days = ma.fields.Integer(metadata={"description": "how many local days, today as the last"})
    made = ma.fields.Integer()
    is_reached = ma.fields.Boolean()
    free_on = ma.fields.Date(metadata={"description": "the first day on which a call is below this cap"})


class CallCountsSchema(ma.Schema):
    """A case's calls of today, and every cap that applies. Inbound contacts are not counted (AMB3)."""

    day = ma.fields.Date()
    today = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())
    caps = ma.fields.List(ma.fields.Nested(CallCapSchema))
    is_cap_reached = ma.fields.Boolean()
    calls_from = ma.fields.Date()


@blueprint.get("/clients/<uuid:client_id>/status-codes")
@requires(*OFFICE)
@blueprint.response(200, StatusCodesSchema)
def table(client_id: UUID) -> dict[str, Any]:
    """List the codes that this client's cases may carry, those of the house rules first."""
    return {"codes": status_codes.table_of(client_id)}


@blueprint.post("/clients/<uuid:client_id>/status-codes")
@requires(Role.ADMIN)
@blueprint.arguments(StatusCodesSchema)
@blueprint.response(200, StatusCodesSchema)
def enter(body: dict[str, Any], client_id: UUID) -> dict[str, Any]:
    """Enter codes of this client; one that stands already gets the new title and meaning."""
    return {"codes": status_codes.enter(client_id, [Code(**one) for one in body["codes"]])}


@blueprint.delete("/clients/<uuid:client_id>/status-codes/<path:code>")
@requires(Role.ADMIN)
@blueprint.response(204)
@blueprint.alt_response(409, description="Cases still carry the code.")
def remove(client_id: UUID, code: str) -> None:
    """Take a code out of this client's table."""
    status_codes.remove(client_id, code)


@blueprint.put("/cases/<uuid:case_id>/status-code")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(CaseStatusSchema)
@blueprint.response(200, CaseSchema)
def set_status(body: dict[str, Any], case_id: UUID) -> dict[str, Any]:
    """Give a case a status of its client's table (D1)."""
    status_codes.set_status(case_id, body["status_code"])
    return render_case(cases.open_case(case_id), is_masked=True)


@blueprint.get("/cases/<uuid:case_id>/contact-counts")
@requires(*OFFICE)
@blueprint.response(200, CallCountsSchema)
def counts(case_id: UUID) -> dict[str, Any]:
    """Count today's calls against the caps (J5, J6, J8, J18); the product itself calls nobody."""
    found = contact_counts.counts_of_case(case_id, now=current_time())
    caps = [
        {
            "rule": state.cap.rule,
            "counts": state.cap.counts,
            "of": state.cap.of,
            "most": state.cap.most,
            "days": state.cap.days,
            "made": state.made,
            "is_reached": state.is_reached,
            "free_on": state.free_on,
        }
        for state in found.caps
    ]
    return {
        "day": found.day,
        "today": found.today,
        "caps": caps,
        "is_cap_reached": found.is_cap_reached,
        "calls_from": found.calls_from,
    }
