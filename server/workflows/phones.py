"""Which phones owe us something, and what?

Numbers missing in their chain, items that wait or could not be applied, forks, doubts about us, files that
were promised and did not come. A page takes one query; missing numbers are worked out for one phone alone.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db, transaction
from server.errors import NotFound
from server.models.visits import UNSEEN_DOUBT, UNSEEN_FORK
from server.workflows.exchange.answers import progress_of
from server.workflows.exchange.senders import lock_sender

MOST_NAMED: Final = 200


@dataclass(frozen=True, slots=True)
class PhoneHealth:
    """What one phone has handed in, and what is open. `last_item_at` is when its newest item came."""

    device_id: UUID
    staff_id: UUID
    staff_name: str
    enrolled_at: datetime
    revoked_at: datetime | None
    staff_left_at: datetime | None
    last_item_at: datetime | None
    acked_seq: int
    highest_seq: int
    held: int
    quarantined: int
    forked: int
    doubts: int
    conflicting: int
    raw: int
    files_owed: int

    @property
    def is_owing(self) -> bool:
        """Whether anything of this phone is missing or open."""
        open_ones = self.held + self.quarantined + self.forked + self.doubts + self.conflicting + self.raw
        return open_ones + self.files_owed > 0 or self.highest_seq > self.acked_seq


@dataclass(frozen=True, slots=True)
class PhoneDetail:
    """One phone with the numbers that are missing, and at most 200 items of each kind by id."""

    health: PhoneHealth
    missing: list[tuple[int, int]]
    held_items: list[UUID]
    quarantined_items: list[UUID]
    forked_items: list[UUID]
    doubt_items: list[UUID]


def list_phones(
    *, is_owing: bool | None, staff_id: UUID | None, after: UUID | None, limit: int
) -> list[PhoneHealth]:
    """Return one page of phones, in the order of their ids."""
    wanted = {"after": after, "limit": limit, "staff_id": staff_id, "device_id": None, "is_owing": is_owing}
    return [PhoneHealth(**row) for row in db.session.execute(_PHONES, wanted).mappings()]


def open_phone(device_id: UUID) -> PhoneDetail:
    """Return one phone with all that it owes."""
    wanted = {"after": None, "limit": 1, "staff_id": None, "device_id": device_id, "is_owing": None}
    with transaction() as session:
        row = session.execute(_PHONES, wanted).mappings().first()
        if row is None:
            raise NotFound("device-unknown", "There is no phone with this id.")
        progress = progress_of(session, lock_sender(session, device_id))
        named: dict[str, Any] = {
            kind: session.scalars(statement, {"device_id": device_id, "most": MOST_NAMED}).all()
            for kind, statement in _NAMED.items()
        }
    return PhoneDetail(health=PhoneHealth(**row), missing=progress.missing, **named)


_PHONES: Final = sa.text(
    f"""
    WITH desk AS (
        SELECT device_id, count(*) FILTER (WHERE outcome = 'held') AS held,
               count(*) FILTER (WHERE outcome = 'quarantined') AS quarantined
        FROM items WHERE outcome IN ('held', 'quarantined') GROUP BY device_id
    ), forks AS (
        SELECT device_id, count(*) AS forked FROM items
        WHERE {UNSEEN_FORK} GROUP BY device_id
    ), doubts AS (
        SELECT device_id, count(*) AS doubts FROM items
        WHERE {UNSEEN_DOUBT} GROUP BY device_id
    ), others AS (
        SELECT device_id, count(*) AS conflicting FROM conflicting_items
        WHERE settled IS NULL GROUP BY device_id
    ), bytes AS (
        SELECT device_id, count(*) AS raw FROM raw_submissions WHERE settled IS NULL GROUP BY device_id
    ), files AS (
        SELECT device_id, count(*) AS owed FROM evidence
        WHERE state IN ('expected', 'uploading', 'mismatched', 'missing')
          AND promised_item IS NOT NULL GROUP BY device_id
    )
    SELECT devices.id AS device_id, devices.staff_id, staff.name AS staff_name, devices.enrolled_at,
           devices.revoked_at, staff.left_at AS staff_left_at, newest.received_at AS last_item_at,
           devices.acked_seq, greatest(coalesce(newest.seq, 0), devices.acked_seq) AS highest_seq,
           coalesce(desk.held, 0) AS held, coalesce(desk.quarantined, 0) AS quarantined,
           coalesce(forks.forked, 0) AS forked, coalesce(doubts.doubts, 0) AS doubts,
           coalesce(others.conflicting, 0) AS conflicting,
           coalesce(bytes.raw, 0) AS raw, coalesce(files.owed, 0) AS files_owed
    FROM devices JOIN staff ON staff.id = devices.staff_id
    LEFT JOIN desk ON desk.device_id = devices.id
    LEFT JOIN forks ON forks.device_id = devices.id
    LEFT JOIN doubts ON doubts.device_id = devices.id
    LEFT JOIN others ON others.device_id = devices.id
    LEFT JOIN bytes ON bytes.device_id = devices.id
    LEFT JOIN files ON files.device_id = devices.id
    LEFT JOIN LATERAL (SELECT seq, received_at FROM items WHERE items.device_id = devices.id
                       ORDER BY seq DESC LIMIT 1) newest ON true
    WHERE (CAST(:after AS uuid) IS NULL OR devices.id > CAST(:after AS uuid))
      AND (CAST(:device_id AS uuid) IS NULL OR devices.id = CAST(:device_id AS uuid))
      AND (CAST(:staff_id AS uuid) IS NULL OR devices.staff_id = CAST(:staff_id AS uuid))
      AND (CAST(:is_owing AS boolean) IS NULL OR CAST(:is_owing AS boolean) =
           (coalesce(desk.device_id, forks.device_id, doubts.device_id, others.device_id, bytes.device_id,
                     files.device_id)
                IS NOT NULL OR coalesce(newest.seq, 0) > devices.acked_seq))
    ORDER BY devices.id LIMIT :limit
    """
)
_OF_PHONE: Final = (
    "SELECT item_id FROM items WHERE device_id = :device_id AND {} ORDER BY received_at, item_id LIMIT :most"
)
_NAMED: Final = {
    "held_items": sa.text(_OF_PHONE.format("outcome = 'held'")),
    "quarantined_items": sa.text(_OF_PHONE.format("outcome = 'quarantined'")),
    "forked_items": sa.text(_OF_PHONE.format(UNSEEN_FORK)),
    "doubt_items": sa.text(_OF_PHONE.format(UNSEEN_DOUBT)),
}
