"""Cases: masked for everybody; whole for those whose work needs it, each such read logged.

Holds have their views in `holds.py`; files of the clients come in through `imports.py`.
"""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.case_forms import (
    AddressSchema,
    CasePageSchema,
    CaseSchema,
    HardshipSchema,
    LedgerEntrySchema,
    LedgerPageSchema,
    render_address,
    render_case,
    render_summary,
)
from server.api.transport import Blueprint
from server.authority import Role
from server.models.cases import LedgerEntry
from server.workflows import cases
from server.workflows.notice_wording import CHINA

blueprint = Blueprint("cases", __name__, description="Cases, their addresses and contact ledger")
OFFICE = (Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)


class CaseQuerySchema(ma.Schema):
    """Which cases, and where the page starts."""

    client = ma.fields.String(metadata={"description": "the client's reference"}, load_default=None)
    state = ma.fields.String(validate=validate.OneOf(["open", "closed"]), load_default=None)
    reference = ma.fields.String(load_default=None)
    queue = ma.fields.String(load_default=None, validate=validate.OneOf(["headquarters", "branch"]))
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class LedgerQuerySchema(ma.Schema):
    """Where a page starts and how long it is."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class UnmaskSchema(ma.Schema):
    """Why somebody needs to see it whole."""

    reason = ma.fields.String(required=True, validate=validate.Length(3, 500))


class VerificationSchema(ma.Schema):
    """What was found out about an address."""

    status = ma.fields.String(required=True, validate=validate.OneOf(["unverified", "verified", "invalid"]))
    source = ma.fields.String(required=True, validate=validate.Length(1, 200))


@blueprint.get("/cases")
@requires(*OFFICE)
@blueprint.arguments(CaseQuerySchema, location="query")
@blueprint.response(200, CasePageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List cases, identities masked."""
    today = current_time().astimezone(CHINA).date()
    found = cases.list_cases(**query, today=today)
    last = found[-1].Case.id if len(found) == query["limit"] else None
    return {
        "cases": [render_summary(*row) | {"queue": cases.queue_of(row.Case, today)} for row in found],
        "next": last,
    }


@blueprint.get("/cases/<uuid:case_id>")
@requires(*OFFICE)
@blueprint.response(200, CaseSchema)
def one(case_id: UUID) -> dict[str, Any]:
    """Return a case with debtor, addresses, contacts and open holds, identities masked."""
    return render_case(cases.open_case(case_id), is_masked=True)


@blueprint.post("/cases/<uuid:case_id>/unmask")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(UnmaskSchema)
@blueprint.response(200, CaseSchema)
def unmask(body: dict[str, Any], case_id: UUID) -> dict[str, Any]:
    """Return a case with its identities; who read it and why is logged. Numbers stay hidden (AMB10)."""
    found = cases.unmask(case_id, reason=body["reason"], actor=current_actor(), now=current_time())
    return render_case(found, is_masked=False)


@blueprint.get("/cases/<uuid:case_id>/ledger")
@requires(*OFFICE)
@blueprint.arguments(LedgerQuerySchema, location="query")
@blueprint.response(200, LedgerPageSchema)
def ledger(query: dict[str, Any], case_id: UUID) -> dict[str, Any]:
    """Return the contact ledger, newest first."""
    found = cases.list_ledger(case_id, before=query["after"], limit=query["limit"])
    return {"entries": found, "next": found[-1].id if len(found) == query["limit"] else None}


@blueprint.post("/cases/<uuid:case_id>/ledger")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(LedgerEntrySchema)
@blueprint.response(201, LedgerEntrySchema)
def record(body: dict[str, Any], case_id: UUID) -> LedgerEntry:
    """Write a contact into the ledger. With a reference of your own it is safe to repeat."""
    entry = cases.NewEntry(**body)
    return cases.add_ledger_entry(case_id, entry, actor=current_actor(), now=current_time())


@blueprint.post("/cases/<uuid:case_id>/review")
@requires(Role.SUPERVISOR)
@blueprint.response(200, CaseSchema)
def review(case_id: UUID) -> dict[str, Any]:
    """Record that a case with special flags was reviewed (A1)."""
    cases.review(case_id, actor=current_actor(), now=current_time())
    return render_case(cases.open_case(case_id), is_masked=True)


@blueprint.post("/cases/<uuid:case_id>/acknowledge-note")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.response(200, CaseSchema)
def acknowledge_note(case_id: UUID) -> dict[str, Any]:
    """Record that the client's special note was read (A6)."""
    cases.acknowledge_note(case_id, actor=current_actor(), now=current_time())
    return render_case(cases.open_case(case_id), is_masked=True)


@blueprint.post("/addresses/<uuid:address_id>/verification")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(VerificationSchema)
@blueprint.response(200, AddressSchema)
def verify(body: dict[str, Any], address_id: UUID) -> dict[str, Any]:
    """Record whether an address is the right one, and how that is known (A5)."""
    address = cases.judge_address(address_id, **body, actor=current_actor(), now=current_time())
    return render_address(address, is_masked=True)


@blueprint.put("/debtors/<uuid:debtor_id>/hardship")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(HardshipSchema)
@blueprint.response(200, HardshipSchema)
def hardship(body: dict[str, Any], debtor_id: UUID) -> Any:
    """Replace what hardship a debtor is known to be in (A9, A10)."""
    return cases.set_hardship(debtor_id, **body, actor=current_actor(), now=current_time())
