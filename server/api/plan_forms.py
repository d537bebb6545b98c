"""The forms of plans: what is asked for, and what is shown."""

from typing import Any

import marshmallow as ma
from marshmallow import validate

from server.api.transport import Day
from server.models.plans import LEFT_OUT_WHYS, PLAN_PHASES, PLAN_STATES, STOP_DUES

LOCAL_TIME = {"description": "local time of the day, such as 09:00"}


class PlaceSchema(ma.Schema):
    """A point on WGS-84."""

    latitude = ma.fields.Float(required=True, allow_nan=False, validate=validate.Range(-89, 89))
    longitude = ma.fields.Float(required=True, allow_nan=False, validate=validate.Range(-180, 180))


class HoursSchema(ma.Schema):
    """From when until when."""

    from_ = ma.fields.Time(required=True, data_key="from", attribute="from", metadata=LOCAL_TIME)
    until = ma.fields.Time(required=True, metadata=LOCAL_TIME)


class CaseHoursSchema(ma.Schema):
    """Hours of one case's own, as agreed with the debtor, or a visit of another length."""

    case_id = ma.fields.UUID(required=True)
    from_ = ma.fields.Time(
        load_default=None, allow_none=True, data_key="from", attribute="from", metadata=LOCAL_TIME
    )
    until = ma.fields.Time(load_default=None, allow_none=True, metadata=LOCAL_TIME)
    minutes = ma.fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=validate.Range(5, 600)
    )


class CrewSchema(ma.Schema):
    """Who goes together, when they work, from where. `end` null: the day ends at the last visit."""

    members = ma.fields.List(ma.fields.UUID(), required=True, validate=validate.Length(1, 20))
    lead = ma.fields.UUID(required=True)
    works = ma.fields.Nested(HoursSchema, required=True)
    start = ma.fields.Nested(PlaceSchema, required=True)
    end = ma.fields.Nested(PlaceSchema, load_default=None, allow_none=True)
    breaks = ma.fields.List(
        ma.fields.Nested(HoursSchema), load_default=list, validate=validate.Length(max=10)
    )
    most_stops = ma.fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=validate.Range(1, 100)
    )


class NewPlanSchema(ma.Schema):
    """A day to plan. `kmh`: as the crow flies; `overhead_minutes`: on top of every way (parking, stairs)."""

    day = Day(required=True)
    teams = ma.fields.List(ma.fields.Nested(CrewSchema), required=True, validate=validate.Length(1, 200))
    case_ids = ma.fields.List(
        ma.fields.UUID(), load_default=None, allow_none=True, validate=validate.Length(1, 5_000)
    )
    client = ma.fields.String(load_default=None, allow_none=True, validate=validate.Length(1, 100))
    within_km = ma.fields.Integer(load_default=50, strict=True, validate=validate.Range(1, 500))
    most_candidates = ma.fields.Integer(load_default=3_000, strict=True, validate=validate.Range(1, 5_000))
    minutes = ma.fields.Integer(
        load_default=60,
        strict=True,
        validate=validate.Range(5, 600),
        metadata={"description": "how long a visit is reserved for"},
    )
    with_approval = ma.fields.Boolean(
        load_default=False,
        metadata={"description": "plan cases too that a supervisor has to approve when they are accepted"},
    )
    kmh = ma.fields.Float(load_default=15.0, allow_nan=False, validate=validate.Range(1, 200))
    overhead_minutes = ma.fields.Integer(load_default=5, strict=True, validate=validate.Range(0, 120))
    hours = ma.fields.List(
        ma.fields.Nested(CaseHoursSchema), load_default=list, validate=validate.Length(max=5_000)
    )


class ProgressSchema(ma.Schema):
    """How far it is: cases judged, then candidates settled."""

    phase = ma.fields.String(validate=validate.OneOf(PLAN_PHASES))
    done = ma.fields.Integer()
    total = ma.fields.Integer()


class TravelSchema(ma.Schema):
    """How long a way was taken to be."""

    kmh = ma.fields.Float()
    overhead_minutes = ma.fields.Integer()


class TeamDaySchema(ma.Schema):
    """One team's day in sums; `fault` says why it may not go at all."""

    no = ma.fields.Integer()
    members = ma.fields.List(ma.fields.UUID())
    lead = ma.fields.UUID()
    stops = ma.fields.Integer()
    metres = ma.fields.Integer()
    travel_minutes = ma.fields.Integer()
    sets_out = ma.fields.String(allow_none=True, metadata={"format": "date-time"})
    is_back = ma.fields.String(allow_none=True, metadata={"format": "date-time"})
    fault = ma.fields.String(allow_none=True)


def _counts(about: str) -> Any:
    described = {"description": about}
    return ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer(), metadata=described)


class SumsSchema(ma.Schema):
    """A plan at a glance. What falls due first is planned first; inside one of `dues` the way decides."""

    stops = ma.fields.Integer()
    left_out = ma.fields.Integer()
    metres = ma.fields.Integer()
    travel_minutes = ma.fields.Integer()
    dues = _counts("stops by how pressing they are")
    whys = _counts("left out by reason")
    rules = _counts("left out by the rule that speaks")


