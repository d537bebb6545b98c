"""Client overlays of the rules: entered, shown beside what they change, withdrawn."""

from typing import Any

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.models.packs import EnteredPack
from server.workflows import overlay_effects, overlays
from server.workflows.overlays import NewOverlay
from server.workflows.rulebook import shown
from server.workflows.standing_packs import read_entered

blueprint = Blueprint("packs", __name__, description="Client overlays of the rules")


class NewOverlaySchema(ma.Schema):
    """An overlay as TOML: id, version, layer = "client", timezone, instrument and [parameters].

    It may only tighten what the shipped packs say. Without `client_id` it binds every client's cases.
    """

    toml = ma.fields.String(required=True, validate=validate.Length(1, 50_000))
    client_id = ma.fields.UUID(load_default=None, allow_none=True)
    note = ma.fields.String(load_default="", validate=validate.Length(max=2000))


class OverlaySchema(ma.Schema):
    """One version of an overlay; `is_standing` is false once it was withdrawn or replaced."""

    id = ma.fields.String()
    version = ma.fields.Integer()
    client_id = ma.fields.UUID(allow_none=True)
    note = ma.fields.String()
    toml = ma.fields.String()
    pack = ma.fields.Dict(keys=ma.fields.String())
    is_standing = ma.fields.Boolean()
    entered_by = ma.fields.UUID()
    entered_at = ma.fields.AwareDateTime()
    withdrawn_by = ma.fields.UUID(allow_none=True)
    withdrawn_at = ma.fields.AwareDateTime(allow_none=True)
    withdrawn_because = ma.fields.String()


class ChangeSchema(ma.Schema):
    """A parameter's value without and with the overlay."""

    parameter = ma.fields.String()
    was = ma.fields.Raw(allow_none=True)
    becomes = ma.fields.Raw(allow_none=True)


class OverlayEffectSchema(ma.Schema):
    """What entering would change, with the values of the day on which all of them have begun.

    `decisions` were judged again, of the last 30 days; `rules` counts where each newly speaks. Of the open
    `assignments`, `refused` and `needing_approval` would be cancelled (the first 200 are named).
    `is_complete` is false when there are too many to judge all.
    """

    as_of = ma.fields.Date()
    changes = ma.fields.List(ma.fields.Nested(ChangeSchema))
    decisions = ma.fields.Integer()
    differing = ma.fields.Integer()
    newly_blocked = ma.fields.Integer()
    is_complete = ma.fields.Boolean()
    rules = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())
    assignments = ma.fields.Integer()
    refused = ma.fields.List(ma.fields.UUID())
    needing_approval = ma.fields.List(ma.fields.UUID())


class OverlayQuerySchema(ma.Schema):
    """Whose overlays, and where the page starts."""

    client_id = ma.fields.UUID(load_default=None)
    after = ma.fields.String(load_default="", validate=validate.Length(max=200))
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class OverlayPageSchema(ma.Schema):
    """The newest version of each overlay, in the order of ids; `next` is null on the last page."""

    overlays = ma.fields.List(ma.fields.Nested(OverlaySchema))
    next = ma.fields.String(allow_none=True)


class OverlayHistorySchema(ma.Schema):
    """Every version of one overlay, the newest first."""

    versions = ma.fields.List(ma.fields.Nested(OverlaySchema))


class OverlayWithdrawalSchema(ma.Schema):
    """Why an overlay ends."""

    reason = ma.fields.String(required=True, validate=validate.Length(1, 2000))


@blueprint.post("/rules/overlays/preview")
@requires(Role.ADMIN, Role.SUPERVISOR)
@blueprint.arguments(NewOverlaySchema)
@blueprint.response(200, OverlayEffectSchema)
def preview(body: dict[str, Any]) -> Any:
    """Say what an overlay would change, and store nothing; refused as entering it would be."""
    _, effect = overlay_effects.preview(NewOverlay(**body), now=current_time())
    return effect


@blueprint.post("/rules/overlays")
@requires(Role.ADMIN)
@blueprint.arguments(NewOverlaySchema)
@blueprint.response(201, OverlaySchema)
@blueprint.alt_response(409, description="The version is taken, or the id is another client's.")
def enter(body: dict[str, Any]) -> dict[str, Any]:
    """Enter an overlay: it judges from now on. Open assignments that it forbids are cancelled."""
    row = overlays.enter(NewOverlay(**body), actor=current_actor(), now=current_time())
    return _shown(row, is_newest=True)


@blueprint.get("/rules/overlays")
@requires(Role.ADMIN, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(OverlayQuerySchema, location="query")
@blueprint.response(200, OverlayPageSchema)
def list_page(query: dict[str, Any]) -> dict[str, Any]:
    """List overlays, withdrawn ones too."""
    rows = overlays.list_overlays(**query)
    last = rows[-1].id if len(rows) == query["limit"] else None
    return {"overlays": [_shown(row, is_newest=True) for row in rows], "next": last}


@blueprint.get("/rules/overlays/<string:overlay_id>")
@requires(Role.ADMIN, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.response(200, OverlayHistorySchema)
def history(overlay_id: str) -> dict[str, Any]:
    """Show every version of an overlay: decisions quote the one they were judged with."""
    rows = overlays.history(overlay_id)
    return {"versions": [_shown(row, is_newest=row is rows[0]) for row in rows]}


@blueprint.post("/rules/overlays/<string:overlay_id>/withdraw")
@requires(Role.ADMIN)
@blueprint.arguments(OverlayWithdrawalSchema)
@blueprint.response(200, OverlaySchema)
def withdraw(body: dict[str, Any], overlay_id: str) -> dict[str, Any]:
    """End an overlay; the rules judge without it from now on."""
    row = overlays.withdraw(overlay_id, reason=body["reason"], actor=current_actor(), now=current_time())
    return _shown(row, is_newest=True)


def _shown(row: EnteredPack, *, is_newest: bool) -> dict[str, Any]:
    named = {name: getattr(row, name) for name in OverlaySchema().fields if hasattr(row, name)}
    is_standing = is_newest and row.withdrawn_at is None
    return named | {"pack": shown(read_entered(row.toml)), "is_standing": is_standing}
