"""Whose phone is this, and how far does its record go?"""

from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from server.driver import FIND_BY_KEY, run_each
from server.workflows.exchange.arrived import Sender


def lock_sender(session: Session, device_id: UUID) -> Sender:
    """Serialise the pushes of one phone; others do not wait.

    The rest of the transaction finds its rows by key.
    """
    _, (row,) = run_each(session, FIND_BY_KEY, (_LOCK, {"device_id": device_id}))
    return Sender(*row)


_LOCK: Final = """
    SELECT devices.id, devices.staff_id, staff.left_at, devices.revoked_at, devices.acked_seq,
           devices.highest_seq,
           CASE WHEN EXISTS (SELECT FROM backups WHERE completed_at IS NOT NULL)
                THEN devices.durable_seq END AS durable_seq,
           EXISTS (SELECT FROM items WHERE items.device_id = devices.id AND items.outcome = 'received')
               AS has_waiting
    FROM devices JOIN staff ON staff.id = devices.staff_id
    WHERE devices.id = %(device_id)s
    FOR NO KEY UPDATE OF devices
"""
