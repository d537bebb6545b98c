"""Do acts of auditors and supervisors still say what was logged, where the log holds only digests of it?

Encrypted words are held against their commitments, a closed month's facts against its digest, and an
overturned decision against the second look that overturned it.
"""

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ledger.commitment import is_of
from server.ledger.month_seal import MonthSeal
from server.models.assessments import ClosedMonth, MonthInput, MonthReply, ProvenFraud
from server.models.quarantine import DeskDecision
from server.workflows.transparency.logged import Alteration

AT_ONCE: Final = 500
COMMITTED: Final[tuple[tuple[str, Any, Any, Any], ...]] = (
    ("desk_decision", DeskDecision.id, DeskDecision.reason, DeskDecision.reason_commitment),
    ("fraud", ProvenFraud.id, ProvenFraud.words, ProvenFraud.words_commitment),
    ("month_reply", MonthReply.id, MonthReply.text, MonthReply.text_commitment),
)
"""Kind, id, encrypted words, their commitment: null for words from before there were any, and erased ones."""


def acts(session: Session) -> Iterator[Alteration]:
    """Name every act that says something else by now."""
    for kind, key, words, commitment in COMMITTED:
        query = sa.select(key, words, commitment).where(commitment.is_not(None)).order_by(key)
        for about, told, kept in session.execute(query.execution_options(yield_per=AT_ONCE)):
            if kept is not None and not is_of(kept, told):
                yield Alteration("the words are not those that were written", f"{kind} {about}")
    yield from _months(session)
    yield from _overturned(session)


def _months(session: Session) -> Iterator[Alteration]:
    months = session.scalars(sa.select(ClosedMonth).order_by(ClosedMonth.month, ClosedMonth.revision)).all()
    for closed in months:
        seal = MonthSeal(closed.tariff)
        facts = sa.select(MonthInput.facts).where(
            MonthInput.month == closed.month, MonthInput.revision == closed.revision
        )
        ordered = facts.order_by(MonthInput.staff_id).execution_options(yield_per=AT_ONCE)
        for kept in session.scalars(ordered):
            seal.add(kept)
        if seal.digest() != closed.sha256:
            yield Alteration("what it was assessed by is not what was sealed", f"month {closed.id}")


def _overturned(session: Session) -> Iterator[Alteration]:
    """A decision is overturned by a second look and by nothing else."""
    query = """
        SELECT id FROM findings AS one WHERE overturned <> EXISTS (
            SELECT FROM second_looks WHERE finding_id = one.id AND outcome = 'overturned') ORDER BY id
    """
    for row in session.execute(sa.text(query)):
        yield Alteration("whether it stands is not what was decided", f"finding {row.id}")
