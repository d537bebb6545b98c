"""Why do the findings of a visit differ from those of the judgement before?

Asked only when they do: what set the judgement going, what had come in since the last one, whose time ran out
and which rules were others. So an auditor who finds a finding gone reads what took it away.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.models.evidence import Evidence
from server.models.judgement import CAUSES, ReconciliationRun
from server.models.transcripts import Transcript
from server.models.visits import Item
from server.reconcile.facts import VisitFacts
from server.workflows.reconciliation.recording import Outcome

MOST_NAMED: Final = 50
MOST_RUNS: Final = 100


def explain(
    session: Session, facts: VisitFacts, outcome: Outcome, *, before: datetime | None, because: str
) -> None:
    """Write down what a judgement changed and what had come since the one `before`.

    What it says of a decided finding it says again at every judgement, and is written down once.
    """
    changes = [change.to_json() for change in outcome.changes]
    if any(change["decided"] for change in changes):
        told = _told_of_decided(session, facts)
        changes = [one for one in changes if not one["decided"] or told.get(one["key"]) != one]
    if not changes and not outcome.marks:
        return
    session.add(
        ReconciliationRun(
            visit_id=facts.visit_id,
            ran_at=facts.judged_at,
            because=because if because in CAUSES else "arrived",
            since=_since(session, facts, before=before),
            pack=facts.pack,
            changes=changes,
            marks={claim: list(marks) for claim, marks in outcome.marks.items()},
        )
    )


def _told_of_decided(session: Session, facts: VisitFacts) -> Mapping[str, Any]:
    """Return what was last written down of each decided finding."""
    runs = session.scalars(
        sa.select(ReconciliationRun.changes)
        .where(ReconciliationRun.visit_id == facts.visit_id)
        .order_by(ReconciliationRun.ran_at.desc(), ReconciliationRun.id.desc())
        .limit(MOST_RUNS)
    )
    told: dict[str, Any] = {}
    for changes in runs:
        for change in changes:
            if change["decided"]:
                told.setdefault(change["key"], change)
    return told


def _since(session: Session, facts: VisitFacts, *, before: datetime | None) -> dict[str, Any]:
    """Say what is otherwise than at the judgement before; `first` where there was none."""
    if before is None:
        return {"first": True}
    told: dict[str, Any] = {
        "first": False,
        "judged_before": before.isoformat(),
        "items": _items(session, facts, before=before),
        "evidence": _evidence(session, facts, before=before),
        "overdue": _overdue(facts, before=before),
        "pack_before": _pack_before(session, facts),
    }
    return {name: value for name, value in told.items() if value or name == "first"}


def _items(session: Session, facts: VisitFacts, *, before: datetime) -> Sequence[Mapping[str, str]]:
    rows = session.execute(
        sa.select(Item.item_id, Item.type)
        .where(Item.visit_id == facts.visit_id, Item.received_at > before)
        .order_by(Item.received_at, Item.item_id)
        .limit(MOST_NAMED)
    )
    return [{"item_id": str(row.item_id), "type": row.type} for row in rows]


def _evidence(session: Session, facts: VisitFacts, *, before: datetime) -> Sequence[Mapping[str, str]]:
    """Name the files that came, were inspected or were heard since."""
    last = sa.func.greatest(Evidence.stored_at, Evidence.inspected_at, Transcript.made_at)
    rows = session.execute(
        sa.select(Evidence.id, Evidence.state)
        .outerjoin(Transcript, Transcript.evidence_id == Evidence.id)
        .where(Evidence.visit_id == facts.visit_id, last > before)
        .order_by(last, Evidence.id)
        .limit(MOST_NAMED)
    )
    return [{"evidence_id": str(row.id), "state": row.state} for row in rows]


def _overdue(facts: VisitFacts, *, before: datetime) -> Sequence[str]:
    due = {"evidence": facts.evidence_due_at, "account": facts.account_due_at}
    return [name for name, at in due.items() if at is not None and before < at <= facts.judged_at]


def _pack_before(session: Session, facts: VisitFacts) -> str | None:
    """Return the rules of the last judgement on record, where they were others."""
    last = session.scalar(
        sa.select(ReconciliationRun.pack)
        .where(ReconciliationRun.visit_id == facts.visit_id)
        .order_by(ReconciliationRun.ran_at.desc(), ReconciliationRun.id.desc())
        .limit(1)
    )
    return None if last in (None, facts.pack) else last
