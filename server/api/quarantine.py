"""What could not be applied: listed, looked at, released, set aside, corrected.

Lists carry no bytes; one entry does, and its reading is logged.
"""

from datetime import timedelta
from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint, Instant
from server.authority import Role
from server.models.quarantine import KINDS, DeskDecision
from server.workflows.quarantine_desk import correcting, deciding, entries, looking
from server.workflows.quarantine_desk.correcting import NewRecord
from server.workflows.quarantine_desk.deciding import Ruling
from server.workflows.quarantine_desk.entries import Ref, Wanted

blueprint = Blueprint(
    "quarantine", __name__, url_prefix="/quarantine", description="Items nobody could apply"
)

MAY_LOOK = (Role.SUPERVISOR, Role.AUDITOR)
_DOWNLOAD = {
    "responses": {
        "200": {
            "description": "The exact bytes.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    }
}


class EntryQuerySchema(ma.Schema):
    """Which entries, and after which one the page starts."""

    kind = ma.fields.String(load_default=None, validate=validate.OneOf(KINDS))
    device_id = ma.fields.UUID(load_default=None)
    staff_id = ma.fields.UUID(load_default=None)
    problem = ma.fields.String(load_default=None, validate=validate.Length(1, 100))
    older_than_hours = ma.fields.Integer(load_default=None, validate=validate.Range(0, 100_000))
    after = ma.fields.String(load_default=None, validate=validate.Length(1, 300))
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class EntrySchema(ma.Schema):
    """One thing at the desk. `decisions`: how many there are about it; say so when you decide."""

    ref = ma.fields.String()
    kind = ma.fields.String(attribute="ref.kind")
    device_id = ma.fields.UUID(attribute="ref.device_id")
    item_id = ma.fields.UUID(attribute="ref.item_id")
    sha256 = ma.fields.Function(lambda entry: entry.ref.sha256.hex())
    staff_id = ma.fields.UUID()
    received_at = ma.fields.AwareDateTime()
    type = ma.fields.String(allow_none=True)
    visit_id = ma.fields.UUID(allow_none=True)
    flags = ma.fields.List(ma.fields.String())
    problem = ma.fields.String()
    size_bytes = ma.fields.Integer()
    decisions = ma.fields.Integer()


class EntryPageSchema(ma.Schema):
    """One page, oldest first; `next` is null on the last."""

    entries = ma.fields.List(ma.fields.Nested(EntrySchema))
    next = ma.fields.String(allow_none=True)


class HeapSchema(ma.Schema):
    """How many entries of one kind have one problem."""

    kind = ma.fields.String()
    problem = ma.fields.String()
    count = ma.fields.Integer()
    oldest = ma.fields.AwareDateTime()


class DeskSummarySchema(ma.Schema):
    """What lies at the desk, the largest heap first."""

    heaps = ma.fields.List(ma.fields.Nested(HeapSchema))


class DecisionSchema(ma.Schema):
    """One decision. `outcome` is what became of the entry by it."""

    id = ma.fields.UUID()
    ref = ma.fields.Function(lambda one: str(Ref(one.kind, one.device_id, one.item_id, one.sha256)))
    number = ma.fields.Integer()
    decision = ma.fields.String()
    reason = ma.fields.String()
    decided_by = ma.fields.UUID()
    decided_at = ma.fields.AwareDateTime()
    outcome = ma.fields.String()
    problem = ma.fields.Dict(allow_none=True)
    correction_id = ma.fields.UUID(allow_none=True)


class DecisionQuerySchema(ma.Schema):
    """Where the page starts."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class DecisionPageSchema(ma.Schema):
    """One page of decisions, newest first; `next` is null on the last."""

    decisions = ma.fields.List(ma.fields.Nested(DecisionSchema))
    next = ma.fields.UUID(allow_none=True)


class NeighbourSchema(ma.Schema):
    """An item beside this one in the phone's chain: before (-1), in the same place (0) or after (1)."""

    step = ma.fields.Integer()
    item_id = ma.fields.UUID()
    seq = ma.fields.Integer()
    sha256 = ma.fields.Function(lambda one: one.sha256.hex())
    prev = ma.fields.Function(lambda one: one.prev and one.prev.hex())
    type = ma.fields.String()
    outcome = ma.fields.String()


class LookSchema(ma.Schema):
    """One entry with its bytes as text and, where they are JSON, parsed. `fault`: what is wrong with them."""

    ref = ma.fields.String()
    staff_id = ma.fields.UUID()
    received_at = ma.fields.AwareDateTime()
    outcome = ma.fields.String()
    problem = ma.fields.Dict(allow_none=True)
    flags = ma.fields.List(ma.fields.String())
    receipt = ma.fields.Dict()
    seq = ma.fields.Integer(allow_none=True)
    prev = ma.fields.Function(lambda look: look.prev and look.prev.hex())
    payload_type = ma.fields.String(allow_none=True)
    size_bytes = ma.fields.Integer()
    text = ma.fields.String()
    is_cut = ma.fields.Boolean()
    json = ma.fields.Raw(allow_none=True)
    fault = ma.fields.Dict(allow_none=True)
    signature = ma.fields.String()
    neighbours = ma.fields.List(ma.fields.Nested(NeighbourSchema))
    decisions = ma.fields.List(ma.fields.Nested(DecisionSchema))


class RulingSchema(ma.Schema):
    """A decision, why, and how many decisions about it were seen before."""

    decision = ma.fields.String(required=True, validate=validate.OneOf(["retry", "accept", "set_aside"]))
    reason = ma.fields.String(required=True, validate=validate.Length(1, 4000))
    seen = ma.fields.Integer(required=True, validate=validate.Range(0, 100_000))


class HappenedSchema(ma.Schema):
    """Between which instants something happened."""

    earliest = Instant(required=True)
    latest = Instant(required=True)


class NewRecordSchema(ma.Schema):
    """What stands in the entry's place, with a body as its type has it."""

    type = ma.fields.String(required=True, validate=validate.Length(1, 64))
    body = ma.fields.Dict(required=True)
    happened = ma.fields.Nested(HappenedSchema, load_default=None, allow_none=True)
    reason = ma.fields.String(required=True, validate=validate.Length(1, 4000))
    seen = ma.fields.Integer(required=True, validate=validate.Range(0, 100_000))


@blueprint.get("")
@requires(*MAY_LOOK)
@blueprint.arguments(EntryQuerySchema, location="query")
@blueprint.response(200, EntryPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List what lies at the desk, oldest first: items quarantined or held, forks, doubts, conflicts, raw."""
    limit, after, hours = query.pop("limit"), query.pop("after"), query.pop("older_than_hours")
    before = None if hours is None else current_time() - timedelta(hours=hours)
    wanted = Wanted(**query, received_before=before)
    found = entries.list_entries(wanted, after=None if after is None else Ref.read(after), limit=limit)
    return {"entries": found, "next": str(found[-1].ref) if len(found) == limit else None}


@blueprint.get("/summary")
@requires(*MAY_LOOK)
@blueprint.response(200, DeskSummarySchema)
def summary() -> dict[str, Any]:
    """Count what lies at the desk, by kind and problem."""
    return {"heaps": entries.summary()}


@blueprint.get("/decisions")
@requires(*MAY_LOOK)
@blueprint.arguments(DecisionQuerySchema, location="query")
@blueprint.response(200, DecisionPageSchema)
def decisions(query: dict[str, Any]) -> dict[str, Any]:
    """List what was decided at the desk, newest first."""
    found = entries.list_decisions(**query)
    return {"decisions": found, "next": found[-1].id if len(found) == query["limit"] else None}


@blueprint.get("/<ref>")
@requires(*MAY_LOOK)
@blueprint.response(200, LookSchema)
def one(ref: str) -> looking.Look:
    """Return one entry, settled or not, with its bytes; the look is logged."""
    return looking.look(Ref.read(ref), actor=current_actor(), now=current_time())


@blueprint.get("/<ref>/content")
@requires(*MAY_LOOK)
@blueprint.doc(**_DOWNLOAD)
def content(ref: str) -> Response:
    """Download the exact bytes; the look is logged."""
    name = Ref.read(ref)
    response = Response(looking.content(name, actor=current_actor(), now=current_time()))
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers["Content-Disposition"] = f'attachment; filename="{name.sha256.hex()[:16]}.bin"'
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@blueprint.post("/<ref>/decision")
@requires(Role.SUPERVISOR)
@blueprint.arguments(RulingSchema)
@blueprint.response(200, DecisionSchema)
def decide(body: dict[str, Any], ref: str) -> DeskDecision:
    """Try an entry again, accept it although something is wrong, or set it aside. Safe to repeat."""
    return deciding.decide(Ref.read(ref), Ruling(**body), actor=current_actor(), now=current_time())


@blueprint.post("/<ref>/correction")
@requires(Role.SUPERVISOR)
@blueprint.arguments(NewRecordSchema)
@blueprint.response(200, DecisionSchema)
def correct(body: dict[str, Any], ref: str) -> DeskDecision:
    """Put a record of the office's own in an entry's place; the entry itself stays. Safe to repeat."""
    happened = body["happened"] and (body["happened"]["earliest"], body["happened"]["latest"])
    new = NewRecord(body["type"], body["body"], happened)
    ruling = Ruling("correct", body["reason"], body["seen"])
    return correcting.correct(Ref.read(ref), new, ruling, actor=current_actor(), now=current_time())