class PlanSchema(ma.Schema):
    """A plan; `sums` is null until it is ready."""

    id = ma.fields.UUID()
    day = ma.fields.Date()
    state = ma.fields.String(validate=validate.OneOf(PLAN_STATES))
    fault = ma.fields.String()
    progress = ma.fields.Nested(ProgressSchema)
    travel = ma.fields.Nested(TravelSchema)
    minutes = ma.fields.Integer()
    with_approval = ma.fields.Boolean()
    teams = ma.fields.List(ma.fields.Nested(TeamDaySchema))
    sums = ma.fields.Nested(SumsSchema, allow_none=True)
    requested_by = ma.fields.UUID()
    requested_at = ma.fields.AwareDateTime()
    started_at = ma.fields.AwareDateTime(allow_none=True)
    finished_at = ma.fields.AwareDateTime(allow_none=True)


class PlanQuerySchema(ma.Schema):
    """Which plans, and where the page starts."""

    day = Day(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=20, validate=validate.Range(1, 100))


class PlanPageSchema(ma.Schema):
    """One page, newest first; `next` is null on the last."""

    plans = ma.fields.List(ma.fields.Nested(PlanSchema))
    next = ma.fields.UUID(allow_none=True)


class StopQuerySchema(ma.Schema):
    """Which stops, and after which `place` the page starts."""

    team_no = ma.fields.Integer(load_default=None, validate=validate.Range(0, 1_000))
    after = ma.fields.Integer(load_default=None, validate=validate.Range(0, 1_000_000))
    limit = ma.fields.Integer(load_default=100, validate=validate.Range(1, 500))


class StopSchema(ma.Schema):
    """A proposed visit: the way to it, how pressing it is, and what became of it."""

    id = ma.fields.UUID()
    place = ma.fields.Integer()
    team_no = ma.fields.Integer()
    case_id = ma.fields.UUID()
    address_id = ma.fields.UUID()
    arrives_at = ma.fields.AwareDateTime()
    leaves_at = ma.fields.AwareDateTime()
    metres = ma.fields.Integer(metadata={"description": "from the stop before, or from the start"})
    travel_minutes = ma.fields.Integer()
    waits_minutes = ma.fields.Integer(metadata={"description": "a break, or until the visit is allowed"})
    due = ma.fields.String(validate=validate.OneOf(STOP_DUES))
    due_at = ma.fields.AwareDateTime(allow_none=True)
    approval_rule = ma.fields.String(metadata={"description": "why a supervisor has to accept it, or empty"})
    evidence_entry_id = ma.fields.UUID(allow_none=True)
    assignment_id = ma.fields.UUID(allow_none=True)
    accepted_at = ma.fields.AwareDateTime(allow_none=True)
    accepted_by = ma.fields.UUID(allow_none=True)
    refused_at = ma.fields.AwareDateTime(allow_none=True)
    refusal = ma.fields.Dict(keys=ma.fields.String(), allow_none=True)


class StopPageSchema(ma.Schema):
    """One page in the order of the plan; `next` is null on the last."""

    stops = ma.fields.List(ma.fields.Nested(StopSchema))
    next = ma.fields.Integer(allow_none=True)


class LeftOutQuerySchema(ma.Schema):
    """Which reasons, and after which case the page starts."""

    why = ma.fields.String(load_default=None, validate=validate.OneOf(LEFT_OUT_WHYS))
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=100, validate=validate.Range(1, 500))


class LeftOutSchema(ma.Schema):
    """A candidate that is no stop. `allowed_from`: when a rule that blocks it ends by itself."""

    case_id = ma.fields.UUID()
    why = ma.fields.String(validate=validate.OneOf(LEFT_OUT_WHYS))
    explanation = ma.fields.String()
    rule = ma.fields.String()
    slug = ma.fields.String()
    allowed_from = ma.fields.AwareDateTime(allow_none=True)


class LeftOutPageSchema(ma.Schema):
    """One page in the order of case ids; `next` is null on the last."""

    left_out = ma.fields.List(ma.fields.Nested(LeftOutSchema))
    next = ma.fields.UUID(allow_none=True)


class AcceptanceSchema(ma.Schema):
    """Which stops: by id, or whole teams, or (neither named) all of the plan."""

    stop_ids = ma.fields.List(
        ma.fields.UUID(), load_default=None, allow_none=True, validate=validate.Length(1, 5_000)
    )
    team_nos = ma.fields.List(
        ma.fields.Integer(strict=True, validate=validate.Range(0, 1_000)),
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, 200),
    )
    approval_reason = ma.fields.String(load_default="", validate=validate.Length(max=2000))


class OutcomeSchema(ma.Schema):
    """What became of a stop: an assignment or a refusal; one by the rules holds the whole verdict."""

    stop_id = ma.fields.UUID()
    case_id = ma.fields.UUID()
    assignment_id = ma.fields.UUID(allow_none=True)
    refusal = ma.fields.Dict(keys=ma.fields.String(), allow_none=True)


class AcceptedSchema(ma.Schema):
    """What became of the chosen stops; `remaining` of them were not tried yet: send the same again."""

    outcomes = ma.fields.List(ma.fields.Nested(OutcomeSchema))
    remaining = ma.fields.Integer()
