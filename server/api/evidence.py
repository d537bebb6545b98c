"""Looking at evidence: ask for a link, open it in a browser's <img> or <audio>.

Links carry their own permission, because a browser sends no bearer token for media. Bytes are streamed from
the store with range requests (RFC 9110 section 14), so a player can jump to the second a finding cites.
"""

from typing import Any
from uuid import UUID

import marshmallow as ma
from flask import Response, request, url_for
from marshmallow import validate
from werkzeug.http import parse_range_header

from server.api.auth import current_actor, current_time, requires
from server.api.problems import problem
from server.api.transport import Blueprint
from server.storage import current_store
from server.workflows import evidence
from server.workflows.evidence import MAY_LOOK, Part, Viewing

blueprint = Blueprint(
    "evidence", __name__, url_prefix="/evidence", description="Look at photos and recordings"
)

BYTES = {"type": "string", "format": "binary"}
_INLINE = ("image/jpeg", "image/png", "image/webp", "audio/", "video/")
_SUFFIXES = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/heic": "heic",
    "application/pdf": "pdf",
    "audio/webm": "webm",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "video/webm": "webm",
    "video/mp4": "mp4",
}


class LinkSchema(ma.Schema):
    """Where one person may look at one piece of evidence, until when."""

    content = ma.fields.String(required=True)
    thumbnail = ma.fields.String(allow_none=True)
    rendition = ma.fields.String(
        allow_none=True,
        metadata={"description": "A copy that every browser shows or plays, where the original may not be."},
    )
    waveform = ma.fields.String(allow_none=True)
    expires_at = ma.fields.AwareDateTime(required=True)


class OpenSchema(ma.Schema):
    """A link's permission."""

    token = ma.fields.String(required=True, validate=validate.Length(1, 200))


class WaveformSchema(ma.Schema):
    """A recording's loudness, for drawing: at most 800 peaks from 0 to 100 over its duration."""

    peaks = ma.fields.List(ma.fields.Integer(), required=True)
    duration_seconds = ma.fields.Float(allow_none=True)


@blueprint.get("/<uuid:evidence_id>/link")
@requires(*MAY_LOOK)
@blueprint.response(200, LinkSchema)
def link(evidence_id: UUID) -> dict[str, Any]:
    """Make links to the content and to what was made of it that work for five minutes."""
    made = evidence.make_link(evidence_id, actor=current_actor(), now=current_time())

    def to(view: str) -> str:
        return url_for(f"evidence.{view}", evidence_id=evidence_id, token=made.token)

    return {
        "content": to("content"),
        "thumbnail": to("thumbnail") if made.has_thumbnail else None,
        "rendition": to("rendition") if made.has_rendition else None,
        "waveform": to("waveform") if made.has_waveform else None,
        "expires_at": made.expires_at,
    }


@blueprint.get("/<uuid:evidence_id>/content")
@blueprint.arguments(OpenSchema, location="query")
@blueprint.response(200, BYTES, content_type="*/*", description="All of it, in its own type.")
@blueprint.alt_response(206, schema=BYTES, content_type="*/*", description="The range that was asked for.")
@blueprint.alt_response(416, description="The range lies beyond the end.")
def content(opened: dict[str, str], evidence_id: UUID) -> Response:
    """Stream the original bytes, whole or one range of them."""
    return _stream(_open(evidence_id, "content", opened))


@blueprint.get("/<uuid:evidence_id>/thumbnail")
@blueprint.arguments(OpenSchema, location="query")
@blueprint.response(200, BYTES, content_type="*/*", description="All of it, in its own type.")
@blueprint.alt_response(206, schema=BYTES, content_type="*/*", description="The range that was asked for.")
@blueprint.alt_response(416, description="The range lies beyond the end.")
def thumbnail(opened: dict[str, str], evidence_id: UUID) -> Response:
    """Stream the small JPEG of a photo."""
    return _stream(_open(evidence_id, "thumbnail", opened))


@blueprint.get("/<uuid:evidence_id>/rendition")
@blueprint.arguments(OpenSchema, location="query")
@blueprint.response(200, BYTES, content_type="*/*", description="All of it, in its own type.")
@blueprint.alt_response(206, schema=BYTES, content_type="*/*", description="The range that was asked for.")
@blueprint.alt_response(416, description="The range lies beyond the end.")
def rendition(opened: dict[str, str], evidence_id: UUID) -> Response:
    """Stream the copy that every browser shows or plays: an upright JPEG, an MP3."""
    return _stream(_open(evidence_id, "rendition", opened))


@blueprint.get("/<uuid:evidence_id>/waveform")
@blueprint.arguments(OpenSchema, location="query")
@blueprint.response(200, WaveformSchema)
def waveform(opened: dict[str, str], evidence_id: UUID) -> dict[str, Any]:
    """Return a recording's loudness over time."""
    viewing = _open(evidence_id, "waveform", opened)
    return {"peaks": viewing.peaks, "duration_seconds": viewing.duration_seconds}


def _open(evidence_id: UUID, part: Part, opened: dict[str, str]) -> Viewing:
    asked = request.headers.get("Range")
    return evidence.open_link(
        evidence_id, part, token=opened["token"], byte_range=asked and asked[:100], now=current_time()
    )


def _stream(viewing: Viewing) -> Response:
    """Send the object; anything but one satisfiable range is answered with the whole (or 416)."""
    store = current_store()
    size = store.size(viewing.key)
    start, stop = 0, size
    asked = parse_range_header(request.headers.get("Range"))
    is_partial = (
        asked is not None and asked.units == "bytes" and len(asked.ranges) == 1 and _is_current(viewing)
    )
    if asked is not None and is_partial:
        span = asked.range_for_length(size)
        if span is None:
            return _beyond(size)
        start, stop = span
    response = Response(store.read(viewing.key, start=start, stop=stop), status=206 if is_partial else 200)
    if is_partial:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    response.headers["Content-Length"] = str(stop - start)
    _describe(response, viewing)
    return response


def _is_current(viewing: Viewing) -> bool:
    """An If-Range with another version's tag means: send the whole (RFC 9110 section 13.1.5)."""
    tag = request.headers.get("If-Range")
    return tag is None or (viewing.sha256 is not None and tag == f'"{viewing.sha256.hex()}"')


def _beyond(size: int) -> Response:
    detail = f"This file has {size} bytes; ask for a range inside it."
    answer = problem(status=416, slug="range-not-satisfiable", title="Range not satisfiable", detail=detail)
    answer.headers["Content-Range"] = f"bytes */{size}"
    return answer


def _describe(response: Response, viewing: Viewing) -> None:
    """Say what the bytes are, and see to it that no browser takes them for a page of ours."""
    is_inline = viewing.mime.startswith(_INLINE)
    name = f"{viewing.evidence_id}.{_SUFFIXES.get(viewing.mime, 'bin')}"
    response.headers["Content-Type"] = viewing.mime
    response.headers["Content-Disposition"] = f'{"inline" if is_inline else "attachment"}; filename="{name}"'
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "private, no-store"
    if viewing.sha256 is not None:
        response.headers["ETag"] = f'"{viewing.sha256.hex()}"'
