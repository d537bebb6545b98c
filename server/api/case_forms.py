"""How is a case written down in JSON, and what of it is masked?

Identity and account numbers are hidden from everybody (AMB10); names, phones and streets are shown to
those whose read was logged.
"""

from collections.abc import Callable
from typing import Any

import marshmallow as ma
from marshmallow import validate

from server.api.transport import Day, Instant
from server.models.cases import Address, Case, Client, Contact, Debtor
from server.pii import mask_address, mask_name, mask_number, mask_phone
from server.workflows.cases import CaseFile

Mask = Callable[[str | None], str | None]


class HoldSchema(ma.Schema):
    """A reason why nothing may be done until it is released."""

    id = ma.fields.UUID()
    scope = ma.fields.String(metadata={"description": "`debtor` stops all the debtor's cases"})
    case_id = ma.fields.UUID()
    reason = ma.fields.String()
    note = ma.fields.String()
    raised_at = ma.fields.AwareDateTime()
    raised_by = ma.fields.UUID(allow_none=True)
    raised_by_item = ma.fields.UUID(allow_none=True)
    released_at = ma.fields.AwareDateTime(allow_none=True)
    released_by = ma.fields.UUID(allow_none=True)
    release_instruction = ma.fields.String(allow_none=True)


class HardshipSchema(ma.Schema):
    """What hardship a debtor is in; an empty list: none."""

    hardship = ma.fields.List(
        ma.fields.String(validate=validate.OneOf(["serious_illness", "financial_hardship", "pregnancy"])),
        required=True,
        validate=validate.Length(max=3),
    )


class DebtorSchema(HardshipSchema):
    """Who owes."""

    id = ma.fields.UUID()
    reference = ma.fields.String()
    name = ma.fields.String(allow_none=True)
    id_number = ma.fields.String(allow_none=True)
    phone = ma.fields.String(allow_none=True)
    erased_at = ma.fields.AwareDateTime(allow_none=True, metadata={"description": "see `erasures`"})


class AddressSchema(ma.Schema):
    """Where somebody may be found. `contact_id` null: the debtor's own."""

    id = ma.fields.UUID()
    reference = ma.fields.String()
    case_id = ma.fields.UUID()
    contact_id = ma.fields.UUID(allow_none=True)
    kind = ma.fields.String()
    text = ma.fields.String(allow_none=True)
    latitude = ma.fields.Float(allow_none=True)
    longitude = ma.fields.Float(allow_none=True)
    status = ma.fields.String()
    source = ma.fields.String()
    verified_at = ma.fields.AwareDateTime(allow_none=True)
    verified_by = ma.fields.UUID(allow_none=True)


class ContactSchema(ma.Schema):
    """A third party."""

    id = ma.fields.UUID()
    reference = ma.fields.String()
    name = ma.fields.String(allow_none=True)
    phone = ma.fields.String(allow_none=True)
    relation = ma.fields.String()
    liable = ma.fields.Boolean()
    sensitive_occupation = ma.fields.String()
    stop_contact = ma.fields.Boolean()
    stop_reason = ma.fields.String()


class CaseSummarySchema(ma.Schema):
    """A case in a list."""

    id = ma.fields.UUID()
    reference = ma.fields.String()
    client = ma.fields.String(metadata={"description": "the client's reference"})
    state = ma.fields.String()
    status_code = ma.fields.String()
    outstanding_fen = ma.fields.Integer()
    balance_as_of = ma.fields.Date(allow_none=True)
    debtor_id = ma.fields.UUID()
    debtor_name = ma.fields.String(allow_none=True, metadata={"description": "masked"})


class ListedCaseSchema(CaseSummarySchema):
    """A case in a list, and whose queue it is in."""

    queue = ma.fields.String(metadata={"description": "headquarters: more than 30 days overdue (D30)"})


class CasePageSchema(ma.Schema):
    """One page of cases; `next` is null on the last."""

    cases = ma.fields.List(ma.fields.Nested(ListedCaseSchema))
    next = ma.fields.UUID(allow_none=True)


