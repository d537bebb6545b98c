"""The monthly assessment: what the rules would charge whom, as proposals with their evidence (class E)."""

import re
from datetime import date
from typing import Any
from uuid import UUID

from server.api.assessment_forms import (
    MONTH,
    AssessedMonthSchema,
    AttributionSchema,
    CloseSchema,
    DecideSchema,
    FraudRecordedSchema,
    FraudSchema,
    MissedClockSchema,
    MissedPageSchema,
    MissedQuerySchema,
    PeopleQuerySchema,
    PeopleSchema,
    PersonMonthSchema,
    ProposalDecisionSchema,
    ReplySchema,
    ReplyTextSchema,
    WageSchema,
    render_month,
    render_person,
)
from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.errors import Malformed, NotFound
from server.models.assessments import MissedClock
from server.workflows import missed_clocks
from server.workflows.assessments import closing, deciding, records, showing

blueprint = Blueprint("assessments", __name__, description="The monthly assessment, as proposals")
READERS = (Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)


@blueprint.get("/assessments/<string:month>")
@requires(*READERS)
@blueprint.response(200, AssessedMonthSchema)
def of_month(month: str) -> dict[str, Any]:
    """Return a month's sums per branch: closed, or a preview of what is known now."""
    return render_month(showing.summary(_first_day(month)))


@blueprint.get("/assessments/<string:month>/people")
@requires(*READERS)
@blueprint.arguments(PeopleQuerySchema, location="query")
@blueprint.response(200, PeopleSchema)
def people(query: dict[str, Any], month: str) -> dict[str, Any]:
    """List the people against whom something is held, with every proposal and its evidence."""
    found = showing.people(_first_day(month), **query)
    last = found[-1].staff.id if len(found) == query["limit"] else None
    return {"people": [render_person(one) for one in found], "next": last}


@blueprint.get("/assessments/<string:month>/people/<uuid:staff_id>")
@requires(*READERS)
@blueprint.response(200, PersonMonthSchema)
def of_person(month: str, staff_id: UUID) -> dict[str, Any]:
    """Return one person's month."""
    return render_person(showing.of_person(_first_day(month), staff_id))


@blueprint.get("/assessments/<string:month>/mine")
@requires()
@blueprint.response(200, PersonMonthSchema)
def mine(month: str) -> dict[str, Any]:
    """Return what a closed month proposes for whoever asks, with the evidence."""
    staff_id = current_actor().staff_id
    assert staff_id is not None
    return render_person(showing.of_person(_first_day(month), staff_id, only_closed=True))


@blueprint.post("/assessments/<string:month>/mine/replies")
@requires()
@blueprint.arguments(ReplyTextSchema)
@blueprint.response(201, ReplySchema)
def reply(body: dict[str, Any], month: str) -> Any:
    """Say something to one's own closed month before it is decided."""
    return records.reply(_first_day(month), text=body["text"], actor=current_actor(), now=current_time())


@blueprint.post("/assessments/<string:month>/close")
@requires(Role.SUPERVISOR)
@blueprint.arguments(CloseSchema)
@blueprint.response(201, AssessedMonthSchema)
def close(body: dict[str, Any], month: str) -> dict[str, Any]:
    """Close a month that is over; again with a reason, as the next revision."""
    day = _first_day(month)
    closing.close(day, reason=body["reason"], actor=current_actor(), now=current_time())
    return render_month(showing.summary(day))


@blueprint.post("/assessments/<string:month>/people/<uuid:staff_id>/decisions")
@requires(Role.SUPERVISOR)
@blueprint.arguments(DecideSchema)
@blueprint.response(200, ProposalDecisionSchema)
def decide(body: dict[str, Any], month: str, staff_id: UUID) -> Any:
    """Uphold or drop one proposal, once the person was heard; in a range, with the amount chosen."""
    key = body.pop("key")
    actor, now = current_actor(), current_time()
    return deciding.decide(_first_day(month), staff_id, key, **body, actor=actor, now=now)


@blueprint.get("/assessments/<string:month>/missed-clocks")
@requires(*READERS)
@blueprint.arguments(MissedQuerySchema, location="query")
@blueprint.response(200, MissedPageSchema)
def missed(query: dict[str, Any], month: str) -> dict[str, Any]:
    """List the deadlines of new cases that passed in a month (E1); they vanish from the work lists."""
    found = missed_clocks.of_month(
        _first_day(month),
        after=_place(query["after"]),
        limit=query["limit"],
        unattributed=query["unattributed"],
    )
    clocks = [
        {**_clock(row.MissedClock), "case_reference": row.reference, "client": row.client} for row in found
    ]
    last = found[-1].MissedClock if len(found) == query["limit"] else None
    return {"clocks": clocks, "next": last and _place_of(last)}


@blueprint.put("/assessments/<string:month>/missed-clocks")
@requires(Role.SUPERVISOR)
@blueprint.arguments(AttributionSchema)
@blueprint.response(200, MissedClockSchema)
def attribute(body: dict[str, Any], month: str) -> dict[str, Any]:
    """Put a missed clock down to a person while its month is open; no case names who works it."""
    _first_day(month)
    case_id, rule = body.pop("case_id"), body.pop("rule")
    return _clock(missed_clocks.attribute(case_id, rule, **body, actor=current_actor()))


@blueprint.put("/staff/<uuid:staff_id>/wages/<string:month>")
@requires(Role.ADMIN)
@blueprint.arguments(WageSchema)
@blueprint.response(200, WageSchema)
def wage(body: dict[str, Any], staff_id: UUID, month: str) -> Any:
    """Write down a person's wage of a month, for the limit of wage law only."""
    return records.set_wage(staff_id, _first_day(month), **body, actor=current_actor(), now=current_time())


@blueprint.post("/frauds")
@requires(Role.AUDITOR)
@blueprint.arguments(FraudSchema)
@blueprint.response(201, FraudRecordedSchema)
def fraud(body: dict[str, Any]) -> Any:
    """Record that confirmed findings prove a fraud (E6)."""
    staff_id = body.pop("staff_id")
    return records.record_fraud(staff_id, **body, actor=current_actor(), now=current_time())


def _first_day(month: str) -> date:
    if re.fullmatch(MONTH, month) is None or not "1900" < month < "2900":
        raise NotFound("month-unknown", "Name a month as 2026-11.")
    return date.fromisoformat(f"{month}-01")


def _place_of(clock: MissedClock) -> str:
    return f"{clock.due_on}/{clock.case_id}/{clock.rule}/{clock.opened_on}"


def _place(after: str | None) -> tuple[date, UUID, str, date] | None:
    if after is None:
        return None
    try:
        day, case_id, rule, opened_on = after.split("/")
        return date.fromisoformat(day), UUID(case_id), rule, date.fromisoformat(opened_on)
    except ValueError:
        raise Malformed("cursor-unreadable", "Pass `next` of the page before as it stands.") from None


def _clock(clock: MissedClock) -> dict[str, Any]:
    names = ("case_id", "rule", "opened_on", "due_on", "because", "staff_id")
    return {name: getattr(clock, name) for name in names}
