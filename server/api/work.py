"""Work lists: what is due today, what is overdue, what is blocked and why; the week's report."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_time, requires
from server.api.report_forms import ByTeamSchema, ClientLineSchema
from server.api.transport import Blueprint, Day
from server.authority import Role
from server.models.deadlines import CaseClock
from server.pii import mask_name
from server.workflows import clocks, friday_report, worklists
from server.workflows.cases import find_client
from server.workflows.worklists import Chosen, Page

blueprint = Blueprint("work", __name__, description="Deadlines and work lists")
DESK = (Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
HANDS = validate.OneOf(["first", "second", "third"])


class ChosenSchema(ma.Schema):
    """Whose clocks, and of which rule; F3 chooses what an empty month opened on old cases."""

    rule = ma.fields.String(load_default=None, validate=validate.OneOf([*clocks.CASE_RULES, "F3"]))
    client = ma.fields.String(load_default=None, metadata={"description": "the client's reference"})
    hand = ma.fields.String(load_default=None, validate=HANDS)


class WorkQuerySchema(ChosenSchema):
    """Which list, and where the page starts."""

    list = ma.fields.String(load_default="due", validate=validate.OneOf(worklists.LISTS))
    after = ma.fields.String(load_default=None, validate=validate.Length(max=120))
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class ClockSchema(ma.Schema):
    """One deadline of one case."""

    rule = ma.fields.String()
    quotation = ma.fields.String(metadata={"description": "the rule's exact words"})
    opened_on = ma.fields.Date()
    opened_by = ma.fields.String(
        metadata={"description": "allocation, month (F3), contact, promise or letter"}
    )
    due_at = ma.fields.AwareDateTime()
    state = ma.fields.String(metadata={"description": "running, met, missed, capped or suspended"})
    because = ma.fields.String(metadata={"description": "why it does not push; late: met after its deadline"})
    is_provisional = ma.fields.Boolean(
        metadata={"description": "the calendar of a year on the way is not published; it pushes nobody"}
    )


class TaskSchema(ClockSchema):
    """A deadline in a list, with its case."""

    case_id = ma.fields.UUID()
    case_reference = ma.fields.String()
    client = ma.fields.String()
    hand = ma.fields.String()
    status_code = ma.fields.String()


class PauseSchema(ma.Schema):
    """Today nothing may be done with debtors (A12)."""

    because = ma.fields.String()
    until = ma.fields.Date(allow_none=True, metadata={"description": "null: no calendar tells"})


class WorkPageSchema(ma.Schema):
    """One page, the nearest deadline first; `next` is null on the last."""

    tasks = ma.fields.List(ma.fields.Nested(TaskSchema))
    pause = ma.fields.Nested(PauseSchema, allow_none=True)
    next = ma.fields.String(allow_none=True)


class WeeklySchema(ma.Schema):
    """The week's report and when it is due (F12)."""

    rule = ma.fields.String()
    first = ma.fields.Date()
    last = ma.fields.Date()
    due_at = ma.fields.AwareDateTime()
    is_provisional = ma.fields.Boolean()


class WorkCountsSchema(ma.Schema):
    """How long each list is."""

    due = ma.fields.Integer()
    overdue = ma.fields.Integer()
    capped = ma.fields.Integer()
    suspended = ma.fields.Integer()
    provisional = ma.fields.Integer()
    weekly = ma.fields.Nested(WeeklySchema)


class CaseClocksSchema(ma.Schema):
    """Every clock of one case."""

    clocks = ma.fields.List(ma.fields.Nested(ClockSchema))


class ReportQuerySchema(ma.Schema):
    """Which week (any day of it), of which client."""

    week = Day(load_default=None)
    client = ma.fields.String(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=100, validate=validate.Range(1, 500))


class LineSchema(ClientLineSchema):
    """A case in which money or a promise moved: whose it is, amount, days overdue, measures."""

    client = ma.fields.String()


class ReportSchema(ma.Schema):
    """The week's repayments (F12)."""

    week = ma.fields.Nested(WeeklySchema)
    totals = ma.fields.List(ma.fields.Nested(ByTeamSchema))
    lines = ma.fields.List(ma.fields.Nested(LineSchema))
    next = ma.fields.UUID(allow_none=True)


@blueprint.get("/work")
@requires(*DESK)
@blueprint.arguments(WorkQuerySchema, location="query")
@blueprint.response(200, WorkPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List what is due today, overdue, or blocked, the nearest deadline first."""
    found = worklists.work(
        query["list"], _chosen(query), after=query["after"], limit=query["limit"], now=current_time()
    )
    return _render(found)


@blueprint.get("/work/counts")
@requires(*DESK)
@blueprint.arguments(ChosenSchema, location="query")
@blueprint.response(200, WorkCountsSchema)
def count(query: dict[str, Any]) -> dict[str, Any]:
    """Count every list, and say when this week's report is due."""
    week, due_at = friday_report.due_this_week(current_time())
    return {**worklists.counts(_chosen(query), now=current_time()), "weekly": _weekly(week, due_at)}


@blueprint.get("/work/friday-report")
@requires(Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)
@blueprint.arguments(ReportQuerySchema, location="query")
@blueprint.response(200, ReportSchema)
def report(query: dict[str, Any]) -> dict[str, Any]:
    """Return a week's repayments per client and team, with one line a case (F12)."""
    found = friday_report.friday_report(
        query["week"],
        client_id=_client_id(query["client"]),
        after=query["after"],
        limit=query["limit"],
        now=current_time(),
    )
    lines = [{**line._mapping, "debtor_name": mask_name(line.debtor_name)} for line in found.lines]
    return {
        "week": _weekly(found.week, found.due_at),
        "totals": [total._mapping for total in found.totals],
        "lines": lines,
        "next": found.next,
    }


@blueprint.get("/cases/<uuid:case_id>/clocks")
@requires(*DESK)
@blueprint.response(200, CaseClocksSchema)
def of_case(case_id: UUID) -> dict[str, Sequence[Any]]:
    """Return every clock of a case with the words of its rule."""
    return {"clocks": [_clock(clock) for clock in worklists.clocks_on(case_id)]}


def _chosen(query: dict[str, Any]) -> Chosen:
    return Chosen(rule=query["rule"], client_id=_client_id(query["client"]), hand=query["hand"])


def _client_id(reference: str | None) -> UUID | None:
    return None if reference is None else find_client(reference).id


def _weekly(week: Any, due_at: Any) -> dict[str, Any]:
    return {**week._asdict(), "rule": "F12", "due_at": due_at}


def _clock(clock: CaseClock) -> dict[str, Any]:
    names = [name for name in ClockSchema().fields if name != "quotation"]
    return {name: getattr(clock, name) for name in names} | {"quotation": worklists.words_of(clock.rule)}


def _render(found: Page) -> dict[str, Any]:
    tasks = [
        {
            **_clock(row.CaseClock),
            "case_id": row.Case.id,
            "case_reference": row.Case.reference,
            "client": row.Client.reference,
            "hand": row.Case.hand,
            "status_code": row.Case.status_code,
        }
        for row in found.rows
    ]
    return {"tasks": tasks, "pause": found.pause, "next": found.next}
