"""Letters: the clients' approved templates, the letters written from them, and where each went.

Lists and single letters never show a name or the text; reading the text says why and is logged.
"""

from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint, Day
from server.authority import Role
from server.models.letters import KINDS, LETTER_RECIPIENTS, Letter
from server.workflows import deliveries, letter_desk, letter_templates
from server.workflows.letter_desk import LetterFile
from server.workflows.letters import WantedLetter

blueprint = Blueprint("letters", __name__, description="Letters to liable persons")
NAME = validate.Length(1, 200)


class NewTemplateSchema(ma.Schema):
    """Words as the client approved them. `parts`: cause, measures, expectation, reminder (H16)."""

    client = ma.fields.String(required=True, validate=NAME)
    reference = ma.fields.String(required=True, validate=validate.Length(1, 100))
    version = ma.fields.Integer(required=True, strict=True, validate=validate.Range(1, 100_000))
    kind = ma.fields.String(required=True, validate=validate.OneOf(KINDS))
    title = ma.fields.String(required=True, validate=NAME)
    body = ma.fields.String(required=True, validate=validate.Length(1, 20_000))
    parts = ma.fields.Dict(
        keys=ma.fields.String(validate=validate.Length(1, 40)),
        values=ma.fields.String(validate=validate.Length(1, 5_000)),
        load_default=dict,
        validate=validate.Length(max=20),
    )
    agency_name = ma.fields.String(required=True, validate=NAME)
    agency_phone = ma.fields.String(required=True, validate=validate.Length(3, 40))
    approved_by = ma.fields.String(required=True, validate=NAME)
    approval_reference = ma.fields.String(required=True, validate=NAME)
    approved_on = Day(required=True)


class TemplateSchema(ma.Schema):
    """A template as it was entered; `withdrawn_at` is null while it stands."""

    id = ma.fields.UUID()
    client_id = ma.fields.UUID()
    reference = ma.fields.String()
    version = ma.fields.Integer()
    kind = ma.fields.String(validate=validate.OneOf(KINDS))
    title = ma.fields.String()
    body = ma.fields.String()
    parts = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    agency_name = ma.fields.String()
    agency_phone = ma.fields.String()
    approved_by = ma.fields.String()
    approval_reference = ma.fields.String()
    approved_on = ma.fields.Date()
    entered_by = ma.fields.UUID()
    entered_at = ma.fields.AwareDateTime()
    withdrawn_at = ma.fields.AwareDateTime(allow_none=True)


class PlaceholdersSchema(ma.Schema):
    """What a sound template is filled with."""

    placeholders = ma.fields.List(ma.fields.String())


