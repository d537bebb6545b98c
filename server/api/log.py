"""The tamper-evident log: its newest signed head, proofs, and tiles for whoever keeps a copy."""

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from server.api.auth import current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.errors import NotFound
from server.models.transparency import LOGGED, LogCheckpoint
from server.workflows.transparency import proofs

blueprint = Blueprint("log", __name__, url_prefix="/log", description="The tamper-evident log")


class CheckpointSchema(ma.Schema):
    """The newest head: `note` is a C2SP checkpoint, signed by the server's key."""

    size = ma.fields.Integer()
    note = ma.fields.String()
    signed_at = ma.fields.AwareDateTime()


class ProofQuerySchema(ma.Schema):
    """About what."""

    id = ma.fields.UUID(required=True)
    kind = ma.fields.String(load_default=None, validate=validate.OneOf(LOGGED))


class LeafSchema(ma.Schema):
    """A leaf and its path. SHA-256 over salt and record is the entry; bytes are hexadecimal digits."""

    kind = ma.fields.String()
    subject_id = ma.fields.UUID()
    record = ma.fields.String(allow_none=True, metadata={"description": "null once erased"})
    salt = ma.fields.String(allow_none=True)
    entry = ma.fields.String()
    index = ma.fields.Integer()
    path = ma.fields.List(ma.fields.String())


class ProofsSchema(ma.Schema):
    """Every leaf about one thing, proven to one signed head (RFC 6962 section 2.1.1)."""

    checkpoint = ma.fields.String()
    size = ma.fields.Integer()
    leaves = ma.fields.List(ma.fields.Nested(LeafSchema))


class SinceSchema(ma.Schema):
    """The size of the head you hold."""

    size = ma.fields.Integer(required=True, validate=validate.Range(0, 2**62))


class GrowthSchema(ma.Schema):
    """That the newest head grew out of yours (RFC 6962 section 2.1.2)."""

    size = ma.fields.Integer()
    later_size = ma.fields.Integer()
    proof = ma.fields.List(ma.fields.String())
    checkpoint = ma.fields.String()


@blueprint.get("/checkpoint")
@requires()
@blueprint.response(200, CheckpointSchema)
def checkpoint() -> LogCheckpoint:
    """Return the newest signed head. Keep it: what grew out of it later can be proven, and nothing else."""
    return proofs.newest()


@blueprint.get("/proof")
@requires(Role.AUDITOR, Role.SUPERVISOR)
@blueprint.arguments(ProofQuerySchema, location="query")
@blueprint.response(200, ProofsSchema)
def proof(query: dict[str, Any]) -> dict[str, Any]:
    """Prove what was logged about an item, a piece of evidence, a decision or a finding."""
    proven = proofs.prove_subjects([query["id"]], kind=query["kind"], now=current_time())
    if not proven.leaves:
        raise NotFound("nothing-logged", "Nothing is logged under this id; a visit's file names what is.")
    return proofs.to_json(proven)


@blueprint.get("/consistency")
@requires()
@blueprint.arguments(SinceSchema, location="query")
@blueprint.response(200, GrowthSchema)
def consistency(query: dict[str, Any]) -> dict[str, Any]:
    """Prove that the log only grew since the head of this size."""
    grown = proofs.growth_since(query["size"])
    return {
        "size": grown.size,
        "later_size": grown.later_size,
        "proof": [one.hex() for one in grown.proof],
        "checkpoint": grown.checkpoint,
    }


@blueprint.get("/tiles/<int:level>/<int:number>")
@requires(Role.AUDITOR, Role.SUPERVISOR)
@blueprint.response(200, content_type="application/octet-stream")
def tile(level: int, number: int) -> Response:
    """Return up to 256 hashes of one level, one after the other (C2SP tlog-tiles)."""
    return Response(proofs.tile(level, number), content_type="application/octet-stream")
