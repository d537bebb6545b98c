"""Schemas of reports, and how their values are rendered."""

from typing import Any

import marshmallow as ma
from marshmallow import validate

from server.api.transport import Day
from server.models.assessments import REPORT_KINDS, ReportFile
from server.workflows.reports.handing_in import HandedIn

FORMATS = ("html", "xlsx", "pdf", "csv")
DIGEST = validate.Regexp(r"^[0-9a-f]{64}\Z", error="Must be a SHA-256 in lower-case hexadecimal digits.")


class FridayQuerySchema(ma.Schema):
    """Which week (any day of it; this one when none is named), of which client or of all."""

    week = Day(load_default=None)
    client = ma.fields.String(load_default=None, metadata={"description": "the client's reference"})


class ClientQuerySchema(ma.Schema):
    """Which client, and which days."""

    client = ma.fields.String(required=True, metadata={"description": "the client's reference"})
    first = Day(required=True)
    last = Day(required=True)


class _FileQuerySchema(ma.Schema):
    format = ma.fields.String(load_default="pdf", validate=validate.OneOf(FORMATS))
    lang = ma.fields.String(load_default="zh", validate=validate.OneOf(["zh", "en"]))


class FridayFileQuerySchema(FridayQuerySchema, _FileQuerySchema):
    """Which week, and as what."""


class ClientFileQuerySchema(ClientQuerySchema, _FileQuerySchema):
    """Which client and days, and as what."""


class AssessmentFileQuerySchema(_FileQuerySchema):
    """Which month, of which branch or of all, and as what."""

    month = ma.fields.String(
        required=True,
        validate=validate.Regexp(r"^(19|2[0-8])[0-9]{2}-(0[1-9]|1[0-2])\Z", error="Name a month as 2026-11."),
    )
    branch = ma.fields.String(load_default=None)


class ClientReportQuerySchema(ClientQuerySchema):
    """Which client and days, and where the page of lines starts."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=100, validate=validate.Range(1, 500))


class ByDaySchema(ma.Schema):
    """One day."""

    day = ma.fields.Date()
    visits = ma.fields.Integer()
    reviewed = ma.fields.Integer(metadata={"description": "reconciled, and no finding waits for an auditor"})
    paid_fen = ma.fields.Integer()
    promised_fen = ma.fields.Integer()


class ByCheckSchema(ma.Schema):
    """What one check found."""

    check = ma.fields.String()
    rule = ma.fields.String()
    confirmed = ma.fields.Integer()
    open = ma.fields.Integer()
    dismissed = ma.fields.Integer()


class ByVisitorSchema(ma.Schema):
    """One visitor's visits, and what was found in them."""

    branch = ma.fields.String()
    employee_number = ma.fields.String()
    name = ma.fields.String()
    visits = ma.fields.Integer()
    confirmed = ma.fields.Integer()
    open = ma.fields.Integer()
    dismissed = ma.fields.Integer()


class ByTeamSchema(ma.Schema):
    """What one team brought in for one client."""

    client = ma.fields.String()
    team = ma.fields.String(metadata={"description": "branch of who wrote it down; empty for imports"})
    payments = ma.fields.Integer()
    paid_fen = ma.fields.Integer()
    promises_made = ma.fields.Integer()
    promised_fen = ma.fields.Integer()
    promises_kept = ma.fields.Integer(metadata={"description": "of those due in these days"})
    promises_broken = ma.fields.Integer()


class FridayFiguresSchema(ma.Schema):
    """The numbers of a week; its lines are at /work/friday-report."""

    first = ma.fields.Date()
    last = ma.fields.Date()
    due_at = ma.fields.AwareDateTime()
    days = ma.fields.List(ma.fields.Nested(ByDaySchema))
    checks = ma.fields.List(ma.fields.Nested(ByCheckSchema))
    visitors = ma.fields.List(ma.fields.Nested(ByVisitorSchema))
    teams = ma.fields.List(ma.fields.Nested(ByTeamSchema))
    complaints = ma.fields.Integer()
    serious_complaints = ma.fields.Integer()
    holds = ma.fields.Integer()


