"""Visits: what took place, on one timeline."""

import tempfile
from typing import Any
from uuid import UUID

import marshmallow as ma
from flask import Response, send_file
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.findings import FindingSchema
from server.api.transport import Blueprint
from server.authority import Role
from server.models.judgement import CAUSES
from server.models.visits import Visit
from server.storage import current_store
from server.workflows import audit
from server.workflows.bundles import write_bundle

blueprint = Blueprint("visits", __name__, url_prefix="/visits", description="Visits and their evidence")


class VisitSchema(ma.Schema):
    """A visit as its phone's clock readings let us say."""

    id = ma.fields.UUID()
    assignment_id = ma.fields.UUID(allow_none=True)
    staff_id = ma.fields.UUID()
    team = ma.fields.List(ma.fields.UUID())
    state = ma.fields.String()
    arrived_earliest = ma.fields.AwareDateTime()
    arrived_latest = ma.fields.AwareDateTime()
    arrived_method = ma.fields.String()
    left_earliest = ma.fields.AwareDateTime(allow_none=True)
    left_latest = ma.fields.AwareDateTime(allow_none=True)
    evidence_due_at = ma.fields.AwareDateTime()
    reconciled_at = ma.fields.AwareDateTime(allow_none=True)
    flags = ma.fields.List(ma.fields.String())
    claim_marks = ma.fields.List(ma.fields.Dict())


class ListedVisitSchema(VisitSchema):
    """A visit in a list."""

    open_findings = ma.fields.Integer()
    worst = ma.fields.Integer(
        allow_none=True, metadata={"description": "3 severe, 2 serious, 1 minor, 0 note"}
    )


