"""Who stops everything on a case, and by whose word may it go on?

Raising is shared with the phones (`stopping`); releasing needs the instruction that allows it.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.models.cases import Case, Debtor, Hold
from server.workflows.stopping import raise_hold


def raise_on_case(case_id: UUID, *, reason: str, note: str, actor: Actor, now: datetime) -> Hold:
    """Hold a case, or all cases of its debtor if the reason says so; open assignments end in the same moment.

    The same reason standing already on the case is returned as it is.
    """
    with transaction() as session:
        case = session.get(Case, case_id)
        if case is None:
            raise NotFound("case-unknown", "There is no case with this id.")
        hold = raise_hold(
            case, reason=reason, note=note, raised_by=actor.staff_id, raised_by_item=None, now=now
        )
    return hold


def holds_on(case_id: UUID, *, is_open: bool | None = None) -> Sequence[Hold]:
    """Return the holds that stop this case, its debtor's included, newest first."""
    debtor_id = db.session.scalar(sa.select(Case.debtor_id).where(Case.id == case_id))
    if debtor_id is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    concerns_debtor = sa.and_(Hold.debtor_id == debtor_id, Hold.scope == "debtor")
    query = sa.select(Hold).where(sa.or_(Hold.case_id == case_id, concerns_debtor))
    if is_open is not None:
        query = query.where(Hold.released_at.is_(None) if is_open else Hold.released_at.is_not(None))
    return db.session.scalars(query.order_by(Hold.raised_at.desc(), Hold.id.desc())).all()


def release(hold_id: UUID, *, instruction: str, actor: Actor, now: datetime) -> Hold:
    """Let work go on, by the instruction of the client or the law that allows it.

    Repeating with the same instruction changes nothing; Conflict when it was released by another one.
    """
    instruction = instruction.strip()
    if not instruction:
        fault = Fault("/instruction", "Name the instruction that allows work to go on.")
        raise Invalid("instruction-missing", "A hold is released only by an instruction.", faults=[fault])
    with transaction() as session:
        debtor_id = session.scalar(sa.select(Hold.debtor_id).where(Hold.id == hold_id))
        if debtor_id is None:
            raise NotFound("hold-unknown", "There is no hold with this id.")
        session.execute(sa.select(Debtor.id).where(Debtor.id == debtor_id).with_for_update())
        hold = session.get_one(Hold, hold_id, populate_existing=True)
        if hold.released_at is not None:
            if (hold.released_by, hold.release_instruction) == (actor.staff_id, instruction):
                return hold
            raise Conflict("hold-released", "This hold was released already.", released_at=hold.released_at)
        hold.released_at, hold.released_by, hold.release_instruction = now, actor.staff_id, instruction
    return hold
