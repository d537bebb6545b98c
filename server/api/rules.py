"""The rules for everybody to read: catalogue with quotations, packs with sources, replay."""

from datetime import date
from typing import Any

import marshmallow as ma
from marshmallow import validate

from server.api.assignments import VerdictSchema
from server.api.auth import requires
from server.api.transport import Blueprint
from server.authority import Role
from server.errors import Fault, Invalid
from server.workflows import rulebook

blueprint = Blueprint("rules", __name__, description="Rules, their sources, and replay")
MOST_REPLAYED = 1000


class RuleQuerySchema(ma.Schema):
    """Which rows of the catalogue."""

    of_class = ma.fields.String(data_key="class", validate=validate.OneOf(list("ABCDEFGHIJKX")))
    is_checked = ma.fields.Boolean(data_key="checked")


class RuleSchema(ma.Schema):
    """One rule: its words, and where it is kept."""

    id = ma.fields.String()
    line = ma.fields.Integer(allow_none=True, metadata={"description": "line of the source document"})
    classes = ma.fields.List(ma.fields.String())
    quotation = ma.fields.String()
    meaning = ma.fields.String()
    note = ma.fields.String()
    kept_by = ma.fields.String(metadata={"description": "check: the engine judges it; else who keeps it"})


class RulesSchema(ma.Schema):
    """The catalogue in the order of the source document."""

    rules = ma.fields.List(ma.fields.Nested(RuleSchema))


class PacksSchema(ma.Schema):
    """Every pack with every parameter and its source."""

    packs = ma.fields.List(ma.fields.Dict(keys=ma.fields.String()))


class ReplaySchema(ma.Schema):
    """One decision, or all of a month, under a pack such as cn.house@1."""

    decision_id = ma.fields.UUID()
    month = ma.fields.Date(format="%Y-%m", validate=validate.Range(date(2000, 1, 1), date(2100, 1, 1)))
    pack = ma.fields.String(required=True, validate=validate.Length(1, 200))

    @ma.validates_schema
    def one_of_both(self, body: dict[str, Any], **_: Any) -> None:
        """A decision or a month, not both."""
        if ("decision_id" in body) == ("month" in body):
            raise ma.ValidationError("Name either a decision_id or a month.")


class ReplayedSchema(ma.Schema):
    """What a decision was and what it would be."""

    decision_id = ma.fields.UUID()
    differs = ma.fields.Boolean()
    was = ma.fields.Nested(VerdictSchema)
    would_be = ma.fields.Nested(VerdictSchema)


class ReplayPageSchema(ma.Schema):
    """Replayed decisions, oldest first."""

    decisions = ma.fields.List(ma.fields.Nested(ReplayedSchema))
    differing = ma.fields.Integer()


@blueprint.get("/rules")
@requires()
@blueprint.arguments(RuleQuerySchema, location="query")
@blueprint.response(200, RulesSchema)
def list_rules(query: dict[str, Any]) -> dict[str, Any]:
    """List every rule with its exact quotation and the place where it is kept."""
    found = rulebook.list_rules(**query)
    names = [name for name in RuleSchema().fields if name != "kept_by"]
    return {
        "rules": [{name: getattr(rule, name) for name in names} | {"kept_by": place} for rule, place in found]
    }


@blueprint.get("/rules/packs")
@requires()
@blueprint.response(200, PacksSchema)
def list_packs() -> dict[str, Any]:
    """List the rule packs with every parameter, its rule, instrument, article and grade."""
    return {"packs": rulebook.list_packs()}


@blueprint.post("/rules/replay")
@requires(Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(ReplaySchema)
@blueprint.response(200, ReplayPageSchema)
def replay(body: dict[str, Any]) -> dict[str, Any]:
    """Judge stored decisions again: the same facts under the named pack."""
    if "decision_id" in body:
        replayed = [rulebook.replay(body["decision_id"], pack=body["pack"])]
    else:
        replayed = list(rulebook.replay_month(body["month"], pack=body["pack"], limit=MOST_REPLAYED + 1))
    if len(replayed) > MOST_REPLAYED:
        detail = f"The month has more than {MOST_REPLAYED} decisions; replay them one by one."
        raise Invalid("replay-too-long", detail, faults=[Fault("/month", detail)])
    return {
        "decisions": [
            {
                "decision_id": one.decision_id,
                "differs": one.differs,
                "was": one.was,
                "would_be": one.would_be.to_json(),
            }
            for one in replayed
        ],
        "differing": sum(one.differs for one in replayed),
    }
