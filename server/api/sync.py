"""A phone's two doors: push what it recorded, pull what changed.

Their answers are large and made by us from end to end: they are written as they are, not checked member by
member against their schema, and packed for phones that say they can unpack.
"""

import json
import zlib
from typing import Any, Final

import marshmallow as ma
from flask import Response, request
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires_device, requires_submitter
from server.api.transport import Blueprint
from server.workflows.exchange import answers, inbox, pulling
from sync.wire import MAX_INTEGER

blueprint = Blueprint("sync", __name__, url_prefix="/sync", description="Offline sync of phones")

MAX_RAW_BYTES = 64 * 1024 * 1024
WORTH_PACKING: Final = 1400
"""Bytes: what fits one packet is sent as it is."""
GZIP: Final = 31


def record_digest_field() -> ma.fields.String:
    """Document what a phone holds against the items that it handed in."""
    told = "Exclusive or of the digests (SHA-256) of all items of this phone that are stored, 64 hex digits."
    return ma.fields.String(metadata={"description": told})


class PullQuerySchema(ma.Schema):
    """Where to go on."""

    cursor = ma.fields.String(load_default=None, validate=validate.Length(max=4096))
    limit = ma.fields.Integer(load_default=200, validate=validate.Range(1, pulling.MOST))
    log_size = ma.fields.Integer(
        load_default=None,
        validate=validate.Range(0, 2**62),
        metadata={"description": "The size of the newest head of the log that the phone holds."},
    )


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
    record_digest = record_digest_field()
    rescue_key = ma.fields.Dict()
    log = ma.fields.Dict(
        allow_none=True,
        metadata={"description": "Last page: the log's newest head, and that it grew from `since`."},
    )


class PushAnswerSchema(ma.Schema):
    """One outcome and receipt per pushed item, in the order of the batch."""

    outcomes = ma.fields.List(ma.fields.Dict())
    ack_seq = ma.fields.Integer()
    missing = ma.fields.List(ma.fields.List(ma.fields.Integer()))
    durable_through = ma.fields.Integer()
    anchor = ma.fields.Dict()


class RawQuerySchema(ma.Schema):
    """Where raw bytes stand."""

    seq = ma.fields.Integer(
        load_default=None,
        validate=validate.Range(1, MAX_INTEGER),
        metadata={"description": "The item's number in the phone's record: nothing is missing there then."},
    )


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
    highest_seq = ma.fields.Integer()
    durable_through = ma.fields.Integer()
    missing = ma.fields.List(ma.fields.List(ma.fields.Integer()))
    waiting = ma.fields.List(ma.fields.UUID())
    held = ma.fields.List(ma.fields.UUID())
    quarantined = ma.fields.List(ma.fields.UUID())
    conflicting = ma.fields.List(ma.fields.UUID())
    raw = ma.fields.Integer()
    record_digest = record_digest_field()
    anchor = ma.fields.Dict()


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
@blueprint.arguments(PullQuerySchema, location="query", unknown=ma.EXCLUDE)
@blueprint.response(200, PullPageSchema)
def pull(query: dict[str, Any]) -> Response:
    """Return what changed since the cursor. 410 `feed-reset`: start over without one."""
    return _written(
        pulling.pull(
            cursor=query["cursor"],
            limit=query["limit"],
            log_size=query["log_size"],
            actor=current_actor(),
            now=current_time(),
        )
    )


@blueprint.post("/push")
@requires_submitter
@blueprint.doc(**_BATCH)
@blueprint.response(200, PushAnswerSchema)
def push() -> Response:
    """Store signed items. Repeating a batch returns the same receipts."""
    answer = inbox.push(request.get_data(cache=False), actor=current_actor(), now=current_time())
    return _written(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))


@blueprint.post("/quarantine")
@requires_submitter
@blueprint.doc(**_RAW)
@blueprint.arguments(RawQuerySchema, location="query", unknown=ma.EXCLUDE)
@blueprint.response(200, ReceiptSchema)
def quarantine(query: dict[str, Any]) -> dict[str, Any]:
    """Keep the raw bytes of one item that cannot be pushed, up to 64 MiB."""
    request.max_content_length = MAX_RAW_BYTES
    raw = request.get_data(cache=False)
    return inbox.quarantine(raw, seq=query["seq"], actor=current_actor(), now=current_time())


@blueprint.get("/status")
@requires_submitter
@blueprint.response(200, StatusSchema)
def status() -> answers.Status:
    """Say what of this phone is stored, missing, held or quarantined."""
    return answers.status(actor=current_actor(), now=current_time())


def _written(answer: str) -> Response:
    """Answer with JSON, gzipped (at the quickest level) where that pays and the phone accepts it."""
    body = answer.encode()
    headers = {"Vary": "Accept-Encoding"}
    if len(body) > WORTH_PACKING and request.accept_encodings["gzip"] > 0:
        packer = zlib.compressobj(level=1, wbits=GZIP)
        body = packer.compress(body) + packer.flush()
        headers["Content-Encoding"] = "gzip"
    return Response(body, mimetype="application/json", headers=headers)
