"""What phones owe the office, and bundles that bring what a phone could not send."""

import tempfile
from typing import Any
from uuid import UUID

import marshmallow as ma
from flask import request
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires, requires_anybody
from server.api.transport import Blueprint
from server.authority import Role
from server.storage import current_store
from server.workflows import phones, rescue

blueprint = Blueprint("phones", __name__, description="What phones owe us, and rescue bundles")

MAX_BUNDLE_BYTES = 8 * 1024**3
PIECE = 256 * 1024


class PhoneQuerySchema(ma.Schema):
    """Which phones, and where the page starts."""

    is_owing = ma.fields.Boolean(load_default=None)
    staff_id = ma.fields.UUID(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=100, validate=validate.Range(1, 500))


class PhoneSchema(ma.Schema):
    """What one phone has handed in, and how much of each kind is open."""

    device_id = ma.fields.UUID()
    staff_id = ma.fields.UUID()
    staff_name = ma.fields.String()
    enrolled_at = ma.fields.AwareDateTime()
    revoked_at = ma.fields.AwareDateTime(allow_none=True)
    staff_left_at = ma.fields.AwareDateTime(allow_none=True)
    last_item_at = ma.fields.AwareDateTime(allow_none=True)
    acked_seq = ma.fields.Integer()
    highest_seq = ma.fields.Integer()
    held = ma.fields.Integer()
    quarantined = ma.fields.Integer()
    forked = ma.fields.Integer()
    doubts = ma.fields.Integer(
        metadata={"description": "times it said that our log, or what we hold of it, is not what it saw"}
    )
    conflicting = ma.fields.Integer()
    raw = ma.fields.Integer()
    files_owed = ma.fields.Integer()
    is_owing = ma.fields.Boolean()


class PhonePageSchema(ma.Schema):
    """One page of phones; `next` is null on the last."""

    phones = ma.fields.List(ma.fields.Nested(PhoneSchema))
    next = ma.fields.UUID(allow_none=True)


class PhoneDetailSchema(ma.Schema):
    """One phone with what is missing in its chain, and its open items by id (at most 200 of a kind)."""

    health = ma.fields.Nested(PhoneSchema)
    missing = ma.fields.List(ma.fields.List(ma.fields.Integer()))
    held_items = ma.fields.List(ma.fields.UUID())
    quarantined_items = ma.fields.List(ma.fields.UUID())
    forked_items = ma.fields.List(ma.fields.UUID())
    doubt_items = ma.fields.List(ma.fields.UUID())


class CarriedOutcomeSchema(ma.Schema):
    """What became of one file: stored, begun, waiting, refused or absent (it could not be put in)."""

    evidence_id = ma.fields.UUID()
    outcome = ma.fields.String()
    problem = ma.fields.Dict(allow_none=True)


class ImportedSchema(ma.Schema):
    """What became of a bundle. The phone takes this answer as it takes that to a push."""

    bundle_id = ma.fields.UUID()
    device_id = ma.fields.UUID()
    volume = ma.fields.Integer()
    volumes = ma.fields.Integer()
    outcomes = ma.fields.List(ma.fields.Dict())
    files = ma.fields.List(ma.fields.Nested(CarriedOutcomeSchema))


_BUNDLE = {
    "requestBody": {
        "required": True,
        "description": "A rescue bundle, as a phone wrote it.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@blueprint.get("/devices/sync")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(PhoneQuerySchema, location="query")
@blueprint.response(200, PhonePageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List phones and what they owe; `is_owing=true` leaves out those that owe nothing."""
    found = phones.list_phones(**query)
    return {"phones": found, "next": found[-1].device_id if len(found) == query["limit"] else None}


@blueprint.get("/devices/<uuid:device_id>/sync")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.response(200, PhoneDetailSchema)
def one(device_id: UUID) -> phones.PhoneDetail:
    """Say what one phone has handed in, and what is missing, held, quarantined, forked or doubted."""
    return phones.open_phone(device_id)


@blueprint.post("/sync/rescue-bundles")
@requires_anybody
@blueprint.doc(**_BUNDLE)
@blueprint.response(200, ImportedSchema)
def take_bundle() -> rescue.Imported:
    """Take in what a phone could not send, whoever carries it. Safe to repeat; a bad one changes nothing."""
    request.max_content_length = MAX_BUNDLE_BYTES
    with tempfile.TemporaryFile(prefix="rescue-") as file:
        while piece := request.stream.read(PIECE):
            file.write(piece)
        file.seek(0)
        return rescue.import_bundle(file, store=current_store(), actor=current_actor(), now=current_time())
