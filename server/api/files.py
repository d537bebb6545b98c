"""tus 1.0.0 at /api/v1/files: headers in, headers out.

Parses what the protocol puts into headers, calls one upload workflow, renders its answer. Which offset
counts, whose fence is newest and what a digest means is decided in `workflows/uploads`. Section names are
those of the tus 1.0.0 specification.
"""

from collections.abc import Callable
from uuid import UUID

from flask import Response, request, url_for
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import PreconditionFailed, UnsupportedMediaType
from werkzeug.http import http_date

from server.api.auth import current_actor, current_time, requires_submitter
from server.api.incoming import body_of
from server.api.problems import from_domain, problem
from server.api.transport import Blueprint
from server.api.upload_headers import ALGORITHMS, checksum, number, wanted_upload
from server.errors import Conflict, Malformed, Unavailable
from server.storage import current_store
from server.workflows.uploads import creating, receiving
from server.workflows.uploads.finishing import finish
from server.workflows.uploads.grant import MAX_BYTES, Grant

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,checksum,expiration,termination"
CONTENT_TYPE = "application/offset+octet-stream"
_ALLOWED = (
    "Authorization, Content-Type, Tus-Resumable, Upload-Checksum, Upload-Concat, Upload-Defer-Length, "
    "Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Request-Id, X-Requested-With"
)
_EXPOSED = (
    "Location, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, "
    "Upload-Defer-Length, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset"
)

blueprint = Blueprint("files", __name__, url_prefix="/files", description="Resumable uploads (tus 1.0.0)")


@blueprint.before_request
def require_version() -> None:
    """Refuse another protocol version before anything is read or changed (section "Headers")."""
    if request.method not in ("OPTIONS", "GET") and request.headers.get("Tus-Resumable") != VERSION:
        raise PreconditionFailed(f"Send the header Tus-Resumable: {VERSION}.")


@blueprint.after_request
def say_version(response: Response) -> Response:
    """Add what every answer must carry, problems included; browsers may read the headers of all of them."""
    if request.method != "OPTIONS":
        response.headers["Tus-Resumable"] = VERSION
    if response.status_code == 412:
        response.headers["Tus-Version"] = VERSION
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = _EXPOSED
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.errorhandler(OperationalError)
def be_patient(error: OperationalError) -> Response:
    """While the database is away: 423 to HEAD, because clients give an upload up at a 503 there; else 503."""
    detail = "The database cannot be reached. Nothing was lost; retry."
    status = 423 if request.method == "HEAD" else 503
    answer = problem(
        status=status, slug="database-unavailable", title="Temporarily unavailable", detail=detail
    )
    answer.headers["Retry-After"] = "5"
    return answer


@blueprint.errorhandler(Unavailable)
def be_patient_with_the_store(error: Unavailable) -> Response:
    """The same while the store is away: a HEAD meets it where it finishes what a request before it left."""
    answer = from_domain(error)
    if request.method == "HEAD":
        answer.status_code = 423
    return answer


@blueprint.route("", methods=["OPTIONS"], provide_automatic_options=False)
@blueprint.route("/<uuid:upload_id>", methods=["OPTIONS"], provide_automatic_options=False)
@blueprint.response(204, description="What this server speaks, in the headers.")
def describe(upload_id: UUID | None = None) -> Response:
    """Say what this server can do; also answers a browser's preflight."""
    response = Response(status=204)
    response.headers["Tus-Version"] = VERSION
    response.headers["Tus-Extension"] = EXTENSIONS
    response.headers["Tus-Max-Size"] = str(MAX_BYTES)
    response.headers["Tus-Checksum-Algorithm"] = ",".join(ALGORITHMS)
    response.headers["Access-Control-Allow-Methods"] = "POST, HEAD, PATCH, DELETE, OPTIONS"
    response.headers["Access-Control-Allow-Headers"] = _ALLOWED
    response.headers["Access-Control-Max-Age"] = "86400"
    return response