class CaseSchema(CaseSummarySchema):
    """A case with everything around it."""

    principal_fen = ma.fields.Integer()
    account_number = ma.fields.String(allow_none=True)
    overdue_since = ma.fields.Date(allow_none=True)
    hand = ma.fields.String()
    allocated_on = ma.fields.Date(allow_none=True)
    daily_visit_cap = ma.fields.Integer(allow_none=True)
    special_flags = ma.fields.List(ma.fields.String())
    reviewed_at = ma.fields.AwareDateTime(allow_none=True)
    special_note = ma.fields.String()
    note_acknowledged_at = ma.fields.AwareDateTime(allow_none=True)
    is_masked = ma.fields.Boolean()
    debtor = ma.fields.Nested(DebtorSchema)
    addresses = ma.fields.List(ma.fields.Nested(AddressSchema))
    contacts = ma.fields.List(ma.fields.Nested(ContactSchema))
    holds = ma.fields.List(ma.fields.Nested(HoldSchema), metadata={"description": "open ones"})


class LedgerEntrySchema(ma.Schema):
    """A contact on a case."""

    id = ma.fields.UUID(dump_only=True)
    reference = ma.fields.String(validate=validate.Length(1, 200))
    channel = ma.fields.String(required=True, validate=validate.OneOf(["call", "letter", "visit", "inbound"]))
    at = Instant(required=True)
    effective = ma.fields.Boolean()
    connected = ma.fields.Boolean(allow_none=True, metadata={"description": "of a call: somebody answered"})
    counterpart = ma.fields.String(validate=validate.Length(max=200))
    result = ma.fields.String(validate=validate.Length(max=4000))
    received_on = Day(allow_none=True)
    asks_for_visit = ma.fields.Boolean()
    visit_on = Day(allow_none=True)
    visit_id = ma.fields.UUID(
        allow_none=True,
        metadata={
            "description": "the phones' own visit that an entry of a visit is about, so that it counts once; "
            "an entry without one is given it by repeating it under its reference"
        },
    )
    recorded_by = ma.fields.UUID(dump_only=True, allow_none=True)


class LedgerPageSchema(ma.Schema):
    """One page of the ledger, newest first; `next` is null on the last."""

    entries = ma.fields.List(ma.fields.Nested(LedgerEntrySchema))
    next = ma.fields.UUID(allow_none=True)


def _shown(mask: Mask, *, is_masked: bool) -> Mask:
    return mask if is_masked else lambda text: text


def render_summary(case: Case, debtor: Debtor, client: Client) -> dict[str, Any]:
    """Write a case for a list; never unmasked."""
    return {
        "id": case.id,
        "reference": case.reference,
        "client": client.reference,
        "state": case.state,
        "status_code": case.status_code,
        "outstanding_fen": case.outstanding_fen,
        "balance_as_of": case.balance_as_of,
        "debtor_id": debtor.id,
        "debtor_name": mask_name(debtor.name),
    }


def render_case(file: CaseFile, *, is_masked: bool) -> dict[str, Any]:
    """Write a case with everything around it."""
    case, debtor = file.case, file.debtor
    of_case = {name: getattr(case, name) for name in CaseSchema().fields if hasattr(case, name)}
    return {
        **of_case,
        **render_summary(case, debtor, file.client),
        "debtor_name": _shown(mask_name, is_masked=is_masked)(debtor.name),
        "account_number": mask_number(case.account_number),
        "is_masked": is_masked,
        "debtor": {
            "id": debtor.id,
            "reference": debtor.reference,
            "name": _shown(mask_name, is_masked=is_masked)(debtor.name),
            "id_number": mask_number(debtor.id_number),
            "phone": _shown(mask_phone, is_masked=is_masked)(debtor.phone),
            "hardship": debtor.hardship,
            "erased_at": debtor.erased_at,
        },
        "addresses": [render_address(address, is_masked=is_masked) for address in file.addresses],
        "contacts": [_render_contact(contact, is_masked=is_masked) for contact in file.contacts],
        "holds": list(file.holds),
    }


def render_address(address: Address, *, is_masked: bool) -> dict[str, Any]:
    """Write an address. Masked, the point is rounded to about a kilometre: it would name the door."""
    facts = {name: getattr(address, name) for name in AddressSchema().fields}
    if is_masked:
        facts["text"] = mask_address(address.text)
        facts["latitude"] = None if address.latitude is None else round(address.latitude, 2)
        facts["longitude"] = None if address.longitude is None else round(address.longitude, 2)
    return facts


def _render_contact(contact: Contact, *, is_masked: bool) -> dict[str, Any]:
    facts = {name: getattr(contact, name) for name in ContactSchema().fields}
    return facts | {
        "name": _shown(mask_name, is_masked=is_masked)(contact.name),
        "phone": _shown(mask_phone, is_masked=is_masked)(contact.phone),
    }
