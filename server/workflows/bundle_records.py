"""What did the office do about one visit: which rows of it go into the visit's bundle?

A loader. Each row is given as the exact text whose digest was logged; words that stand encrypted go beside
it in clear, corrections with their signed bytes; what was erased stays out. `server.ledger.bundle_records`
checks them.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from server.models.assessments import ClosedMonth, ProposalDecision, ProvenFraud
from server.models.breaches import Breach
from server.models.casework import Complaint
from server.models.findings import Finding, Hearing
from server.models.quarantine import Correction, DeskDecision
from server.models.retention import ErasedThing
from server.models.visits import Item, Visit

Parts = dict[str, Any]
Rows = list[dict[str, Any]]


def records_of(
    session: Session, visit: Visit, *, evidence: Sequence[UUID], decisions: Sequence[UUID]
) -> Parts:
    """Return the parts that hold logged rows about a visit; a fixed number of queries."""
    found = session.scalars(sa.select(Finding.id).where(Finding.visit_id == visit.id)).all()
    return {
        "decisions.json": _texts(session, "decisions", "id", decisions),
        "findings.json": _findings(session, visit.id),
        "raised.json": _texts(session, "findings", "id", found, text="log_raised_text", only="raised_by"),
        "weights.json": _texts(session, "findings", "id", found, text="log_weight_text", only="decided_by"),
        "runs.json": _texts(session, "reconciliation_runs", "visit_id", [visit.id]),
        "looks.json": _texts(session, "access_log", "entity_id", [visit.id, *evidence, *found]),
        "audits.json": _texts(session, "audits", "visit_id", [visit.id]),
        "comments.json": _texts(session, "finding_comments", "finding_id", found),
        "second_looks.json": _texts(session, "second_looks", "finding_id", found),
        "hearings.json": _texts(session, "hearings", "finding_id", found),
        "tellings.json": _texts(session, "hearing_tellings", "finding_id", found),
        "replies.json": _texts(session, "finding_replies", "finding_id", found),
        "erasures.json": _texts(session, "erasures", "id", _erasures(session, visit.id)),
        **_at_the_desk(session, visit.id),
        **_breaches(session, found),
        **_months(session, visit, found),
    }


def _erasures(session: Session, visit_id: UUID) -> Sequence[UUID]:
    """Return the erasures that took anything of a visit: its debtor's, and whose items were told there."""
    of_debtor = """
        SELECT erasures.id FROM visits LEFT JOIN assignments ON assignments.id = visits.assignment_id
          JOIN erasures ON erasures.debtor_id IN (visits.debtor_id, assignments.debtor_id)
         WHERE visits.id = :visit
    """
    of_items = """
        SELECT erasure_id FROM items JOIN erased_things ON subject_id = item_id WHERE visit_id = :visit
    """
    return session.scalars(sa.text(f"{of_debtor} UNION {of_items}"), {"visit": visit_id}).all()


def erased_by(subject: sa.ColumnElement[UUID] | InstrumentedAttribute[UUID]) -> sa.ColumnElement[bool]:
    """Say that an erasure took what the log held about a thing."""
    return sa.exists().where(ErasedThing.subject_id == subject)


def _texts(
    session: Session,
    table: str,
    column: str,
    ids: Sequence[UUID],
    *,
    text: str = "log_text",
    only: str = "id",
) -> Rows:
    """Return rows as the exact text whose digest was logged; those whose column `only` says something."""
    query = f"""
        SELECT id, {text}(one) AS text FROM {table} AS one WHERE {column} = ANY(:ids) AND {only} IS NOT NULL
           AND NOT EXISTS (SELECT FROM erased_things WHERE subject_id = one.id) ORDER BY id
    """
    rows = session.execute(sa.text(query), {"ids": list(ids)})
    return [{"id": str(row.id), "text": row.text} for row in rows]


