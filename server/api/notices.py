"""What clients must be told: drafts, oral reports, and the evidence that a notice was sent."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint, Instant
from server.authority import Role
from server.models.casework import NOTICE_STATES, WAYS_OF_SENDING, ClientNotice
from server.workflows import notices

blueprint = Blueprint("notices", __name__, description="What clients must be told")


class NoticeTextSchema(ma.Schema):
    """What a notice says. No card or identity numbers: the client knows the case by its reference."""

    subject = ma.fields.String(required=True, validate=validate.Length(1, 200))
    body = ma.fields.String(required=True, validate=validate.Length(1, 10_000))


class NoticeSchema(NoticeTextSchema):
    """A notice to a client. `oral_report_due_at`: it must be said before it is sent, and by when."""

    id = ma.fields.UUID()
    kind = ma.fields.String()
    case_id = ma.fields.UUID()
    client_id = ma.fields.UUID()
    hold_id = ma.fields.UUID(allow_none=True)
    complaint_id = ma.fields.UUID(allow_none=True)
    incident_id = ma.fields.UUID(allow_none=True)
    is_urgent = ma.fields.Boolean()
    is_overdue = ma.fields.Boolean()
    state = ma.fields.String()
    drafted_at = ma.fields.AwareDateTime()
    due_at = ma.fields.AwareDateTime()
    oral_report_due_at = ma.fields.AwareDateTime(allow_none=True)
    oral_reported_at = ma.fields.AwareDateTime(allow_none=True)
    oral_reported_by = ma.fields.UUID(allow_none=True)
    sent_at = ma.fields.AwareDateTime(allow_none=True)
    sent_by = ma.fields.UUID(allow_none=True)
    sent_how = ma.fields.String()
    sent_reference = ma.fields.String()
    cancel_reason = ma.fields.String(allow_none=True)


class NoticeQuerySchema(ma.Schema):
    """Which notices, and where the page starts."""

    state = ma.fields.String(load_default=None, validate=validate.OneOf(NOTICE_STATES))
    due_before = Instant(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class NoticePageSchema(ma.Schema):
    """One page, what is due first; `next` is null on the last."""

    notices = ma.fields.List(ma.fields.Nested(NoticeSchema))
    next = ma.fields.UUID(allow_none=True)


class SentSchema(ma.Schema):
    """How a notice was sent, and the evidence: a message id, a letter's number."""

    how = ma.fields.String(required=True, validate=validate.OneOf(WAYS_OF_SENDING))
    reference = ma.fields.String(required=True, validate=validate.Length(1, 500))


class WithdrawalSchema(ma.Schema):
    """Why a client need not be told after all."""

    reason = ma.fields.String(required=True, validate=validate.Length(1, 2000))


def _shown(notice: ClientNotice) -> dict[str, Any]:
    named = {name: getattr(notice, name) for name in NoticeSchema().fields if hasattr(notice, name)}
    return {**named, "is_overdue": notices.is_overdue(notice, current_time())}


@blueprint.get("/notices")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(NoticeQuerySchema, location="query")
@blueprint.response(200, NoticePageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List notices, what is due first."""
    found = notices.list_notices(**query)
    last = found[-1].id if len(found) == query["limit"] else None
    return {"notices": [_shown(one) for one in found], "next": last}


@blueprint.get("/notices/<uuid:notice_id>")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.response(200, NoticeSchema)
def one(notice_id: UUID) -> dict[str, Any]:
    """Return one notice."""
    return _shown(notices.find_notice(notice_id))


@blueprint.put("/notices/<uuid:notice_id>")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(NoticeTextSchema)
@blueprint.response(200, NoticeSchema)
def edit(body: dict[str, Any], notice_id: UUID) -> dict[str, Any]:
    """Rewrite a draft."""
    return _shown(notices.edit(notice_id, **body))


@blueprint.post("/notices/<uuid:notice_id>/oral-report")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.response(200, NoticeSchema)
def report_orally(notice_id: UUID) -> dict[str, Any]:
    """Record that the client was told by word of mouth."""
    return _shown(notices.report_orally(notice_id, actor=current_actor(), now=current_time()))


@blueprint.post("/notices/<uuid:notice_id>/sent")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(SentSchema)
@blueprint.response(200, NoticeSchema)
def mark_sent(body: dict[str, Any], notice_id: UUID) -> dict[str, Any]:
    """Record that a notice was sent, with its evidence."""
    return _shown(notices.mark_sent(notice_id, **body, actor=current_actor(), now=current_time()))


@blueprint.post("/notices/<uuid:notice_id>/cancel")
@requires(Role.SUPERVISOR)
@blueprint.arguments(WithdrawalSchema)
@blueprint.response(200, NoticeSchema)
def cancel(body: dict[str, Any], notice_id: UUID) -> dict[str, Any]:
    """Withdraw a draft that should never have been one."""
    return _shown(notices.cancel(notice_id, reason=body["reason"]))
