"""What does a visitor answer to a finding?

One reply is one signed item; any number may come. Only the visitor whom the finding was told may reply, and
nobody in the office in their place. Whether it came in time counts from when it was written, where the
phone's clock is known.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.models.feed import publish, staff_scope
from server.models.findings import FindingReply, Hearing
from server.workflows.exchange.applying import CannotApply
from server.workflows.exchange.arrived import Arrived
from server.workflows.exchange.tellings import dues_of
from sync.bodies import FindingReplied
from sync.protocol import uuid7

LATE: Final = "reply_late"


def attach_replies(session: Session, items: Sequence[Arrived], now: datetime) -> None:
    """finding.replied: attached to the finding, also when it is late."""
    bodies = [(arrived, arrived.body) for arrived in items if isinstance(arrived.body, FindingReplied)]
    wanted = {body.finding_id for _, body in bodies}
    query = sa.select(Hearing).where(Hearing.finding_id.in_(wanted))
    hearings = {hearing.finding_id: hearing for hearing in session.scalars(query)}
    people = {arrived.sender.staff_id for arrived, _ in bodies}
    until = {person: dues_of(session, list(hearings), staff_id=person) for person in people}
    for arrived, body in bodies:
        hearing = hearings.get(body.finding_id)
        is_theirs = hearing is not None and arrived.sender.staff_id in hearing.people
        if hearing is None or not is_theirs or arrived.corrected_by is not None:
            detail = "No finding with this id was told to this phone's visitor; only they may reply to one."
            raise CannotApply("finding-unknown", detail)
        written_at = arrived.when.latest if arrived.when.is_trusted else arrived.row.received_at
        in_time = written_at <= until[arrived.sender.staff_id][body.finding_id]
        if not in_time:
            arrived.flag(LATE)
        row = {
            "id": uuid7(),
            "finding_id": body.finding_id,
            "staff_id": arrived.sender.staff_id,
            "device_id": arrived.row.device_id,
            "item_id": arrived.row.item_id,
            "text": body.text,
            "written_earliest": arrived.when.earliest,
            "written_latest": arrived.when.latest,
            "received_at": arrived.row.received_at,
            "in_time": in_time,
        }
        session.execute(insert(FindingReply).values(row).on_conflict_do_nothing())
        if hearing.on_phones:
            for person in hearing.people:
                publish(staff_scope(person), kind="finding", entity_id=body.finding_id, op="put")
