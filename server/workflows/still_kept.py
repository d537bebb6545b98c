"""May the office still write about a person? Not once they were erased: nobody would erase it again.

What phones bring late is taken in all the same (store first, judge second), and the next night erases it.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Conflict
from server.models.cases import Case, Contact, Debtor
from server.models.letters import Letter


def require_kept(session: Session, debtor: sa.Select[Any]) -> None:
    """Conflict when a debtor was erased; nobody erases them until the transaction ends.

    Locks the debtor as dispatch does, so it comes before anything else is locked.
    """
    locked = sa.select(Debtor.erased_at).where(Debtor.id.in_(debtor)).with_for_update()
    if session.scalar(locked) is not None:
        raise Conflict("debtor-erased", "Their data were erased; nothing is written about them any more.")


def of_case(case_id: UUID | None) -> sa.Select[Any]:
    """Select a case's debtor."""
    return sa.select(Case.debtor_id).where(Case.id == case_id)


def of_contact(contact_id: UUID) -> sa.Select[Any]:
    """Select the debtor whom a third party stands beside."""
    return sa.select(Case.debtor_id).join(Contact, Contact.case_id == Case.id).where(Contact.id == contact_id)


def of_letter(letter_id: UUID) -> sa.Select[Any]:
    """Select whom a letter is about."""
    return sa.select(Letter.debtor_id).where(Letter.id == letter_id)
