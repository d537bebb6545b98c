"""Reports for the house and for clients: figures, files (page, XLSX, PDF, CSV), and their hand-in (F12)."""

import base64
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import IO, Any, Final

from flask import Response

from server.api.auth import current_actor, current_time, requires
from server.api.report_forms import (
    AssessmentFileQuerySchema,
    ClientFileQuerySchema,
    ClientReportQuerySchema,
    ClientReportSchema,
    FileShownSchema,
    FridayFiguresSchema,
    FridayFileQuerySchema,
    FridayQuerySchema,
    HandedInSchema,
    HandInPageSchema,
    HandInQuerySchema,
    HandInSchema,
    render_file,
    render_hand_in,
)
from server.api.transport import Blueprint
from server.authority import Role
from server.errors import NotFound
from server.workflows.cases import find_client
from server.workflows.reports import handing_in, making, months
from server.workflows.reports.keeping import Made

blueprint = Blueprint("reports", __name__, description="Reports, their files and their hand-in")
READERS = (Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)
MIME: Final = {
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
}
PIECE: Final = 1 << 16


@blueprint.get("/reports/friday")
@requires(*READERS)
@blueprint.arguments(FridayQuerySchema, location="query")
@blueprint.response(200, FridayFiguresSchema)
def friday(query: dict[str, Any]) -> dict[str, Any]:
    """Return a week's numbers: visits, findings by check and visitor, repayments (F12)."""
    wanted = _friday(query)
    span = {"first": wanted.span.first, "last": wanted.span.last, "due_at": wanted.due_at}
    return {**span, **asdict(making.figures_of(wanted, now=current_time()))}


@blueprint.get("/reports/friday/file")
@requires(*READERS)
@blueprint.arguments(FridayFileQuerySchema, location="query")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="application/octet-stream")
def friday_file(query: dict[str, Any]) -> Response:
    """Make the week's report as a file; its digest is recorded, with who took it (F12, I7)."""
    return _sent(_made(_friday(query), query))


@blueprint.get("/reports/client")
@requires(*READERS)
@blueprint.arguments(ClientReportQuerySchema, location="query")
@blueprint.response(200, ClientReportSchema)
def client(query: dict[str, Any]) -> dict[str, Any]:
    """Return a client's days: numbers, and a line for each case that was worked."""
    wanted = _client(query)
    lines = making.lines_of(wanted, after=query["after"], limit=query["limit"], now=current_time())
    return {
        "first": wanted.span.first,
        "last": wanted.span.last,
        **asdict(making.figures_of(wanted, now=current_time())),
        "lines": lines,
        "next": lines[-1]["case_id"] if len(lines) == query["limit"] else None,
    }


@blueprint.get("/reports/client/file")
@requires(*READERS)
@blueprint.arguments(ClientFileQuerySchema, location="query")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="application/octet-stream")
def client_file(query: dict[str, Any]) -> Response:
    """Make a client's report as a file; names are masked, numbers of persons never appear (AMB10)."""
    return _sent(_made(_client(query), query))


@blueprint.get("/reports/assessment/file")
@requires(*READERS)
@blueprint.arguments(AssessmentFileQuerySchema, location="query")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="application/octet-stream")
def assessment_file(query: dict[str, Any]) -> Response:
    """Make a month's assessment as a file: proposals, sums, legal limits; its digest is recorded."""
    made = months.make(
        date.fromisoformat(f"{query['month']}-01"),
        branch=query["branch"],
        format=query["format"],
        lang=query["lang"],
        actor=current_actor(),
        now=current_time(),
    )
    return _sent(made)


@blueprint.post("/reports/hand-ins")
@requires(Role.SUPERVISOR)
@blueprint.arguments(HandInSchema)
@blueprint.response(201, HandedInSchema)
def hand_in(body: dict[str, Any]) -> dict[str, Any]:
    """Record that a file was handed in: who, when, to whom, and which bytes (F12)."""
    digest = bytes.fromhex(body.pop("sha256"))
    actor, now = current_actor(), current_time()
    return render_hand_in(handing_in.hand_in(digest, **body, actor=actor, now=now))


@blueprint.get("/reports/hand-ins")
@requires(*READERS)
@blueprint.arguments(HandInQuerySchema, location="query")
@blueprint.response(200, HandInPageSchema)
def hand_ins(query: dict[str, Any]) -> dict[str, Any]:
    """List what was handed in, newest first."""
    found = handing_in.page(**query)
    last = found[-1].hand_in.id if len(found) == query["limit"] else None
    return {"hand_ins": [render_hand_in(one) for one in found], "next": last}


@blueprint.get("/reports/files/<string:sha256>")
@requires(*READERS)
@blueprint.response(200, FileShownSchema)
def file(sha256: str) -> dict[str, Any]:
    """Say what is known of a file by its digest: it was made here, and nobody altered it."""
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise NotFound("file-unknown", "Name a SHA-256 in lower-case hexadecimal digits.")
    last, *others = handing_in.reports_of(bytes.fromhex(sha256))
    return {**render_file(last), "others": [render_file(one) for one in others]}


def _friday(query: dict[str, Any]) -> making.Wanted:
    reference = query["client"]
    bank = None if reference is None else find_client(reference)
    return making.friday(query["week"], client=bank, now=current_time())


def _client(query: dict[str, Any]) -> making.Wanted:
    return making.of_client(find_client(query["client"]), first=query["first"], last=query["last"])


def _made(wanted: making.Wanted, query: dict[str, Any]) -> Made:
    return making.make(
        wanted, format=query["format"], lang=query["lang"], actor=current_actor(), now=current_time()
    )


def _sent(made: Made) -> Response:
    """Send a report's file; whoever keeps it can hold it against the digest later."""
    answer = Response(_pieces(made.file), content_type=MIME[made.record.format])
    answer.call_on_close(made.file.close)
    digest = made.record.sha256
    answer.headers["Content-Length"] = str(made.record.size_bytes)
    answer.headers["Content-Disposition"] = f'attachment; filename="{made.name}"'
    answer.headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
    answer.headers["X-Report-SHA256"] = digest.hex()
    answer.headers["X-Report-Id"] = str(made.record.id)
    answer.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return answer


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece
