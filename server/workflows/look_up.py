"""Whose number is this?

For somebody who calls back or stands at the counter. The number is never compared in clear: its keyed digest
is looked for. Every look-up is logged before anything is shown, those that found nobody too, without the
number itself; what is shown is masked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.blind import BlindIndex
from server.database import transaction
from server.errors import Fault, Invalid
from server.models.access import AccessEntry
from server.models.cases import Case, Client, Debtor
from sync.protocol import uuid7

MOST: Final = 50
INDEXES: Final = {"id_number": Debtor.id_number_index, "phone": Debtor.phone_index}


@dataclass(frozen=True, slots=True)
class Found:
    """A debtor of this number, and their cases."""

    debtor: Debtor
    client: Client
    cases: Sequence[Case]


def look_up(field: str, number: str, *, reason: str, actor: Actor, now: datetime) -> list[Found]:
    """Return everybody with a number, at most fifty. Invalid when the number has no characters."""
    index = INDEXES[field]
    kind = index.type
    assert isinstance(kind, BlindIndex)
    if not kind.normal(number):
        raise Invalid("invalid-input", "Name a number.", faults=[Fault(f"/{field}", "Has no characters.")])
    wanted = (
        sa.select(Debtor, Client)
        .join(Client, Client.id == Debtor.client_id)
        .where(index.in_(kind.digests(number)))
        .order_by(Debtor.id)
        .limit(MOST)
    )
    with transaction() as session:
        rows = session.execute(wanted).all()
        ids = [row.Debtor.id for row in rows]
        cases = session.scalars(sa.select(Case).where(Case.debtor_id.in_(ids)).order_by(Case.id)).all()
        session.add_all(_looks(ids, field, reason=reason, actor=actor, now=now))
    return [
        Found(row.Debtor, row.Client, [case for case in cases if case.debtor_id == row.Debtor.id])
        for row in rows
    ]


def _looks(ids: Sequence[UUID], field: str, *, reason: str, actor: Actor, now: datetime) -> list[AccessEntry]:
    """One entry a debtor that was found; one about nobody when there was none."""
    about = [("debtor", debtor_id) for debtor_id in ids] or [("nobody", uuid7())]
    return [
        AccessEntry(
            at=now,
            staff_id=actor.staff_id,
            action="look_up",
            entity_kind=kind,
            entity_id=entity_id,
            fields=[f"debtor.{field}"],
            reason=reason,
        )
        for kind, entity_id in about
    ]
