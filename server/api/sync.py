"""A phone's two doors: push what it recorded, pull what changed."""

from typing import Any

import marshmallow as ma
from flask import request
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires_device, requires_submitter
from server.api.transport import Blueprint
from server.workflows.exchange import answers, inbox, pulling

blueprint = Blueprint("sync", __name__, url_prefix="/sync", description="Offline sync of phones")

MAX_RAW_BYTES = 64 * 1024 * 1024


class PullQuerySchema(ma.Schema):
    """Where to go on."""

    cursor = ma.fields.String(load_default=None, validate=validate.Length(max=4096))
    limit = ma.fields.Integer(load_default=200, validate=validate.Range(1, pulling.MOST))


class PullPageSchema(ma.Schema):
    """One page of the change feed."""

    epoch = ma.fields.String(allow_none=True)
    changes = ma.fields.List(ma.fields.Dict())
    cursor = ma.fields.String()
    seen = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())
    has_more = ma.fields.Boolean()
    scope_digest = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    anchor = ma.fields.Dict()
    ack_seq = ma.fields.Integer()
    durable_through = ma.fields.Integer()
    rescue_key = ma.fields.Dict()


class PushAnswerSchema(ma.Schema):
    """One outcome and receipt per pushed item, in the order of the batch."""

    outcomes = ma.fields.List(ma.fields.Dict())
    ack_seq = ma.fields.Integer()
    missing = ma.fields.List(ma.fields.List(ma.fields.Integer()))
    durable_through = ma.fields.Integer()
    anchor = ma.fields.Dict()


class ReceiptSchema(ma.Schema):
    """The receipt of bytes that could not be read."""

    receipt = ma.fields.Dict()


class SettledSchema(ma.Schema):
    """An item that the office has dealt with: corrected or set_aside."""

    id = ma.fields.UUID()
    outcome = ma.fields.String()


class StatusSchema(ma.Schema):
    """Where a phone's submissions stand."""

    settled = ma.fields.List(ma.fields.Nested(SettledSchema))

    acked_seq = ma.fields.Integer()
    missing = ma.fields.List(ma.fields.List(ma.fields.Integer()))
    quarantined = ma.fields.List(ma.fields.UUID())
    held = ma.fields.List(ma.fields.UUID())


_BATCH = {
    "requestBody": {
        "required": True,
        "description": "`{batch_id, clock, items: [{id, seq, prev, envelope}]}`; envelopes are DSSE.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
_RAW = {
    "requestBody": {
        "required": True,
        "description": "Any bytes: an item as the phone has it.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@blueprint.get("/pull")
@requires_device
@blueprint.arguments(PullQuerySchema, location="query")
@blueprint.response(200, PullPageSchema)
def pull(query: dict[str, Any]) -> dict[str, Any]:
    """Return what changed since the cursor. 410 `feed-reset`: start over without one."""
    return pulling.pull(
        cursor=query["cursor"], limit=query["limit"], actor=current_actor(), now=current_time()
    )


@blueprint.post("/push")
@requires_submitter
@blueprint.doc(**_BATCH)
@blueprint.response(200, PushAnswerSchema)
def push() -> dict[str, Any]:
    """Store signed items. Repeating a batch returns the same receipts."""
    return inbox.push(request.get_data(cache=False), actor=current_actor(), now=current_time())


@blueprint.post("/quarantine")
@requires_submitter
@blueprint.doc(**_RAW)
@blueprint.response(200, ReceiptSchema)
def quarantine() -> dict[str, Any]:
    """Keep the raw bytes of one item that cannot be pushed, up to 64 MiB."""
    request.max_content_length = MAX_RAW_BYTES
    return inbox.quarantine(request.get_data(cache=False), actor=current_actor(), now=current_time())


@blueprint.get("/status")
@requires_submitter
@blueprint.response(200, StatusSchema)
def status() -> answers.Status:
    """Say what of this phone is stored, missing, held or quarantined."""
    return answers.status(actor=current_actor())
