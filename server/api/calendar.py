"""The calendar: which days are banned or worked, and notices on their way to it."""

from datetime import date
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint, Day
from server.authority import Role
from server.intake.holiday_notice import MarkedDay
from server.models.calendar import CalendarNotice
from server.workflows import calendar, calendar_notices
from server.workflows.calendar_notices import SHOWN, Effect, NewNotice
from server.workflows.provisional import calendar_alarm, published_years

blueprint = Blueprint("calendar", __name__, description="Which days are banned, and which are working days")
A_YEAR = validate.Range(2004, 2100)


class YearQuerySchema(ma.Schema):
    """Which year; all when none is named."""

    year = ma.fields.Integer(validate=validate.Range(1900, 2200))


class DaySchema(ma.Schema):
    """A day that is not what its weekday says."""

    day = Day(required=True)
    kind = ma.fields.String(required=True, validate=validate.OneOf(["holiday", "makeup"]))
    name = ma.fields.String(load_default="", validate=validate.Length(max=40))


class YearSchema(ma.Schema):
    """One version of a year's calendar. A provisional year bans days and permits none."""

    year = ma.fields.Integer()
    version = ma.fields.Integer()
    status = ma.fields.String(validate=validate.OneOf(["published", "provisional"]))
    notice = ma.fields.String()
    entered_at = ma.fields.AwareDateTime()
    days = ma.fields.List(ma.fields.Nested(DaySchema))


class CalendarSchema(ma.Schema):
    """Years in order. `alarm`: how urgent it is that next year's notice is entered."""

    alarm = ma.fields.String(validate=validate.OneOf(["none", "notice", "urgent", "blocking"]))
    years = ma.fields.List(ma.fields.Nested(YearSchema))


class VersionsSchema(ma.Schema):
    """Every version of a year, the oldest first."""

    years = ma.fields.List(ma.fields.Nested(YearSchema))


class NewCalendarNoticeSchema(ma.Schema):
    """A notice of the State Council: its text as published, or its days one by one."""

    year = ma.fields.Integer(required=True, validate=A_YEAR)
    reference = ma.fields.String(required=True, validate=validate.Length(1, 200))
    text = ma.fields.String(load_default="", validate=validate.Length(max=20_000))
    days = ma.fields.List(ma.fields.Nested(DaySchema), load_default=list, validate=validate.Length(max=200))
    is_dry_run = ma.fields.Boolean(load_default=False)

    @ma.validates_schema
    def _is_one_or_the_other(self, body: dict[str, Any], **_: Any) -> None:
        """The text or the days, not both."""
        if bool(body.get("text", "").strip()) == bool(body.get("days")):
            raise ma.ValidationError("Give the notice's text, or its days, not both.", "text")


class EffectSchema(ma.Schema):
    """What approving changes. `assignments` names the first 200 open ones on newly banned days."""

    newly_banned = ma.fields.List(ma.fields.Date())
    newly_permitted = ma.fields.List(ma.fields.Date())
    assignment_count = ma.fields.Integer()
    assignments = ma.fields.List(ma.fields.UUID())


class CalendarNoticeSchema(ma.Schema):
    """A notice and who had it in hand. `effect` is null in lists."""

    id = ma.fields.UUID(allow_none=True)
    year = ma.fields.Integer()
    reference = ma.fields.String()
    state = ma.fields.String(validate=validate.OneOf(["proposed", "approved", "rejected"]), allow_none=True)
    days = ma.fields.List(ma.fields.Nested(DaySchema))
    proposed_by = ma.fields.UUID(allow_none=True)
    proposed_at = ma.fields.AwareDateTime(allow_none=True)
    decided_by = ma.fields.UUID(allow_none=True)
    decided_at = ma.fields.AwareDateTime(allow_none=True)
    decision_note = ma.fields.String()
    effect = ma.fields.Nested(EffectSchema, allow_none=True)


