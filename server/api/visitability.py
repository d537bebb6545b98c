"""Which cases may be visited on a day, by whom, and if not, since which rule and from when?"""

from datetime import timedelta
from typing import Any

import marshmallow as ma
from marshmallow import validate

from server.api.assignments import ReasonSchema
from server.api.auth import current_time, requires
from server.api.transport import Blueprint, Day
from server.authority import Role
from server.workflows.cases import find_client
from server.workflows.eligibility import Answer, which_cases, who
from server.workflows.standing_packs import active_pack, packs_of_clients
from server.workflows.visitability import (
    Counts,
    Filter,
    a_counted_page,
    a_day,
    a_page,
    start_of,
    team_max,
)

blueprint = Blueprint("visitability", __name__, description="Which cases may be visited")
STATUSES = ["may", "approval", "blocked"]
INSTANT = {"format": "date-time"}


class QuestionSchema(ma.Schema):
    """About which cases (all open ones when neither ids nor a client are named), for which day."""

    day = Day(required=True)
    case_ids = ma.fields.List(
        ma.fields.UUID(), load_default=None, allow_none=True, validate=validate.Length(1, 5_000)
    )
    client = ma.fields.String(load_default=None, allow_none=True, validate=validate.Length(1, 100))
    duration_minutes = ma.fields.Integer(load_default=60, validate=validate.Range(5, 600))
    status = ma.fields.String(load_default=None, allow_none=True, validate=validate.OneOf(STATUSES))
    rule = ma.fields.String(load_default=None, allow_none=True, validate=validate.Length(1, 12))
    with_counts = ma.fields.Boolean(
        load_default=False,
        metadata={"description": "count every case asked about: some seconds for 100,000"},
    )
    after = ma.fields.UUID(load_default=None, allow_none=True)
    limit = ma.fields.Integer(load_default=100, validate=validate.Range(1, 500))


class PlainReasonSchema(ReasonSchema):
    """A rule that speaks; without the facts of the case, which POST /assignments/check gives."""

    class Meta:
        """Leave the facts out."""

        exclude = ("facts",)


class AnswerSchema(ma.Schema):
    """One case. `first_start`: on that day (null when blocked); `allowed_from`: on that day or any later."""

    case_id = ma.fields.UUID()
    debtor_id = ma.fields.UUID()
    address_id = ma.fields.UUID(allow_none=True)
    status = ma.fields.String(validate=validate.OneOf(STATUSES))
    first_start = ma.fields.AwareDateTime(allow_none=True)
    allowed_from = ma.fields.AwareDateTime(allow_none=True)
    budget_left = ma.fields.Integer()
    evidence_entry_id = ma.fields.UUID(allow_none=True)
    is_hardship = ma.fields.Boolean()
    team_max = ma.fields.Integer()
    reasons = ma.fields.List(ma.fields.Nested(PlainReasonSchema))


class CountsSchema(ma.Schema):
    """How many cases have which status, and in how many each rule speaks."""

    statuses = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())
    rules = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())


class PageSchema(ma.Schema):
    """One page in the order of case ids; `next` is null on the last."""

    day = ma.fields.Date()
    cases = ma.fields.List(ma.fields.Nested(AnswerSchema))
    counts = ma.fields.Nested(CountsSchema, allow_none=True)
    next = ma.fields.UUID(allow_none=True)


class DaySchema(ma.Schema):
    """Which day; today when none is named."""

    day = Day(load_default=None, allow_none=True)


class StretchSchema(ma.Schema):
    """A stretch of time in which somebody is free."""

    start = ma.fields.AwareDateTime()
    end = ma.fields.AwareDateTime()


class VisitorSchema(ma.Schema):
    """A visitor's day; a trainee may go as the second member only (G5, G17)."""

    staff_id = ma.fields.UUID()
    can_lead = ma.fields.Boolean()
    is_qualified = ma.fields.Boolean()
    is_trainee = ma.fields.Boolean()
    free = ma.fields.List(ma.fields.Nested(StretchSchema))


class VisitorsSchema(ma.Schema):
    """Everybody who visits, on one day."""

    day = ma.fields.Date()
    visitors = ma.fields.List(ma.fields.Nested(VisitorSchema))


@blueprint.post("/visitability")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(QuestionSchema)
@blueprint.response(200, PageSchema)
def ask(body: dict[str, Any]) -> dict[str, Any]:
    """Say of each case whether a visit may take place on a day, and if not, since which rule until when.

    Nothing is stored or reserved. `counts` cover all cases asked about, whatever `status` and `rule` show.
    """
    now = current_time()
    day = a_day(body["day"], now=now, pack=active_pack(now))
    at = start_of(day, now=now, pack=active_pack(now))
    pack, of_clients = active_pack(at), packs_of_clients(at)
    answers = which_cases(
        day=day,
        now=now,
        pack=pack,
        of_clients=of_clients,
        case_ids=body["case_ids"],
        client_id=body["client"] and find_client(body["client"]).id,
        duration=timedelta(minutes=body["duration_minutes"]),
        after=body["after"],
    )
    shown = Filter(body["status"], body["rule"])
    counts: Counts | None = None
    if body["with_counts"]:
        page, counts = a_counted_page(answers, shown=shown, limit=body["limit"])
    else:
        page = a_page(answers, shown=shown, limit=body["limit"])
    cases = [
        _shown(answer) | {"team_max": team_max(answer, of_clients.get(answer.client_id, pack))}
        for answer in page.answers
    ]
    return {"day": body["day"], "cases": cases, "counts": counts, "next": page.next}


@blueprint.get("/visitability/visitors")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(DaySchema, location="query")
@blueprint.response(200, VisitorsSchema)
def visitors(query: dict[str, Any]) -> dict[str, Any]:
    """Say who can visit on a day, in which role, and when they are free."""
    now = current_time()
    pack = active_pack(now)
    day = a_day(query["day"], now=now, pack=pack)
    found = [
        {
            "staff_id": one.staff_id,
            "can_lead": one.can_lead,
            "is_qualified": one.is_qualified,
            "is_trainee": one.is_trainee,
            "free": [{"start": start, "end": end} for start, end in one.free],
        }
        for one in who(day=day, now=now, pack=pack)
    ]
    return {"day": day, "visitors": found}


def _shown(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in AnswerSchema().fields if hasattr(answer, name)}
