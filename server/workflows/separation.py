"""Who had a part in what is to be decided, and so decides nothing about it? (GOV2)

Asked by the audit, by the month and by the complaints' desk, and answered in one place: whoever was in a
visit's team, assigned, approved or corrected it. Triggers ask the same functions of the database, so that
what the code forgot is refused all the same.
"""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.errors import Forbidden
from server.models.casework import Complaint
from server.models.visits import Visit


def require_no_part(session: Session, visit_ids: Collection[UUID], actor: Actor) -> None:
    """Forbidden when the actor had a part in one of these visits."""
    part_of_theirs = sa.func.part_in_visit(Visit.id, actor.staff_id, type_=sa.Text)
    query = sa.select(part_of_theirs).where(Visit.id.in_(visit_ids), part_of_theirs.is_not(None))
    part = session.scalar(query.order_by(Visit.id).limit(1))
    if part is not None:
        raise Forbidden("auditor-involved", f"You {part}; somebody else must decide.", part=part)


def require_outside(session: Session, complaint: Complaint, actor: Actor) -> None:
    """Forbidden when a complaint is about the actor, or about a visit that the actor had a part in."""
    part = part_in_complaint(session, complaint, actor.staff_id)
    if part is not None:
        raise Forbidden("complaint-involved", f"You {part}; another supervisor must rule on it.", part=part)


def part_in_complaint(session: Session, complaint: Complaint, staff_id: UUID | None) -> str | None:
    """Say what part a person had in what a complaint is about; None when none."""
    return session.scalar(sa.select(sa.func.part_in_complaint(complaint.id, staff_id, type_=sa.Text)))
