"""The rules for everybody to read: catalogue with quotations, packs with sources, replay."""

from datetime import date
from typing import Any

import marshmallow as ma
from marshmallow import validate

from server.api.assignments import VerdictSchema
from server.api.auth import requires
from server.api.transport import Blueprint
from server.authority import Role
from server.workflows import replay, rulebook

blueprint = Blueprint("rules", __name__, description="Rules, their sources, and replay")
KEPT_BY = ("check", "step", "not built")


class RuleQuerySchema(ma.Schema):
    """Which rows of the catalogue."""

    of_class = ma.fields.String(data_key="class", validate=validate.OneOf(list("ABCDEFGHIJKX")))
    kept_by = ma.fields.String(validate=validate.OneOf(KEPT_BY))


class RuleSchema(ma.Schema):
    """One rule: its words, and where it is kept."""

    id = ma.fields.String()
    line = ma.fields.Integer(allow_none=True, metadata={"description": "line of the source document"})
    classes = ma.fields.List(ma.fields.String())
    quotation = ma.fields.String()
    meaning = ma.fields.String()
    note = ma.fields.String()
    kept_by = ma.fields.String(validate=validate.OneOf(KEPT_BY))
    place = ma.fields.String(
        allow_none=True,
        metadata={"description": "the module that keeps it, or the pack that asks for it"},
    )
    reason = ma.fields.String(allow_none=True, metadata={"description": "why it is not built"})


class RulesSchema(ma.Schema):
    """The catalogue in the order of the source document."""

    rules = ma.fields.List(ma.fields.Nested(RuleSchema))


class PacksSchema(ma.Schema):
    """Every pack with every parameter and its source."""

    packs = ma.fields.List(ma.fields.Dict(keys=ma.fields.String()))


class ReplaySchema(ma.Schema):
    """One decision, or those of a month page by page, under packs such as cn.law+cn.house@2+client.bank@1.

    Values are those of the day of the visit, or of the day `on`. `is_summary`: count the whole month instead.
    """

    decision_id = ma.fields.UUID()
    month = ma.fields.Date(format="%Y-%m", validate=validate.Range(date(2000, 1, 1), date(2100, 1, 1)))
    pack = ma.fields.String(required=True, validate=validate.Length(1, 500))
    with_drafts = ma.fields.Boolean(load_default=False)
    on = ma.fields.Date(load_default=None, validate=validate.Range(date(2000, 1, 1), date(2100, 1, 1)))
    is_summary = ma.fields.Boolean(load_default=False)
    differing_only = ma.fields.Boolean(load_default=False)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=200, validate=validate.Range(1, 1000))

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


class SummarySchema(ma.Schema):
    """Counts over the decisions that were judged. By rule: where it newly speaks, and where no longer."""

    judged = ma.fields.Integer()
    differing = ma.fields.Integer()
    newly_blocked = ma.fields.Integer()
    newly_allowed = ma.fields.Integer(metadata={"description": "something blocked, and nothing does now"})
    unreadable = ma.fields.Integer(metadata={"description": "decisions whose facts cannot be judged again"})
    newly = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())
    no_longer = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())


class ReplayPageSchema(ma.Schema):
    """Replayed decisions, oldest first; `next` is null on the last page. Counts are those of the page."""

    decisions = ma.fields.List(ma.fields.Nested(ReplayedSchema))
    differing = ma.fields.Integer()
    summary = ma.fields.Nested(SummarySchema)
    next = ma.fields.UUID(allow_none=True)


@blueprint.get("/rules")
@requires()
@blueprint.arguments(RuleQuerySchema, location="query")
@blueprint.response(200, RulesSchema)
def list_rules(query: dict[str, Any]) -> dict[str, Any]:
    """List every rule with its exact quotation and the place where it is kept, or why it is not built."""
    found = rulebook.list_rules(**query)
    about = ("id", "line", "classes", "quotation", "meaning", "note")
    return {
        "rules": [
            {name: getattr(rule, name) for name in about}
            | {"kept_by": place.kept_by, "place": place.place, "reason": place.reason}
            for rule, place in found
        ]
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
def replay_decisions(body: dict[str, Any]) -> dict[str, Any]:
    """Judge stored decisions again: the same facts under the named packs, shipped or entered."""
    rules = replay.rules_named(body["pack"], with_drafts=body["with_drafts"], on=body["on"])
    last = None
    if "decision_id" in body:
        page = [replay.replay(body["decision_id"], rules=rules)]
        summary = replay.Summary()
        summary.add(page[0])
    elif body["is_summary"]:
        page, summary = [], replay.summarise(body["month"], rules=rules)
    else:
        page, summary, last = replay.replay_page(
            body["month"], rules=rules, after=body["after"], limit=body["limit"]
        )
    shown = [one for one in page if one.differs or not body["differing_only"]]
    return {
        "decisions": [
            {
                "decision_id": one.decision_id,
                "differs": one.differs,
                "was": one.was,
                "would_be": one.would_be.to_json(),
            }
            for one in shown
        ],
        "differing": summary.differing,
        "summary": summary,
        "next": last,
    }
