"""Work lists, asked for by somebody of the office."""

from datetime import date
from typing import Any

import sqlalchemy as sa

from server.database import transaction
from server.models.cases import Case
from tests.builders import a_case


def a_bare_case(**facts: Any) -> Case:
    """A case without contacts, allocated on Friday 20 November 2026: day 1 is today, Monday."""
    facts = {"allocated_on": date(2026, 11, 20), "balance_as_of": date(2026, 11, 20), **facts}
    case = a_case(**facts)
    with transaction() as session:
        session.execute(sa.text("DELETE FROM ledger_entries WHERE case_id = :case"), {"case": case.id})
    return case
