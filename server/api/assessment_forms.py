"""Schemas of the monthly assessment, and how its values are rendered."""

from typing import Any

import marshmallow as ma
from marshmallow import validate

from server.api.transport import Day
from server.reports.assessment import Assessment, Evidence, Proposal
from server.workflows.assessments.showing import Shown, Summary, words_of

MONTH = r"[0-9]{4}-(0[1-9]|1[0-2])"
MOST_FEN = 10**11


class EvidenceSchema(ma.Schema):
    """Where to look."""

    kind = ma.fields.String(metadata={"description": "finding, complaint, fraud, or clock (id: the case)"})
    id = ma.fields.UUID()
    rule = ma.fields.String(metadata={"description": "the rule that was broken there"})


class ProposalDecisionSchema(ma.Schema):
    """What a supervisor made of a proposal."""

    decision = ma.fields.String(metadata={"description": "upheld or dropped"})
    amount_fen = ma.fields.Integer(allow_none=True)
    reason = ma.fields.String()
    decided_by = ma.fields.UUID()
    decided_at = ma.fields.AwareDateTime()


class ProposalSchema(ma.Schema):
    """One charge that the rules would make; never a deduction."""

    key = ma.fields.String(metadata={"description": "names it within the person's month"})
    rule = ma.fields.String()
    quotation = ma.fields.String(metadata={"description": "the rule's exact words"})
    least_fen = ma.fields.Integer(allow_none=True, metadata={"description": "null: the source names none"})
    most_fen = ma.fields.Integer(allow_none=True)
    with_warning = ma.fields.Boolean(metadata={"description": "the rule also asks for a formal warning"})
    notes = ma.fields.List(ma.fields.String())
    evidence = ma.fields.List(ma.fields.Nested(EvidenceSchema))
    decision = ma.fields.Nested(ProposalDecisionSchema, allow_none=True)


class MeasureSchema(ma.Schema):
    """What follows from a problem, as the breach desk wrote it down or would now (E8)."""

    check = ma.fields.String()
    rule = ma.fields.String()
    measure = ma.fields.String(metadata={"description": "coaching or discipline"})
    evidence = ma.fields.List(ma.fields.Nested(EvidenceSchema))


class LimitSchema(ma.Schema):
    """The most that wage law would let anybody deduct in the month (AMB8)."""

    most_fen = ma.fields.Integer(allow_none=True, metadata={"description": "null: it could not be applied"})
    because = ma.fields.String(metadata={"description": "share-of-wage, minimum-wage, no-wage-on-record"})
    lawful_least_fen = ma.fields.Integer(allow_none=True)
    lawful_most_fen = ma.fields.Integer(allow_none=True)
    lawful_upheld_fen = ma.fields.Integer(allow_none=True)


class ReplySchema(ma.Schema):
    """What the person said."""

    at = ma.fields.AwareDateTime()
    text = ma.fields.String()


class PersonMonthSchema(ma.Schema):
    """One person's month."""

    staff_id = ma.fields.UUID()
    employee_number = ma.fields.String()
    name = ma.fields.String()
    branch = ma.fields.String()
    revision = ma.fields.Integer(allow_none=True, metadata={"description": "null: a preview, still open"})
    counted = ma.fields.Integer(metadata={"description": "breaches that fill the tolerance (E2)"})
    tolerated = ma.fields.Integer()
    proposals = ma.fields.List(ma.fields.Nested(ProposalSchema))
    measures = ma.fields.List(ma.fields.Nested(MeasureSchema))
    least_fen = ma.fields.Integer()
    most_fen = ma.fields.Integer()
    upheld_fen = ma.fields.Integer()
    is_open_ended = ma.fields.Boolean(metadata={"description": "a proposal without an amount is among them"})
    limit = ma.fields.Nested(LimitSchema)
    replies = ma.fields.List(ma.fields.Nested(ReplySchema))


