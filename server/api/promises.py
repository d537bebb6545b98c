"""Promises of debtors, and payments: what was said, what arrived, and where the two differ."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response, stream_with_context

from server.api.auth import current_actor, current_time, requires
from server.api.promise_forms import (
    CasePromisesSchema,
    ClientAcceptanceSchema,
    DiscrepancyPageSchema,
    NewPaymentSchema,
    NewPromiseOnCaseSchema,
    NewPromiseSchema,
    PageQuerySchema,
    PaymentPageSchema,
    PaymentSchema,
    PromisePageSchema,
    PromiseQuerySchema,
    PromiseSchema,
    TableQuerySchema,
    TakenBackSchema,
    render,
    render_case,
    render_discrepancy,
)
from server.api.transport import Blueprint
from server.authority import Role
from server.models.deadlines import Payment
from server.reports import spreadsheet
from server.workflows import payments, promises, status_codes

blueprint = Blueprint("promises", __name__, description="Promises to pay, and payments")
DESK = (Role.DISPATCHER, Role.SUPERVISOR)
READERS = (*DESK, Role.AUDITOR)
TABLE = (
    *("client", "case", "amount", "due_on", "made_at", "source", "state", "paid_in_time"),
    *("follow_up_on", "confirm_on", "accepted_by_client_authorisation"),
)


@blueprint.get("/promises")
@requires(*READERS)
@blueprint.arguments(PromiseQuerySchema, location="query")
@blueprint.response(200, PromisePageSchema)
def page(query: dict[str, Any]) -> dict[str, Any]:
    """List promises on open cases: open, due today, to be confirmed by now (F20), or broken (F16)."""
    limit = query["limit"]
    found = promises.page(which=query["list"], after=query["after"], limit=limit, now=current_time())
    last = found[-1].promise.id if len(found) == limit else None
    return {"promises": [render(one) for one in found], "next": last}


@blueprint.post("/promises")
@requires(*DESK)
@blueprint.arguments(NewPromiseOnCaseSchema)
@blueprint.response(201, PromiseSchema)
def record(body: dict[str, Any]) -> dict[str, Any]:
    """Write down a promise. It accepts no instalment and waives nothing (B37, AMB20)."""
    return _recorded(body.pop("case_id"), body)


@blueprint.get("/cases/<uuid:case_id>/promises")
@requires(*READERS)
@blueprint.response(200, CasePromisesSchema)
def of_case(case_id: UUID) -> dict[str, Any]:
    """List all promises of a case with what became of each."""
    found = promises.of_case(case_id)
    return render_case(found, is_promise_code=status_codes.is_promise(found.client_id, found.status_code))


@blueprint.post("/cases/<uuid:case_id>/promises")
@requires(*DESK)
@blueprint.arguments(NewPromiseSchema)
@blueprint.response(201, PromiseSchema)
@blueprint.alt_response(409, description="It was written down already, or the case is closed.")
def record_on_case(body: dict[str, Any], case_id: UUID) -> dict[str, Any]:
    """Write down a promise on this case. It accepts no instalment and waives nothing (B37, AMB20).

    Safe to repeat with a reference; without one, the same amount due on the same day is refused as the same.
    """
    return _recorded(case_id, body)


def _recorded(case_id: UUID, body: dict[str, Any]) -> dict[str, Any]:
    new = promises.NewPromise(**body)
    return render(promises.record(case_id, new, actor=current_actor(), now=current_time()))


@blueprint.post("/promises/<uuid:promise_id>/withdraw")
@requires(Role.SUPERVISOR)
@blueprint.arguments(TakenBackSchema)
@blueprint.response(200, PromiseSchema)
def withdraw(body: dict[str, Any], promise_id: UUID) -> dict[str, Any]:
    """Take back an open promise that was written down wrongly; it stays on file with the reason."""
    reason, actor = body["reason"], current_actor()
    return render(promises.withdraw(promise_id, reason=reason, actor=actor, now=current_time()))


@blueprint.post("/promises/<uuid:promise_id>/acceptance")
@requires(Role.SUPERVISOR)
@blueprint.arguments(ClientAcceptanceSchema)
@blueprint.response(200, PromiseSchema)
def accept(body: dict[str, Any], promise_id: UUID) -> dict[str, Any]:
    """Note the client's letter that accepts what was promised (D28)."""
    letter, actor = body["authorisation"], current_actor()
    return render(promises.accept(promise_id, authorisation=letter, actor=actor, now=current_time()))


@blueprint.get("/promises/table")
@requires(*READERS)
@blueprint.arguments(TableQuerySchema, location="query")
@blueprint.response(200, {"type": "string"}, content_type="text/csv")
def table(query: dict[str, Any]) -> Response:
    """Return the table of promises as CSV (F13), without names; who took it is logged (I7)."""
    rows = promises.table(**query, actor=current_actor(), now=current_time())
    body = spreadsheet.lines(TABLE, (_row(one) for one in rows))
    answer = Response(stream_with_context(body), content_type=spreadsheet.MIME)
    answer.headers["Content-Disposition"] = 'attachment; filename="promises.csv"'
    return answer


def _row(listed: promises.Listed) -> tuple[object, ...]:
    promise = listed.promise
    return (
        listed.client_reference,
        listed.case_reference,
        spreadsheet.yuan(promise.amount_fen),
        promise.due_on,
        promise.made_at.isoformat(timespec="minutes"),
        promise.source,
        promise.state,
        spreadsheet.yuan(promise.paid_fen),
        promise.follow_up_on,
        listed.confirm_on,
        promise.accepted_by_client_authorisation,
    )


@blueprint.get("/cases/<uuid:case_id>/payments")
@requires(*READERS)
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, PaymentPageSchema)
def payments_of_case(query: dict[str, Any], case_id: UUID) -> dict[str, Any]:
    """List the payments on a case, the last paid first."""
    found: Sequence[Payment] = payments.of_case(case_id, **query)
    return {"payments": found, "next": found[-1].id if len(found) == query["limit"] else None}


@blueprint.post("/cases/<uuid:case_id>/payments")
@requires(*DESK)
@blueprint.arguments(NewPaymentSchema)
@blueprint.response(201, PaymentSchema)
@blueprint.alt_response(409, description="It was entered already, or the reference names another payment.")
def record_payment(body: dict[str, Any], case_id: UUID) -> Payment:
    """Enter a payment. The balance stays the client's number (C4). Safe to repeat with a reference.

    Without one, the same amount on the same day is refused as the same payment.
    """
    new = payments.NewPayment(**body)
    return payments.record(case_id, new, actor=current_actor(), now=current_time())


@blueprint.post("/payments/<uuid:payment_id>/void")
@requires(Role.SUPERVISOR)
@blueprint.arguments(TakenBackSchema)
@blueprint.response(200, PaymentSchema)
def void(body: dict[str, Any], payment_id: UUID) -> Payment:
    """Take back an entry of the office that was a mistake; it counts nowhere any more."""
    actor, now = current_actor(), current_time()
    return payments.void(payment_id, reason=body["reason"], actor=actor, now=now)


@blueprint.get("/payments/discrepancies")
@requires(*READERS)
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, DiscrepancyPageSchema)
def discrepancies(query: dict[str, Any]) -> dict[str, Any]:
    """List entries of the office that the client's statement does not bear out (C3)."""
    found = payments.discrepancies(**query, now=current_time())
    last = found[-1].payment.id if len(found) == query["limit"] else None
    return {"discrepancies": [render_discrepancy(one) for one in found], "next": last}