@blueprint.post("")
@requires_submitter
@blueprint.response(201, description="`Location` is where the rest goes.")
def create() -> Response:
    """Create an upload, or find the one whose 201 was lost; bytes may come along (creation-with-upload)."""
    if "Upload-Concat" in request.headers:
        raise Malformed("concatenation-unsupported", "Upload-Concat is not supported: send one upload.")
    wanted, checked = wanted_upload(), checksum()
    brings_bytes = request.mimetype == CONTENT_TYPE and request.content_length != 0
    grant = creating.create(wanted, brings_bytes=brings_bytes, actor=current_actor(), now=current_time())
    if not grant.is_complete and brings_bytes and grant.offset == 0:
        grant = _receive(grant, checked)
    response = _progress(_finished(grant), status=201)
    response.headers["Location"] = url_for("files.append", upload_id=grant.id)
    return response


@blueprint.route("/<uuid:upload_id>", methods=["HEAD"], provide_automatic_options=False)
@requires_submitter
@blueprint.response(200, description="How far it is, in the headers.")
def ask(upload_id: UUID) -> Response:
    """Say how many bytes arrived; a PATCH that may still be alive can write no more."""
    grant = _finished(creating.resume(upload_id, actor=current_actor(), now=current_time()))
    response = _progress(grant, status=200)
    if grant.length is None:
        response.headers["Upload-Defer-Length"] = "1"
    else:
        response.headers["Upload-Length"] = str(grant.length)
    if grant.raw_metadata:
        response.headers["Upload-Metadata"] = grant.raw_metadata
    return response


@blueprint.route("/<uuid:upload_id>", methods=["PATCH", "DELETE", "POST"], provide_automatic_options=False)
@requires_submitter
@blueprint.response(204, description="Stored; how far it is, in the headers. Or ended.")
def append(upload_id: UUID) -> Response:
    """Append bytes (PATCH) or give up (DELETE); POST names the method in X-HTTP-Method-Override."""
    method = request.method
    if method == "POST":
        method = request.headers.get("X-HTTP-Method-Override", "").upper()
    carry_out = _METHODS.get(method)
    if carry_out is None:
        raise Malformed("override-needed", "POST here needs X-HTTP-Method-Override: PATCH, HEAD or DELETE.")
    return carry_out(upload_id)


def _append(upload_id: UUID) -> Response:
    if request.mimetype != CONTENT_TYPE:
        raise UnsupportedMediaType(f"Send the bytes as {CONTENT_TYPE}.")
    offset = number("Upload-Offset", required=True)
    checked = checksum()
    length = number("Upload-Length")
    grant = creating.resume(upload_id, actor=current_actor(), now=current_time())
    if offset != grant.offset:
        detail = f"This upload has {grant.offset} bytes; continue there."
        raise Conflict("offset-differs", detail, offset=grant.offset)
    if length is not None:
        grant = creating.set_length(grant, length)
    return _progress(_receive(grant, checked), status=204)


def _terminate(upload_id: UUID) -> Response:
    creating.terminate(upload_id, actor=current_actor(), now=current_time())
    return Response(status=204)


_METHODS: dict[str, Callable[[UUID], Response]] = {"PATCH": _append, "DELETE": _terminate, "HEAD": ask}


def _receive(grant: Grant, checked: receiving.Checksum | None) -> Grant:
    """Hand the raw body over. Werkzeug's own stream would raise on a cut body and throw away what came."""
    is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    return receiving.receive(
        grant,
        body_of(request.environ),
        announced=None if is_chunked else request.content_length or 0,
        checksum=checked,
        store=current_store(),
        now=current_time(),
    )


def _finished(grant: Grant) -> Grant:
    """Finish an upload whose bytes are all here: whoever reads the offset then takes it for complete.

    A request may have died just there, or its file have no bytes at all.
    """
    if grant.is_complete or grant.offset != grant.length:
        return grant
    return finish(grant, [], store=current_store(), now=current_time())


def _progress(grant: Grant, *, status: int) -> Response:
    response = Response(status=status)
    response.headers["Upload-Offset"] = str(grant.offset)
    if not grant.is_complete:
        response.headers["Upload-Expires"] = http_date(grant.expires_at)
    return response