class BranchSumSchema(ma.Schema):
    """What a branch's people are proposed in sum."""

    branch = ma.fields.String(metadata={"description": "as at the staff's rows; empty where none is set"})
    people = ma.fields.Integer()
    proposals = ma.fields.Integer()
    open_ended = ma.fields.Integer(metadata={"description": "proposals without an amount"})
    least_fen = ma.fields.Integer()
    most_fen = ma.fields.Integer()


class UnattributedSchema(ma.Schema):
    """Missed clocks that are nobody's (E1)."""

    client = ma.fields.String()
    rule = ma.fields.String()
    count = ma.fields.Integer()


class ClosingSchema(ma.Schema):
    """One closing of a month."""

    revision = ma.fields.Integer()
    closed_at = ma.fields.AwareDateTime()
    closed_by = ma.fields.UUID()
    reason = ma.fields.String()
    sha256 = ma.fields.String(metadata={"description": "over the tariff and everybody's facts"})
    people = ma.fields.Integer()


class AssessedMonthSchema(ma.Schema):
    """A month's assessment in sum."""

    month = ma.fields.Date()
    closed = ma.fields.Nested(ClosingSchema, allow_none=True, metadata={"description": "null: a preview"})
    branches = ma.fields.List(ma.fields.Nested(BranchSumSchema))
    unattributed_clocks = ma.fields.List(ma.fields.Nested(UnattributedSchema))
    days_looked = ma.fields.Integer(
        metadata={"description": "on so many days of the month missed clocks were written down (E1)"}
    )
    is_intact = ma.fields.Boolean(metadata={"description": "what was kept still has the digest it was given"})
    has_changed_since = ma.fields.Boolean(metadata={"description": "closing again would propose otherwise"})
    reply_until = ma.fields.AwareDateTime(allow_none=True)


class PeopleQuerySchema(ma.Schema):
    """Whose months, and where the page starts."""

    branch = ma.fields.String(load_default=None)
    after = ma.fields.UUID(load_default=None)
    limit = ma.fields.Integer(load_default=50, validate=validate.Range(1, 200))


class PeopleSchema(ma.Schema):
    """One page; `next` is null on the last."""

    people = ma.fields.List(ma.fields.Nested(PersonMonthSchema))
    next = ma.fields.UUID(allow_none=True)


class CloseSchema(ma.Schema):
    """Why a month is closed again; the first time needs no reason."""

    reason = ma.fields.String(load_default="", validate=validate.Length(max=2000))


class DecideSchema(ma.Schema):
    """What becomes of one proposal."""

    key = ma.fields.String(required=True, validate=validate.Length(1, 200))
    decision = ma.fields.String(required=True, validate=validate.OneOf(["upheld", "dropped"]))
    amount_fen = ma.fields.Integer(load_default=None, validate=validate.Range(0, MOST_FEN))
    reason = ma.fields.String(required=True, validate=validate.Length(1, 2000))


class WageSchema(ma.Schema):
    """A person's wage of a month, and the local minimum wage of that month."""

    wage_fen = ma.fields.Integer(required=True, validate=validate.Range(0, MOST_FEN))
    minimum_fen = ma.fields.Integer(required=True, validate=validate.Range(1, MOST_FEN))


class FraudSchema(ma.Schema):
    """A fraud that an investigation proved (E6)."""

    staff_id = ma.fields.UUID(required=True)
    finding_ids = ma.fields.List(ma.fields.UUID(), required=True, validate=validate.Length(1, 100))
    words = ma.fields.String(required=True, validate=validate.Length(1, 5000))


class FraudRecordedSchema(ma.Schema):
    """The ruling's id and the day it counts on."""

    id = ma.fields.UUID()
    staff_id = ma.fields.UUID()
    committed_on = ma.fields.Date()


class ReplyTextSchema(ma.Schema):
    """What the person says."""

    text = ma.fields.String(required=True, validate=validate.Length(1, 5000))


