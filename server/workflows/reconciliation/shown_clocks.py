"""What did the phone's own clock show when a file was captured? Cameras write that, right or wrong."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.models.evidence import Evidence
from server.models.visits import Item
from sync.bodies import EvidencePromised, read_body
from sync.wire import parse

Shown = tuple[datetime, datetime]


def shown_clocks(visit_id: UUID) -> Mapping[UUID, Shown]:
    """Return what the clock showed at the beginning and the end of each capture, as the phone signed it."""
    rows = db.session.execute(
        sa.select(Evidence.id, Item.type, Item.payload)
        .join(Item, sa.and_(Item.device_id == Evidence.device_id, Item.item_id == Evidence.promised_item))
        .where(Evidence.visit_id == visit_id)
    )
    found: dict[UUID, Shown] = {}
    for evidence_id, type_, payload in rows:
        body = read_body(type_, parse(payload)["body"])
        if isinstance(body, EvidencePromised):
            found[evidence_id] = (body.captured_from.wall, body.captured_until.wall)
    return found