class VisitQuerySchema(ma.Schema):
    """Which visits."""

    state = ma.fields.String(
        load_default=None, validate=validate.OneOf(["started", "ended", "reported", "reconciled"])
    )
    staff_id = ma.fields.UUID(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class VisitPageSchema(ma.Schema):
    """One page of visits, newest first; `next` is null on the last."""

    visits = ma.fields.List(ma.fields.Nested(ListedVisitSchema))
    next = ma.fields.UUID(allow_none=True)


class ItemSchema(ma.Schema):
    """One signed record of the phone, and the receipt it got."""

    item_id = ma.fields.UUID()
    seq = ma.fields.Integer()
    type = ma.fields.String()
    received_at = ma.fields.AwareDateTime()
    outcome = ma.fields.String()
    flags = ma.fields.List(ma.fields.String())
    receipt = ma.fields.Dict()
    sha256 = ma.fields.Function(lambda item: item.sha256.hex())


class AccountSchema(ma.Schema):
    """One revision of the written account."""

    id = ma.fields.UUID()
    parent_id = ma.fields.UUID(allow_none=True)
    author_id = ma.fields.UUID()
    claims = ma.fields.Dict()
    narrative = ma.fields.String()
    written_earliest = ma.fields.AwareDateTime()
    written_latest = ma.fields.AwareDateTime()
    received_at = ma.fields.AwareDateTime()


class VisitEvidenceSchema(ma.Schema):
    """One promised file and what its inspection found. The bytes are behind /evidence/{id}/link."""

    id = ma.fields.UUID()
    kind = ma.fields.String(allow_none=True)
    purpose = ma.fields.String(allow_none=True)
    state = ma.fields.String()
    size_bytes = ma.fields.Integer(allow_none=True)
    mime = ma.fields.String(allow_none=True)
    sha256 = ma.fields.Function(lambda one: one.sha256.hex() if one.sha256 else None)
    captured_from_earliest = ma.fields.AwareDateTime(allow_none=True)
    captured_until_latest = ma.fields.AwareDateTime(allow_none=True)
    position = ma.fields.Dict(allow_none=True)
    stored_at = ma.fields.AwareDateTime(allow_none=True)
    inspected_at = ma.fields.AwareDateTime(allow_none=True)
    inspection = ma.fields.Dict(allow_none=True)


class CorrectionSchema(ma.Schema):
    """What the office wrote in place of an item that could not be applied. `corrects` names its digest."""

    id = ma.fields.UUID(attribute="correction.id")
    type = ma.fields.String(attribute="correction.type")
    corrects_item = ma.fields.UUID(attribute="correction.item_id")
    corrects_sha256 = ma.fields.Function(lambda shown: shown.correction.corrects_sha256.hex())
    written_at = ma.fields.AwareDateTime(attribute="correction.written_at")
    author_id = ma.fields.UUID(attribute="correction.author_id")
    author = ma.fields.String()
    reason = ma.fields.String()
    sha256 = ma.fields.Function(lambda shown: shown.correction.sha256.hex())


class RunSchema(ma.Schema):
    """A judgement that changed something: why it ran, what had come since the one before, what changed."""

    id = ma.fields.UUID()
    ran_at = ma.fields.AwareDateTime()
    because = ma.fields.String(metadata={"enum": list(CAUSES)})
    since = ma.fields.Dict()
    pack = ma.fields.String()
    changes = ma.fields.List(ma.fields.Dict())
    marks = ma.fields.Dict()


class VisitFileSchema(ma.Schema):
    """Everything of one visit."""

    visit = ma.fields.Nested(VisitSchema)
    permit = ma.fields.Function(lambda file: file["assignment"].permit if file["assignment"] else None)
    items = ma.fields.List(ma.fields.Nested(ItemSchema))
    accounts = ma.fields.List(ma.fields.Nested(AccountSchema))
    evidence = ma.fields.List(ma.fields.Nested(VisitEvidenceSchema))
    findings = ma.fields.List(ma.fields.Nested(FindingSchema))
    corrections = ma.fields.List(ma.fields.Nested(CorrectionSchema))
    runs = ma.fields.List(ma.fields.Nested(RunSchema))


@blueprint.get("")
@requires(Role.AUDITOR, Role.SUPERVISOR, Role.DISPATCHER, Role.VISITOR)
@blueprint.arguments(VisitQuerySchema, location="query")
@blueprint.response(200, VisitPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List visits, newest first. Visitors see their own."""
    rows = audit.list_visits(**query, actor=current_actor())
    visits = [_listed(row.Visit, row.open_findings, row.worst) for row in rows]
    return {"visits": visits, "next": visits[-1]["id"] if len(visits) == query["limit"] else None}


def _listed(visit: Visit, open_findings: int, worst: int | None) -> dict[str, Any]:
    facts = {name: getattr(visit, name) for name in VisitSchema().fields}
    return {**facts, "open_findings": open_findings, "worst": worst}


@blueprint.get("/<uuid:visit_id>")
@requires(Role.AUDITOR, Role.SUPERVISOR, Role.DISPATCHER, Role.VISITOR)
@blueprint.response(200, VisitFileSchema)
def one(visit_id: UUID) -> dict[str, Any]:
    """Return a visit's whole file. Findings and inspections are for auditors and supervisors."""
    actor = current_actor()
    file = audit.open_visit(visit_id, actor=actor, now=current_time())
    told = {
        "visit": file.visit,
        "assignment": file.assignment,
        "items": file.items,
        "accounts": file.accounts,
        "evidence": file.evidence,
        "findings": file.findings,
        "corrections": file.corrections,
        "runs": file.runs,
    }
    if not actor.has(*audit.SEES_ALL):
        told |= {"evidence": [], "findings": [], "runs": []}
    return told


@blueprint.get("/<uuid:visit_id>/bundle")
@requires(Role.AUDITOR, Role.SUPERVISOR)
@blueprint.response(200, content_type="application/zip")
def bundle(visit_id: UUID) -> Response:
    """Return everything of a visit as one file that `fieldvisit verify` checks without this server."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 (the response closes it once it was sent)
    try:
        write_bundle(visit_id, spool, store=current_store(), actor=current_actor(), now=current_time())
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return send_file(
        spool, mimetype="application/zip", as_attachment=True, download_name=f"visit-{visit_id}.zip"
    )
