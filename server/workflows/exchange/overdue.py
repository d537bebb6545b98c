"""Whose items have waited long enough for a parent that did not come?

Once an hour they are applied without it and flagged (protocol.md, "Push", 4). What is held is never lost from
sight: it is at the office's desk from the first day.
"""

from datetime import datetime
from functools import partial
from typing import Final

import sqlalchemy as sa

from server.database import db, release_connection
from server.jobs import task
from server.models.visits import Item
from server.workflows.exchange import parents
from server.workflows.exchange.waiting import apply_overdue, project

PHONES_AT_ONCE: Final = 200


@task("apply_overdue_items", every="14 * * * *")
def apply_overdue_items(*, now: datetime) -> None:
    """Apply held items whose wait is over, one phone after the other, each in a transaction of its own."""
    waited = sa.and_(Item.outcome == "held", Item.received_at <= now - parents.WAIT)
    waiting = sa.select(Item.device_id).where(waited).distinct().limit(PHONES_AT_ONCE)
    devices = db.session.scalars(waiting).all()
    release_connection()
    for device_id in devices:
        project(device_id, now=now, then=partial(apply_overdue, device_id=device_id, now=now))