def _findings(session: Session, visit_id: UUID) -> Rows:
    """Return the visit's findings; those nobody decided yet carry no text that could be held to the log."""
    is_logged = sa.and_(Finding.state.in_(["confirmed", "dismissed"]), sa.not_(erased_by(Finding.id)))
    decided = sa.case((is_logged, sa.literal_column("log_text(findings)")))
    rows = session.execute(
        sa.select(Finding, decided.label("text")).where(Finding.visit_id == visit_id).order_by(Finding.id)
    )
    return [
        {
            "id": str(row.Finding.id),
            "under": [str(visit_id)],
            "check": row.Finding.check,
            "rule": row.Finding.rule,
            "severity": row.Finding.severity,
            "claim": row.Finding.claim,
            "observation": row.Finding.observation,
            "citation": row.Finding.citation,
            "state": row.Finding.state,
            "text": row.text,
        }
        for row in rows
    ]


def _at_the_desk(session: Session, visit_id: UUID) -> Parts:
    """Return what the desk decided about the visit's items, and what it wrote in their place."""
    corrections = {
        one.id: one for one in session.scalars(sa.select(Correction).where(Correction.visit_id == visit_id))
    }
    items = session.scalars(sa.select(Item.item_id).where(Item.visit_id == visit_id)).all()
    about = sa.or_(DeskDecision.item_id.in_(items), DeskDecision.correction_id.in_(corrections))
    reasons = {one.id: one.reason for one in session.scalars(sa.select(DeskDecision).where(about))}
    written = _texts(session, "corrections", "id", list(corrections))
    return {
        "desk_decisions.json": _with_words(_texts(session, "desk_decisions", "id", list(reasons)), reasons),
        "corrections.json": [row | {"envelope": _envelope(corrections[UUID(row["id"])])} for row in written],
    }


def _with_words(rows: Rows, words: Mapping[UUID, str]) -> Rows:
    return [row | {"words": words[UUID(row["id"])]} for row in rows]


def _envelope(correction: Correction) -> dict[str, Any]:
    return {
        "payloadType": correction.payload_type,
        "payload": base64.b64encode(correction.payload).decode(),
        "signatures": correction.signatures,
    }


def _breaches(session: Session, found: Sequence[UUID]) -> Parts:
    """Return the breaches opened from the visit's findings, and how they ended."""
    told = sa.select(sa.func.unnest(Hearing.people)).where(Hearing.finding_id.in_(found))
    of_theirs = sa.select(Breach.id).where(Breach.staff_id.in_(told), Breach.finding_ids.overlap(list(found)))
    breaches = session.scalars(of_theirs).all()
    return {
        "breaches.json": _texts(session, "breaches", "id", breaches),
        "breach_endings.json": _texts(session, "breach_endings", "breach_id", breaches),
    }


def _months(session: Session, visit: Visit, found: Sequence[UUID]) -> Parts:
    """Return what months made of the visit: frauds it proves, proposals decided about it or about a complaint
    of it, their months.
    """
    proving = sa.select(ProvenFraud).where(ProvenFraud.finding_ids.overlap(list(found)))
    frauds = {one.id: one.words for one in session.scalars(proving)}
    of_visit = Complaint.debtor_id == visit.debtor_id, Complaint.visit_id == visit.id
    complaints = session.scalars(sa.select(Complaint.id).where(*of_visit)).all()
    rules = session.scalars(sa.select(Finding.rule).where(Finding.id.in_(found)).distinct()).all()
    keys = [
        *(f"E2:{visit.id}:{rule}" for rule in rules),
        f"E3:{visit.id}",
        *(f"E4:{one}" for one in complaints),
        *(f"E6:{fraud}" for fraud in frauds),
    ]
    proposals = session.scalars(sa.select(ProposalDecision).where(ProposalDecision.key.in_(keys))).all()
    months = sa.select(ClosedMonth.id).where(ClosedMonth.month.in_({one.month for one in proposals}))
    return {
        "frauds.json": _with_words(_texts(session, "proven_frauds", "id", list(frauds)), frauds),
        "proposals.json": _texts(session, "proposal_decisions", "id", [one.id for one in proposals]),
        "months.json": _texts(session, "closed_months", "id", session.scalars(months).all()),
    }
