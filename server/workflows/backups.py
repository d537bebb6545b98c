"""What may phones forget because a backup holds it, and what if a backup was put back?

`mark` before a backup begins, `complete` when it is done: then everything committed before the mark outlives
a lost database, and phones may drop it. `begin_new_epochs` after a backup was put back: every cursor is then
of a history that is no more, so that every phone starts over and offers again what it still holds.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.database import transaction
from server.errors import Conflict, NotFound
from server.jobs import task
from server.models.backups import Backup, BackupMark, Origin
from server.models.feed import FeedHead
from server.models.people import Device
from sync.protocol import uuid7

log = structlog.get_logger()


def mark(*, now: datetime) -> UUID:
    """Note what a backup that begins after this call will hold; return the name to complete it by."""
    backup = Backup(id=uuid7(), marked_at=now)
    with transaction() as session:
        session.add(backup)
        session.flush()
        acked = sa.select(sa.literal(backup.id), Device.id, Device.acked_seq).where(Device.acked_seq > 0)
        session.execute(insert(BackupMark).from_select(["backup_id", "device_id", "acked_seq"], acked))
    return backup.id


def complete(backup_id: UUID, *, now: datetime) -> int:
    """Promise what was marked before this backup; return how many phones may forget something.

    An older backup that ends late takes nothing back. Raises NotFound and Conflict.
    """
    with transaction() as session:
        backup = session.get(Backup, backup_id, with_for_update=True)
        if backup is None:
            raise NotFound("backup-unknown", "No backup was marked under this name; run `backup mark` first.")
        if backup.completed_at is not None:
            raise Conflict("backup-completed", "This backup is completed already.")
        backup.completed_at = now
        moved = session.execute(
            sa.update(Device)
            .where(
                Device.id == BackupMark.device_id,
                BackupMark.backup_id == backup_id,
                Device.durable_seq < BackupMark.acked_seq,
            )
            .values(durable_seq=BackupMark.acked_seq)
            .returning(Device.id)
            .execution_options(synchronize_session=False)
        ).all()
        session.execute(sa.delete(BackupMark).where(BackupMark.backup_id == backup_id))
    return len(moved)


def begin_new_epochs(*, now: datetime) -> int:
    """Have every phone start over; return how many scopes got a new epoch."""
    with transaction() as session:
        count = _begin_new_epochs(session)
        _remember_origin(session, _identity(session), now=now)
    return count


def _begin_new_epochs(session: Session) -> int:
    """Scopes are taken in the order in which writers lock them."""
    session.execute(sa.select(FeedHead.scope).order_by(FeedHead.scope).with_for_update())
    changed = session.execute(
        sa.update(FeedHead)
        .values(epoch=sa.func.gen_random_uuid())
        .returning(FeedHead.scope)
        .execution_options(synchronize_session=False)
    )
    return len(changed.all())


# A cluster restored from a base backup, or a standby that took over, is on another timeline; a dump that was
# loaded is another database. Copied files of a stopped server say nothing: that is what the command is for.
_IDENTITY: Final = sa.text(
    """
    SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
                          (SELECT timeline_id FROM pg_control_checkpoint()),
                          (SELECT oid FROM pg_database WHERE datname = current_database()))
    """
)


def _identity(session: Session) -> str:
    return session.execute(_IDENTITY).scalar_one()


def _remember_origin(session: Session, identity: str, *, now: datetime) -> None:
    known = insert(Origin).values(id=1, identity=identity, noticed_at=now)
    session.execute(
        known.on_conflict_do_update(index_elements=["id"], set_={"identity": identity, "noticed_at": now})
    )


@task("notice_restored_database", every="* * * * *")
def notice_restored_database(*, now: datetime) -> None:
    """Begin new epochs when PostgreSQL is not where it was: a backup was put back, or a standby took over."""
    with transaction() as session:
        identity = _identity(session)
        known = session.scalar(sa.select(Origin.identity).where(Origin.id == 1).with_for_update())
        if known == identity:
            return
        if known is not None:
            log.warning("database.restored", scopes=_begin_new_epochs(session))
        _remember_origin(session, identity, now=now)