class MissedQuerySchema(ma.Schema):
    """Which missed clocks."""

    unattributed = ma.fields.Boolean(load_default=False)
    after = ma.fields.String(load_default=None, validate=validate.Length(max=120))
    limit = ma.fields.Integer(load_default=100, validate=validate.Range(1, 500))


class MissedClockSchema(ma.Schema):
    """One deadline that passed."""

    case_id = ma.fields.UUID()
    case_reference = ma.fields.String()
    client = ma.fields.String()
    rule = ma.fields.String()
    opened_on = ma.fields.Date()
    due_on = ma.fields.Date()
    because = ma.fields.String(metadata={"description": "late: it was met after its deadline"})
    staff_id = ma.fields.UUID(allow_none=True, metadata={"description": "whom a supervisor put it down to"})


class MissedPageSchema(ma.Schema):
    """One page; `next` is null on the last."""

    clocks = ma.fields.List(ma.fields.Nested(MissedClockSchema))
    next = ma.fields.String(allow_none=True)


class AttributionSchema(ma.Schema):
    """Whose a missed clock was; null: nobody's again."""

    case_id = ma.fields.UUID(required=True)
    rule = ma.fields.String(required=True, validate=validate.OneOf(["F1", "F2", "F4"]))
    opened_on = Day(required=True)
    staff_id = ma.fields.UUID(required=True, allow_none=True)


def render_month(found: Summary) -> dict[str, Any]:
    """Render a month's summary."""
    closed = found.closed
    return {
        "month": found.month,
        "closed": closed
        and {
            "revision": closed.revision,
            "closed_at": closed.closed_at,
            "closed_by": closed.closed_by,
            "reason": closed.reason,
            "sha256": closed.sha256.hex(),
            "people": closed.people,
        },
        "branches": found.branches,
        "unattributed_clocks": found.unattributed,
        "days_looked": found.days_looked,
        "is_intact": found.is_intact,
        "has_changed_since": found.has_changed_since,
        "reply_until": found.reply_until,
    }


def render_person(shown: Shown) -> dict[str, Any]:
    """Render one person's month."""
    found = shown.assessment
    return {
        "staff_id": found.staff_id,
        "employee_number": shown.staff.employee_number,
        "name": shown.staff.name,
        "branch": found.branch,
        "revision": shown.revision,
        "counted": found.counted,
        "tolerated": found.tolerated,
        "proposals": [_proposal(one, shown) for one in found.proposals],
        "measures": [
            {
                "check": one.check,
                "rule": one.rule,
                "measure": one.measure,
                "evidence": _evidence(one.evidence),
            }
            for one in found.measures
        ],
        "least_fen": found.least_fen,
        "most_fen": found.most_fen,
        "upheld_fen": shown.upheld_fen,
        "is_open_ended": found.is_open_ended,
        "limit": _limit(found, shown.upheld_fen),
        "replies": shown.replies,
    }


def _proposal(one: Proposal, shown: Shown) -> dict[str, Any]:
    return {
        "key": one.key,
        "rule": one.rule,
        "quotation": words_of(one.rule),
        "least_fen": one.least_fen,
        "most_fen": one.most_fen,
        "with_warning": one.with_warning,
        "notes": one.notes,
        "evidence": _evidence(one.evidence),
        "decision": shown.decisions.get(one.key),
    }


def _evidence(cited: tuple[Evidence, ...]) -> list[dict[str, Any]]:
    return [{"kind": one.kind, "id": one.id, "rule": one.rule} for one in cited]


def _limit(found: Assessment, upheld_fen: int) -> dict[str, Any]:
    most, lawful = found.limit.most_fen, found.lawful_fen
    return {
        "most_fen": most,
        "because": found.limit.because,
        "lawful_least_fen": lawful and lawful[0],
        "lawful_most_fen": lawful and lawful[1],
        "lawful_upheld_fen": None if most is None else min(upheld_fen, most),
    }