class ClientLineSchema(ma.Schema):
    """A case that was contacted, or in which money or a promise moved. No staff, no numbers of persons."""

    case_id = ma.fields.UUID()
    case_reference = ma.fields.String()
    debtor_name = ma.fields.String(allow_none=True, metadata={"description": "masked"})
    outstanding_fen = ma.fields.Integer()
    days_overdue = ma.fields.Integer(allow_none=True)
    paid_fen = ma.fields.Integer()
    promised_fen = ma.fields.Integer()
    next_promised_on = ma.fields.Date(allow_none=True)
    calls = ma.fields.Integer()
    letters = ma.fields.Integer()
    visits = ma.fields.Integer()
    inbound = ma.fields.Integer()


class ClientReportSchema(ma.Schema):
    """A client's days: no names of staff, no findings."""

    first = ma.fields.Date()
    last = ma.fields.Date()
    days = ma.fields.List(ma.fields.Nested(ByDaySchema))
    teams = ma.fields.List(ma.fields.Nested(ByTeamSchema))
    complaints = ma.fields.Integer()
    serious_complaints = ma.fields.Integer()
    holds = ma.fields.Integer()
    lines = ma.fields.List(ma.fields.Nested(ClientLineSchema))
    next = ma.fields.UUID(allow_none=True)


class HandInSchema(ma.Schema):
    """Which file was handed in to whom. `file_id` is needed where several reports were the same bytes."""

    sha256 = ma.fields.String(required=True, validate=DIGEST)
    file_id = ma.fields.UUID(
        load_default=None,
        metadata={"description": "`X-Report-Id` of a taking; without it the report that was taken last"},
    )
    recipient = ma.fields.String(load_default="行政后勤处", validate=validate.Length(1, 200))


class ReportFileSchema(ma.Schema):
    """A report as it left the house, when it was first taken."""

    id = ma.fields.UUID()
    kind = ma.fields.String()
    format = ma.fields.String()
    first = ma.fields.Date()
    last = ma.fields.Date()
    client_id = ma.fields.UUID(allow_none=True)
    sha256 = ma.fields.String()
    size_bytes = ma.fields.Integer()
    rows = ma.fields.Integer()
    made_at = ma.fields.AwareDateTime()
    made_by = ma.fields.UUID()


class FileShownSchema(ReportFileSchema):
    """A file that is known: the report that was taken last, and others that were the same bytes."""

    others = ma.fields.List(ma.fields.Nested(ReportFileSchema))


class HandedInSchema(ma.Schema):
    """One hand-in and its file."""

    id = ma.fields.UUID()
    recipient = ma.fields.String()
    handed_in_at = ma.fields.AwareDateTime()
    handed_in_by = ma.fields.UUID()
    due_at = ma.fields.AwareDateTime(allow_none=True)
    is_late = ma.fields.Boolean(allow_none=True)
    file = ma.fields.Nested(ReportFileSchema)


class HandInQuerySchema(ma.Schema):
    """Of which reports, and where the page starts."""

    kind = ma.fields.String(load_default=None, validate=validate.OneOf(REPORT_KINDS))
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class HandInPageSchema(ma.Schema):
    """One page, newest first; `next` is null on the last."""

    hand_ins = ma.fields.List(ma.fields.Nested(HandedInSchema))
    next = ma.fields.UUID(allow_none=True)


def render_file(file: ReportFile) -> dict[str, Any]:
    """Render what is known of a file."""
    names = [name for name in ReportFileSchema().fields if name != "sha256"]
    return {name: getattr(file, name) for name in names} | {"sha256": file.sha256.hex()}


def render_hand_in(one: HandedIn) -> dict[str, Any]:
    """Render a hand-in."""
    names = ("id", "recipient", "handed_in_at", "handed_in_by", "due_at")
    shown = {name: getattr(one.hand_in, name) for name in names}
    return {**shown, "is_late": one.is_late, "file": render_file(one.file)}
