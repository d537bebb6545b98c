"""What is stored, how long ago it was read back, and what of it is rotten."""

from typing import Any

import marshmallow as ma
from marshmallow import validate

from server.api.auth import requires
from server.api.transport import Blueprint
from server.authority import Role
from server.workflows.storage import rot
from server.workflows.storage.rot import State

blueprint = Blueprint(
    "storage", __name__, url_prefix="/storage", description="Whether stored evidence is what it was"
)

MAY_LOOK = (Role.AUDITOR, Role.ADMIN)


class StorageSchema(ma.Schema):
    """The whole store. Everything was read back since `oldest_check_at`; a round takes `round_days`."""

    objects = ma.fields.Integer()
    size_bytes = ma.fields.Integer()
    oldest_check_at = ma.fields.AwareDateTime(allow_none=True)
    round_days = ma.fields.Integer()
    rot = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.Integer(),
        metadata={"description": "How many objects are altered, missing or unreadable now."},
    )


class RotQuerySchema(ma.Schema):
    """Which rot: what is there now, or what was mended."""

    mended = ma.fields.Boolean(load_default=False)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class RottenEvidenceSchema(ma.Schema):
    """A piece of evidence whose bytes these were."""

    id = ma.fields.UUID()
    visit_id = ma.fields.UUID(allow_none=True)
    device_id = ma.fields.UUID()
    kind = ma.fields.String(allow_none=True)
    stored_at = ma.fields.AwareDateTime(allow_none=True)


class RotSchema(ma.Schema):
    """An object that is not what was stored: the key names the SHA-256 it had."""

    id = ma.fields.UUID(attribute="rot.id")
    key = ma.fields.String(attribute="rot.key")
    kind = ma.fields.String(attribute="rot.kind", metadata={"description": "altered, missing or unreadable"})
    found_at = ma.fields.AwareDateTime(attribute="rot.found_at")
    seen_at = ma.fields.AwareDateTime(attribute="rot.seen_at")
    mended_at = ma.fields.AwareDateTime(attribute="rot.mended_at", allow_none=True)
    size_bytes = ma.fields.Integer()
    found_bytes = ma.fields.Integer(attribute="rot.found_bytes", allow_none=True)
    found_sha256 = ma.fields.Function(lambda one: one.rot.found_sha256 and one.rot.found_sha256.hex())
    evidence = ma.fields.List(ma.fields.Nested(RottenEvidenceSchema))


class RotPageSchema(ma.Schema):
    """One page of rot, newest first; `next` is null on the last."""

    rot = ma.fields.List(ma.fields.Nested(RotSchema))
    next = ma.fields.UUID(allow_none=True)


@blueprint.get("")
@requires(*MAY_LOOK)
@blueprint.response(200, StorageSchema)
def whole() -> State:
    """Sum up the store."""
    return rot.state()


@blueprint.get("/rot")
@requires(*MAY_LOOK)
@blueprint.arguments(RotQuerySchema, location="query")
@blueprint.response(200, RotPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List what is not what was stored, with the visits it belongs to."""
    found = rot.rotten(**query)
    return {"rot": found, "next": found[-1].rot.id if len(found) == query["limit"] else None}
