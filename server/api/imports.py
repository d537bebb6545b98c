"""Taking in the clients' files."""

import tempfile
from typing import IO, Any
from uuid import UUID

import marshmallow as ma
from flask import current_app, request
from marshmallow import validate
from werkzeug.exceptions import ClientDisconnected, UnsupportedMediaType

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.database import release_connection
from server.errors import Malformed
from server.models.cases import ImportRun
from server.workflows.imports import running

blueprint = Blueprint("imports", __name__, url_prefix="/imports", description="The clients' files")
KINDS = [
    *("clients", "status_codes", "debtors", "cases", "contacts", "addresses", "ledger"),
    *("promises", "payments"),
]
FORMS: dict[str, running.Form] = {
    "text/csv": "csv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}
PIECE_BYTES = 256 * 1024
CUT_OFF = "The connection broke before the whole file arrived. Nothing was imported; send it again."


class ImportQuerySchema(ma.Schema):
    """What the rows are."""

    kind = ma.fields.String(
        load_default=None,
        validate=validate.OneOf(KINDS),
        metadata={"description": "required for CSV; JSON lines may name `kind` in each line instead"},
    )


class RowErrorSchema(ma.Schema):
    """One fault of one row; the value itself is never repeated."""

    line = ma.fields.Integer(required=True)
    column = ma.fields.String(required=True, allow_none=True)
    reason = ma.fields.String(required=True, metadata={"description": "what to do"})


class ImportReportSchema(ma.Schema):
    """What an import did. Good rows are kept; sending the same file again changes nothing."""

    id = ma.fields.UUID(required=True)
    started_at = ma.fields.AwareDateTime(required=True)
    finished_at = ma.fields.AwareDateTime(allow_none=True)
    by = ma.fields.UUID(required=True)
    created = ma.fields.Integer()
    updated = ma.fields.Integer()
    unchanged = ma.fields.Integer()
    rejected = ma.fields.Integer(metadata={"description": "rows with at least one fault"})
    error_count = ma.fields.Integer(metadata={"description": "all faults, also those not listed"})
    errors = ma.fields.List(
        ma.fields.Nested(RowErrorSchema), metadata={"description": "the first 1000 faults"}
    )
    note_count = ma.fields.Integer()
    notes = ma.fields.List(
        ma.fields.Nested(RowErrorSchema),
        metadata={"description": "what was kept otherwise than the file says, e.g. an older balance"},
    )
    encoding = ma.fields.String()
    ignored_columns = ma.fields.List(
        ma.fields.String(), metadata={"description": "headings that mean nothing to us"}
    )


class ColumnSchema(ma.Schema):
    """One column of a file; `headings` are further names it is known by."""

    name = ma.fields.String()
    required = ma.fields.Boolean()
    headings = ma.fields.List(ma.fields.String())


class FormatSchema(ma.Schema):
    """The columns of every kind of row. Empty cells say nothing; a JSON null clears what was known.

    A case without a balance is open, and may not be visited; a null clears no amount that was known.
    """

    kinds = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.List(ma.fields.Nested(ColumnSchema)))


class RunsQuerySchema(ma.Schema):
    """Where a page starts and how long it is."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=20, validate=validate.Range(1, 100))


class RunsPageSchema(ma.Schema):
    """One page of imports, newest first; `next` is null on the last."""

    imports = ma.fields.List(ma.fields.Nested(ImportReportSchema))
    next = ma.fields.UUID(allow_none=True)


@blueprint.post("")
@requires(Role.DISPATCHER, Role.ADMIN)
@blueprint.arguments(ImportQuerySchema, location="query")
@blueprint.response(201, ImportReportSchema)
@blueprint.doc(
    requestBody={
        "required": True,
        "content": {form: {"schema": {"type": "string", "format": "binary"}} for form in FORMS},
    }
)
def take_in(query: dict[str, Any]) -> dict[str, Any]:
    """Import a CSV or JSON-lines file: UTF-8 or GB18030, parents in front of their children."""
    form = FORMS.get(request.mimetype)
    if form is None:
        raise UnsupportedMediaType(f"Send the file as one of: {', '.join(FORMS)}.")
    request.max_content_length = current_app.extensions["config"].import_limit_bytes
    release_connection()
    with tempfile.TemporaryFile() as file:
        _spool(file)
        run = running.run_import(
            file, form=form, kind=query["kind"], actor=current_actor(), now=current_time()
        )
    return _report(run)


def _spool(file: IO[bytes]) -> None:
    """Bring the whole body to disk first: a slow line must not keep a transaction open.

    A body that was cut off is refused: its last row may look whole and name something else.
    """
    size = sum(file.write(piece) for piece in iter(_next_piece, b""))
    if request.content_length is not None and size != request.content_length:
        raise Malformed("body-incomplete", CUT_OFF)
    file.seek(0)


def _next_piece() -> bytes:
    try:
        return request.stream.read(PIECE_BYTES)
    except (ClientDisconnected, OSError):  # a chunked body broke off
        raise Malformed("body-incomplete", CUT_OFF) from None


def _report(run: ImportRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "by": run.by,
        **run.report,
    }


@blueprint.get("")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.ADMIN)
@blueprint.arguments(RunsQuerySchema, location="query")
@blueprint.response(200, RunsPageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List the imports, newest first."""
    runs = running.list_runs(after=query["after"], limit=query["limit"])
    last = runs[-1].id if len(runs) == query["limit"] else None
    return {"imports": [_report(run) for run in runs], "next": last}


@blueprint.get("/format")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.ADMIN)
@blueprint.response(200, FormatSchema)
def columns() -> dict[str, Any]:
    """Say which columns an import file may have. References are the client's own and permanent."""
    return {"kinds": running.describe_format()}


@blueprint.get("/<uuid:import_id>")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.ADMIN)
@blueprint.response(200, ImportReportSchema)
def one(import_id: UUID) -> dict[str, Any]:
    """Return what one import did."""
    return _report(running.find_run(import_id))