class TemplateQuerySchema(ma.Schema):
    """Which templates, and where the page starts."""

    client = ma.fields.String(load_default=None)
    is_standing = ma.fields.Boolean(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class TemplatePageSchema(ma.Schema):
    """One page; `next` is null on the last."""

    templates = ma.fields.List(ma.fields.Nested(TemplateSchema))
    next = ma.fields.UUID(allow_none=True)


class NewLetterSchema(ma.Schema):
    """A letter to write. A liable person is named by `contact_id` unless the case has only one."""

    template = ma.fields.String(required=True, validate=validate.Length(1, 100))
    recipient = ma.fields.String(required=True, validate=validate.OneOf(LETTER_RECIPIENTS))
    contact_id = ma.fields.UUID(load_default=None, allow_none=True)
    pay_by = Day(load_default=None, allow_none=True)


class DeliverySchema(ma.Schema):
    """What became of a letter; who took it is not shown, only whose relation they are."""

    id = ma.fields.UUID()
    method = ma.fields.String()
    at = ma.fields.AwareDateTime()
    visit_id = ma.fields.UUID(allow_none=True)
    relation = ma.fields.String()
    signed = ma.fields.Boolean()
    evidence_id = ma.fields.UUID(allow_none=True)
    posted_on = ma.fields.Date(allow_none=True)
    received_on = ma.fields.Date(allow_none=True)
    returned_on = ma.fields.Date(allow_none=True)
    proof = ma.fields.String()
    ledger_entry_id = ma.fields.UUID(allow_none=True)


class IssuedLetterSchema(ma.Schema):
    """A letter without its text."""

    id = ma.fields.UUID()
    case_id = ma.fields.UUID()
    assignment_id = ma.fields.UUID(allow_none=True)
    template = ma.fields.String()
    version = ma.fields.Integer()
    kind = ma.fields.String(validate=validate.OneOf(KINDS))
    recipient = ma.fields.String(validate=validate.OneOf(LETTER_RECIPIENTS))
    contact_id = ma.fields.UUID(allow_none=True)
    outstanding_fen = ma.fields.Integer()
    balance_as_of = ma.fields.Date()
    pay_by = ma.fields.Date(allow_none=True)
    pairing_code = ma.fields.String()
    sha256 = ma.fields.String()
    state = ma.fields.String()
    issued_at = ma.fields.AwareDateTime()
    issued_by = ma.fields.UUID(allow_none=True)
    sealed_at = ma.fields.AwareDateTime(allow_none=True)
    void_reason = ma.fields.String()
    deliveries = ma.fields.List(ma.fields.Nested(DeliverySchema))


class LetterQuerySchema(ma.Schema):
    """Where a page starts and how long it is."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class LetterPageSchema(ma.Schema):
    """One page, oldest first; `next` is null on the last."""

    letters = ma.fields.List(ma.fields.Nested(IssuedLetterSchema))
    next = ma.fields.UUID(allow_none=True)


class ReadingSchema(ma.Schema):
    """Why somebody needs the text."""

    reason = ma.fields.String(required=True, validate=validate.Length(3, 500))


class ContentSchema(ma.Schema):
    """The text, and the digest that it answers to."""

    id = ma.fields.UUID()
    content = ma.fields.String()
    sha256 = ma.fields.String()


class SealingSchema(ma.Schema):
    """The codes read from the letter and from its envelope, and that the seal is on it."""

    letter_code = ma.fields.String(required=True, validate=validate.Length(1, 20))
    envelope_code = ma.fields.String(required=True, validate=validate.Length(1, 20))
    is_stamped = ma.fields.Boolean(
        required=True,
        truthy={True},
        falsy={False},
        validate=validate.Equal(True, error="Stamp it first (H18)."),
    )


class VoidSchema(ma.Schema):
    """Why a letter is taken back."""

    reason = ma.fields.String(required=True, validate=validate.Length(1, 500))


class PostingSchema(ma.Schema):
    """When a letter was posted, and received or returned. `proof` tells what shows it: a tracking number."""

    posted_on = Day(required=True)
    received_on = Day(load_default=None, allow_none=True)
    returned_on = Day(load_default=None, allow_none=True)
    proof = ma.fields.String(load_default="", validate=validate.Length(max=500))


def _shown(file: LetterFile) -> dict[str, Any]:
    letter, template = file.letter, file.template
    plain = {name: getattr(letter, name) for name in IssuedLetterSchema().fields if hasattr(letter, name)}
    words = {"template": template.reference, "version": template.version, "kind": template.kind}
    return {**plain, **words, "sha256": letter.sha256.hex(), "deliveries": file.deliveries}


@blueprint.post("/letter-templates")
@requires(Role.SUPERVISOR, Role.ADMIN)
@blueprint.arguments(NewTemplateSchema)
@blueprint.response(201, TemplateSchema)
def enter_template(body: dict[str, Any]) -> Any:
    """Take in a template the client approved; it replaces the standing version."""
    new = letter_templates.NewTemplate(**body)
    return letter_templates.enter(new, actor=current_actor(), now=current_time())


@blueprint.post("/letter-templates/check")
@requires(Role.SUPERVISOR, Role.ADMIN)
@blueprint.arguments(NewTemplateSchema)
@blueprint.response(200, PlaceholdersSchema)
def check_template(body: dict[str, Any]) -> dict[str, Any]:
    """Check a template and store nothing."""
    names = letter_templates.check(letter_templates.NewTemplate(**body), now=current_time())
    return {"placeholders": sorted(names)}


@blueprint.get("/letter-templates")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN)
@blueprint.arguments(TemplateQuerySchema, location="query")
@blueprint.response(200, TemplatePageSchema)
def templates(query: dict[str, Any]) -> dict[str, Any]:
    """List templates in the order they were entered."""
    found = letter_templates.list_templates(**query)
    return {"templates": found, "next": found[-1].id if len(found) == query["limit"] else None}


@blueprint.post("/letter-templates/<uuid:template_id>/withdraw")
@requires(Role.SUPERVISOR, Role.ADMIN)
@blueprint.response(200, TemplateSchema)
def withdraw_template(template_id: UUID) -> Any:
    """Take a template out of use."""
    return letter_templates.withdraw(template_id, actor=current_actor(), now=current_time())


@blueprint.post("/cases/<uuid:case_id>/letters")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(NewLetterSchema)
@blueprint.response(201, IssuedLetterSchema)
def issue(body: dict[str, Any], case_id: UUID) -> dict[str, Any]:
    """Write a letter that no visit carries."""
    wanted = WantedLetter(**body)
    return _shown(letter_desk.issue(case_id, wanted, actor=current_actor(), now=current_time()))


@blueprint.get("/cases/<uuid:case_id>/letters")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(LetterQuerySchema, location="query")
@blueprint.response(200, LetterPageSchema)
def page(query: dict[str, Any], case_id: UUID) -> dict[str, Any]:
    """List the letters filed on a case."""
    found = letter_desk.list_letters(case_id, **query)
    last = found[-1].letter.id if len(found) == query["limit"] else None
    return {"letters": [_shown(file) for file in found], "next": last}


@blueprint.get("/letters/<uuid:letter_id>")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.response(200, IssuedLetterSchema)
def one(letter_id: UUID) -> dict[str, Any]:
    """Return a letter and what became of it, without its text."""
    return _shown(letter_desk.open_letter(letter_id))


@blueprint.post("/letters/<uuid:letter_id>/content")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR)
@blueprint.arguments(ReadingSchema)
@blueprint.response(200, ContentSchema)
def content(body: dict[str, Any], letter_id: UUID) -> dict[str, Any]:
    """Return a letter's text, to print or to check; who read it and why is logged."""
    letter: Letter = letter_desk.read_content(letter_id, **body, actor=current_actor(), now=current_time())
    return {"id": letter.id, "content": letter.content, "sha256": letter.sha256.hex()}


@blueprint.post("/letters/<uuid:letter_id>/sealed")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(SealingSchema)
@blueprint.response(200, IssuedLetterSchema)
def sealed(body: dict[str, Any], letter_id: UUID) -> dict[str, Any]:
    """Record that the stamped letter lies in its own envelope."""
    codes = {name: body[name] for name in ("letter_code", "envelope_code")}
    return _shown(letter_desk.seal(letter_id, **codes, actor=current_actor(), now=current_time()))


@blueprint.post("/letters/<uuid:letter_id>/void")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(VoidSchema)
@blueprint.response(200, IssuedLetterSchema)
def void(body: dict[str, Any], letter_id: UUID) -> dict[str, Any]:
    """Take back a letter that has not reached anybody."""
    return _shown(letter_desk.void(letter_id, reason=body["reason"]))


@blueprint.post("/letters/<uuid:letter_id>/deliveries")
@requires(Role.DISPATCHER, Role.SUPERVISOR)
@blueprint.arguments(PostingSchema)
@blueprint.response(200, IssuedLetterSchema)
def post(body: dict[str, Any], letter_id: UUID) -> dict[str, Any]:
    """Record that a sealed letter was posted, and later that it was received or came back."""
    posting = deliveries.Posting(**body)
    deliveries.record_posting(letter_id, posting, actor=current_actor(), now=current_time())
    return _shown(letter_desk.open_letter(letter_id))
