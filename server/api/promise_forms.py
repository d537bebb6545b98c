"""How are promises and payments written in JSON? Amounts are fen."""

from typing import Any, Final

import marshmallow as ma
from marshmallow import validate

from server.api.transport import Day, Instant
from server.models.deadlines import PAYMENT_SOURCES, PROMISE_EVENTS, PROMISE_SOURCES, PROMISE_STATES
from server.workflows.payments import Discrepancy
from server.workflows.promises import LISTS, Listed, OfCase

AMOUNT: Final = validate.Range(1, 10**15)
REFERENCE: Final = validate.Length(1, 200)
REASON: Final = validate.Length(3, 2000)
LIMIT: Final = validate.Range(1, 200)


class NewPromiseSchema(ma.Schema):
    """What the debtor promised. Writing it down accepts nothing (AMB20); `reference` makes it repeatable."""

    amount_fen = ma.fields.Integer(required=True, strict=True, validate=AMOUNT)
    due_on = Day(required=True)
    made_at = Instant(load_default=None, metadata={"description": "left out: now"})
    follow_up_on = Day(load_default=None, allow_none=True)
    reference = ma.fields.String(load_default=None, validate=REFERENCE)


class NewPromiseOnCaseSchema(NewPromiseSchema):
    """The same, naming the case."""

    case_id = ma.fields.UUID(required=True)


class PromiseSchema(ma.Schema):
    """A debtor's promise and what became of it. `confirm_on`: when to remind the debtor (F20, AMB22)."""

    id = ma.fields.UUID()
    reference = ma.fields.String()
    client = ma.fields.String(metadata={"description": "the client's reference"})
    case_id = ma.fields.UUID()
    case_reference = ma.fields.String()
    amount_fen = ma.fields.Integer()
    due_on = ma.fields.Date()
    follow_up_on = ma.fields.Date(allow_none=True)
    confirm_on = ma.fields.Date()
    made_at = ma.fields.AwareDateTime()
    source = ma.fields.String(validate=validate.OneOf(PROMISE_SOURCES))
    recorded_by = ma.fields.UUID(allow_none=True)
    visit_id = ma.fields.UUID(allow_none=True)
    account_id = ma.fields.UUID(allow_none=True)
    state = ma.fields.String(validate=validate.OneOf(PROMISE_STATES))
    settled_at = ma.fields.AwareDateTime(allow_none=True)
    paid_fen = ma.fields.Integer(metadata={"description": "how much of it arrived in time"})
    accepted_by_client_authorisation = ma.fields.String(
        metadata={"description": "the client's letter that accepts it (D28); empty: nobody accepted anything"}
    )


class PromiseEventSchema(ma.Schema):
    """One change of what became of a promise. `by` null: it was computed."""

    at = ma.fields.AwareDateTime()
    kind = ma.fields.String(validate=validate.OneOf(PROMISE_EVENTS))
    by = ma.fields.UUID(allow_none=True)
    reason = ma.fields.String(allow_none=True)


class PromiseWithEventsSchema(PromiseSchema):
    """The same with its history, oldest first."""

    events = ma.fields.List(ma.fields.Nested(PromiseEventSchema))


class CasePromisesSchema(ma.Schema):
    """All promises of a case, newest first, beside the status the case carries (D1)."""

    promises = ma.fields.List(ma.fields.Nested(PromiseWithEventsSchema))
    status_code = ma.fields.String()
    is_status_true = ma.fields.Boolean(
        metadata={"description": "false: the status says that a promise stands, and none is open"}
    )


class PromiseQuerySchema(ma.Schema):
    """Which list, and where the page starts."""

    list = ma.fields.String(load_default="open", validate=validate.OneOf(LISTS))
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=LIMIT)


class PromisePageSchema(ma.Schema):
    """One page; `next` is null on the last."""

    promises = ma.fields.List(ma.fields.Nested(PromiseSchema))
    next = ma.fields.UUID(allow_none=True)


class TableQuerySchema(ma.Schema):
    """Which promises, by the day they are due and by what became of them."""

    due_from = Day(required=True)
    due_until = Day(required=True)
    state = ma.fields.String(load_default=None, validate=validate.OneOf(PROMISE_STATES))


class TakenBackSchema(ma.Schema):
    """Why it is taken back."""

    reason = ma.fields.String(required=True, validate=REASON)


class ClientAcceptanceSchema(ma.Schema):
    """The client's letter that accepts what was promised."""

    authorisation = ma.fields.String(required=True, validate=REASON)


class NewPaymentSchema(ma.Schema):
    """What the office knows of a payment. It changes no debt (C4); the statement must show it (C3)."""

    amount_fen = ma.fields.Integer(required=True, strict=True, validate=AMOUNT)
    paid_on = Day(required=True)
    reference = ma.fields.String(load_default=None, validate=REFERENCE)


class PaymentSchema(ma.Schema):
    """Money that is said to have arrived. `confirmed_by`: the line of the client's statement."""

    id = ma.fields.UUID()
    reference = ma.fields.String()
    case_id = ma.fields.UUID()
    amount_fen = ma.fields.Integer()
    paid_on = ma.fields.Date()
    source = ma.fields.String(validate=validate.OneOf(PAYMENT_SOURCES))
    recorded_by = ma.fields.UUID(allow_none=True)
    recorded_at = ma.fields.AwareDateTime()
    confirmed_by = ma.fields.UUID(allow_none=True)
    voided_at = ma.fields.AwareDateTime(allow_none=True)
    voided_by = ma.fields.UUID(allow_none=True)
    void_reason = ma.fields.String(allow_none=True)


class PageQuerySchema(ma.Schema):
    """Where a page starts and how long it is."""

    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=LIMIT)


class PaymentPageSchema(ma.Schema):
    """One page of payments, the last paid first; `next` is null on the last."""

    payments = ma.fields.List(ma.fields.Nested(PaymentSchema))
    next = ma.fields.UUID(allow_none=True)


class DiscrepancySchema(PaymentSchema):
    """An entry of the office that the client's statement does not bear out (C3)."""

    case_reference = ma.fields.String()
    kind = ma.fields.String(validate=validate.OneOf(["missing", "differs"]))
    statement_fen = ma.fields.Integer(allow_none=True)


class DiscrepancyPageSchema(ma.Schema):
    """One page of discrepancies, oldest entry first; `next` is null on the last."""

    discrepancies = ma.fields.List(ma.fields.Nested(DiscrepancySchema))
    next = ma.fields.UUID(allow_none=True)


def render(listed: Listed) -> dict[str, Any]:
    """Write a promise with what a list shows beside it."""
    promise = listed.promise
    named = {name: getattr(promise, name) for name in PromiseSchema().fields if hasattr(promise, name)}
    return {
        **named,
        "client": listed.client_reference,
        "case_reference": listed.case_reference,
        "confirm_on": listed.confirm_on,
    }


def render_case(found: OfCase, *, is_promise_code: bool) -> dict[str, Any]:
    """Write all promises of a case, each with its history."""
    return {
        "promises": [{**render(one), "events": found.events.get(one.promise.id, [])} for one in found.listed],
        "status_code": found.status_code,
        "is_status_true": found.is_promise_open or not is_promise_code,
    }


def render_discrepancy(one: Discrepancy) -> dict[str, Any]:
    """Write an entry with what the statement says instead."""
    named = {name: getattr(one.payment, name) for name in PaymentSchema().fields}
    return {
        **named,
        "case_reference": one.case_reference,
        "kind": one.kind,
        "statement_fen": one.statement_fen,
    }
