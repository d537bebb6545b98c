"""The people who work here, their training files and their leaving."""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint, Day, Instant
from server.authority import Role
from server.models.people import Absence, Qualification, Staff
from server.workflows import people

blueprint = Blueprint("staff", __name__, url_prefix="/staff", description="People, training files, departure")
ROLES = [role.value for role in Role]


class NewStaffSchema(ma.Schema):
    """A person to be added."""

    employee_number = ma.fields.String(required=True, validate=validate.Length(1, 64))
    name = ma.fields.String(required=True, validate=validate.Length(1, 200))
    roles = ma.fields.List(
        ma.fields.String(validate=validate.OneOf(ROLES)), required=True, validate=validate.Length(1, 5)
    )
    branch = ma.fields.String(load_default="", validate=validate.Length(max=200))
    joined_on = Day(load_default=None, metadata={"description": "left out: today"})
    password = ma.fields.String(validate=validate.Length(max=256), load_only=True)


class StaffSchema(ma.Schema):
    """A person who works here."""

    id = ma.fields.UUID()
    employee_number = ma.fields.String()
    name = ma.fields.String()
    roles = ma.fields.List(ma.fields.String())
    branch = ma.fields.String()
    joined_on = ma.fields.Date()
    left_at = ma.fields.AwareDateTime(allow_none=True)


class PageQuerySchema(ma.Schema):
    """Where a page starts and how long it is."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class StaffPageSchema(ma.Schema):
    """One page of people; `next` is null on the last."""

    staff = ma.fields.List(ma.fields.Nested(StaffSchema))
    next = ma.fields.UUID(allow_none=True)


class QualificationSchema(ma.Schema):
    """One line of a training file (G10-G23)."""

    id = ma.fields.UUID(dump_only=True)
    kind = ma.fields.String(
        required=True,
        validate=validate.OneOf(["onboarding_exam", "law_and_conduct", "internship", "nda"]),
    )
    score = ma.fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 100))
    attempt = ma.fields.Integer(dump_only=True)
    obtained_on = Day(required=True)


class AbsenceSchema(ma.Schema):
    """Leave (X3) or a training slot (G6)."""

    id = ma.fields.UUID(dump_only=True)
    kind = ma.fields.String(required=True, validate=validate.OneOf(["leave", "training"]))
    starts_at = Instant(required=True)
    ends_at = Instant(required=True)


class PasswordSchema(ma.Schema):
    """A password for somebody else, who changes it."""

    password = ma.fields.String(required=True, validate=validate.Length(1, 256), load_only=True)


class DepartureSchema(ma.Schema):
    """What a departure set in motion."""

    cancelled_assignments = ma.fields.Integer()


@blueprint.post("")
@requires(Role.ADMIN)
@blueprint.arguments(NewStaffSchema)
@blueprint.response(201, StaffSchema)
def add(body: dict[str, Any]) -> Staff:
    """Add a person. Without a password they work with a phone only."""
    return people.add_staff(
        employee_number=body["employee_number"],
        name=body["name"],
        roles=[Role(role) for role in body["roles"]],
        branch=body["branch"],
        password=body.get("password"),
        joined_on=body["joined_on"],
        now=current_time(),
    )


@blueprint.get("")
@requires(Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER)
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, StaffPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List people in the order they were added."""
    staff = people.list_staff(after=query["after"], limit=query["limit"])
    return {"staff": staff, "next": staff[-1].id if len(staff) == query["limit"] else None}


@blueprint.get("/<uuid:staff_id>")
@requires(Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER)
@blueprint.response(200, StaffSchema)
def one(staff_id: UUID) -> Staff:
    """Return one person."""
    return people.find_staff(staff_id)


@blueprint.get("/<uuid:staff_id>/qualifications")
@requires(Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER)
@blueprint.response(200, QualificationSchema(many=True))
def qualifications(staff_id: UUID) -> Any:
    """Return a person's training file."""
    return people.list_qualifications(staff_id)


@blueprint.post("/<uuid:staff_id>/qualifications")
@requires(Role.ADMIN, Role.SUPERVISOR)
@blueprint.arguments(QualificationSchema)
@blueprint.response(201, QualificationSchema)
def qualify(body: dict[str, Any], staff_id: UUID) -> Qualification:
    """Write a course, exam, internship or NDA into a training file. Safe to repeat."""
    return people.add_qualification(
        staff_id,
        kind=body["kind"],
        score=body["score"],
        obtained_on=body["obtained_on"],
        actor=current_actor(),
    )


@blueprint.post("/<uuid:staff_id>/absences")
@requires(Role.ADMIN, Role.SUPERVISOR, Role.DISPATCHER)
@blueprint.arguments(AbsenceSchema)
@blueprint.response(201, AbsenceSchema)
def absent(body: dict[str, Any], staff_id: UUID) -> Absence:
    """Write leave or training into a person's diary; no visit is assigned into it."""
    return people.add_absence(staff_id, **body)


@blueprint.put("/<uuid:staff_id>/password")
@requires(Role.ADMIN)
@blueprint.arguments(PasswordSchema)
@blueprint.response(204)
@blueprint.alt_response(409, description="The person has left.")
def reset_password(body: dict[str, Any], staff_id: UUID) -> None:
    """Give somebody who forgot theirs a password; their office sessions end. Who did so is logged."""
    people.reset_password(staff_id, body["password"], actor=current_actor(), now=current_time())


@blueprint.post("/<uuid:staff_id>/departure")
@requires(Role.ADMIN)
@blueprint.response(200, DepartureSchema)
def depart(staff_id: UUID) -> dict[str, int]:
    """Close a leaver's account: sessions end, phones become submit-only, open visits are cancelled."""
    return {"cancelled_assignments": people.depart(staff_id, actor=current_actor(), now=current_time())}