class PageQuerySchema(ma.Schema):
    """Where the page starts."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=20, validate=validate.Range(1, 100))


class CalendarNoticePageSchema(ma.Schema):
    """One page of notices, the newest first; `next` is null on the last."""

    notices = ma.fields.List(ma.fields.Nested(CalendarNoticeSchema))
    next = ma.fields.UUID(allow_none=True)


class RejectionSchema(ma.Schema):
    """Why a notice is put aside."""

    reason = ma.fields.String(required=True, validate=validate.Length(1, 2000))


@blueprint.get("/calendar")
@requires()
@blueprint.arguments(YearQuerySchema, location="query")
@blueprint.response(200, CalendarSchema)
def show(query: dict[str, Any]) -> dict[str, Any]:
    """Show public-holiday breaks and make-up workdays of the years that are known."""
    alarm = calendar_alarm(current_time().date(), published=published_years())
    return {"alarm": alarm, "years": _years(calendar.list_years(year=query.get("year")))}


@blueprint.get("/calendar/<int:year>/versions")
@requires()
@blueprint.response(200, VersionsSchema)
def versions(year: int) -> dict[str, Any]:
    """Show every version of a year: decisions quote the one they were judged with."""
    return {"years": _years(calendar.list_versions(year)) if 0 < year < 10_000 else []}


@blueprint.post("/calendar/notices")
@requires(Role.ADMIN, Role.SUPERVISOR)
@blueprint.arguments(NewCalendarNoticeSchema)
@blueprint.response(201, CalendarNoticeSchema)
def propose(body: dict[str, Any]) -> Any:
    """Enter a notice for somebody else to approve; a dry run shows what it would change."""
    days = tuple(MarkedDay(one["day"], one["kind"], one["name"]) for one in body["days"])
    entered = NewNotice(body["year"], body["reference"], body["text"].strip(), days)
    if body["is_dry_run"]:
        read = calendar_notices.read_entered(entered)
        effect = calendar_notices.preview(read, year=entered.year, now=current_time())
        listed = [one._asdict() for one in read]
        shown = {"year": entered.year, "reference": entered.reference, "days": listed}
        return shown | {"effect": _effect(effect), "id": None, "state": None}
    return _notice(*calendar_notices.propose(entered, actor=current_actor(), now=current_time()))


@blueprint.get("/calendar/notices")
@requires(Role.ADMIN, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, CalendarNoticePageSchema)
def list_page(query: dict[str, Any]) -> dict[str, Any]:
    """List notices, the newest first."""
    found = calendar_notices.list_notices(**query)
    last = found[-1].id if len(found) == query["limit"] else None
    return {"notices": [_notice(row, None) for row in found], "next": last}


@blueprint.post("/calendar/notices/<uuid:notice_id>/approve")
@requires(Role.ADMIN, Role.SUPERVISOR)
@blueprint.response(200, CalendarNoticeSchema)
def approve(notice_id: UUID) -> dict[str, Any]:
    """Make a notice the calendar; visits on days it newly bans are taken back at once."""
    return _notice(*calendar_notices.approve(notice_id, actor=current_actor(), now=current_time()))


@blueprint.post("/calendar/notices/<uuid:notice_id>/reject")
@requires(Role.ADMIN, Role.SUPERVISOR)
@blueprint.arguments(RejectionSchema)
@blueprint.response(200, CalendarNoticeSchema)
def reject(body: dict[str, Any], notice_id: UUID) -> dict[str, Any]:
    """Put a notice aside; the calendar stays as it is."""
    actor, now = current_actor(), current_time()
    return _notice(calendar_notices.reject(notice_id, note=body["reason"], actor=actor, now=now), None)


def _years(found: list[Any]) -> list[dict[str, Any]]:
    shown = ("year", "version", "status", "notice", "entered_at")
    return [{name: getattr(row, name) for name in shown} | {"days": days} for row, days in found]


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "newly_banned": effect.newly_banned,
        "newly_permitted": effect.newly_permitted,
        "assignment_count": len(effect.assignments),
        "assignments": effect.assignments[:SHOWN],
    }


def _notice(row: CalendarNotice, effect: Effect | None) -> dict[str, Any]:
    days = [MarkedDay(date.fromisoformat(one["day"]), one["kind"], one["name"])._asdict() for one in row.days]
    named = {name: getattr(row, name) for name in CalendarNoticeSchema().fields if hasattr(row, name)}
    return named | {"days": days, "effect": effect and _effect(effect)}
