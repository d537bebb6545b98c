"""What did the team's phones write of a visit, on which clocks, and what of it never came? A few queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.models.dispatch import AssignmentMember
from server.models.evidence import Evidence
from server.models.people import Device
from server.models.visits import Item, Visit
from server.reconcile.facts import ChainGap, ItemFact, LooseFile, PhoneFact
from server.seals import stored_envelope
from server.signing import Signer, current_signer
from server.workflows.exchange.anchors import kept_anchor, read_anchor
from server.workflows.exchange.forks import UNREADABLE
from server.workflows.exchange.parents import ACCEPTED
from server.workflows.reconciliation.evidence import read_place
from sync.clock import locate
from sync.envelope import PublicKey
from sync.wire import WireFault, read_item

MOST_ITEMS: Final = 300
MOST_LOOSE: Final = 20
HABIT: Final = 5
LATELY: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Written:
    """The records of a visit that are here, the phones of its team, and where records are missing."""

    items: tuple[ItemFact, ...]
    phones: tuple[PhoneFact, ...]
    chain_gaps: tuple[ChainGap, ...]


def records_of(visit: Visit) -> Written:
    """Load what the team wrote of a visit. Anybody can name a visit; only the team's phones count.

    Of each phone a bounded number, the visit's own steps first: nobody hides them, or a mate's, behind many.
    """
    devices = db.session.scalars(
        sa.select(Device)
        .where(Device.staff_id.in_({visit.staff_id, *visit.team}))
        .order_by(Device.id)
        .execution_options(populate_existing=True)
    ).all()
    by_id = {device.id: device for device in devices}
    is_step = Item.type.startswith("visit.")
    rank = sa.func.row_number().over(
        partition_by=Item.device_id, order_by=(is_step.desc(), Item.seq, Item.item_id)
    )
    ranked = (
        sa.select(Item.device_id, Item.item_id, Item.seq, Item.received_at, Item.flags, rank.label("rank"))
        .add_columns(Item.payload_type, Item.payload, Item.signatures, Item.later_anchor)
        .where(
            Item.visit_id == visit.id,
            Item.device_id.in_(by_id),
            Item.type != UNREADABLE,
            Item.outcome.in_(("applied", "received", "held")),
        )
        .subquery()
    )
    rows = db.session.execute(
        sa.select(ranked)
        .where(ranked.c.rank <= MOST_ITEMS)
        .order_by(ranked.c.device_id, ranked.c.seq, ranked.c.item_id)
    ).all()
    signer = current_signer()
    items = tuple(item for row in rows if (item := _item(row, by_id[row.device_id], signer)) is not None)
    return Written(items, _phones(visit, devices, items), _chain_gaps(by_id, rows))


def _item(row: Any, device: Device, signer: Signer) -> ItemFact | None:
    """Read one record; None for one that the office could not read either."""
    try:
        record = read_item(row.payload)
        where = None if record.body.get("purpose") == "badge" else record.body.get("position")
        place = read_place(where)
    except (WireFault, KeyError, TypeError, AttributeError):
        return None
    clock = record.clock
    anchored = read_anchor(clock.anchor, signer, device_id=device.id, now=row.received_at)
    return ItemFact(
        id=row.item_id,
        device_id=device.id,
        staff_id=device.staff_id,
        seq=row.seq,
        type=record.type,
        when=locate(
            clock,
            anchor_time=anchored,
            received_at=row.received_at,
            later=kept_anchor(row.later_anchor),
        ),
        wall=clock.wall,
        monotonic_ms=clock.monotonic_ms,
        boot_id=clock.boot_id,
        place=place,
        is_of_revoked_key="key_revoked" in row.flags,
        is_signed=ACCEPTED not in row.flags or _is_signed(row, device),
        is_forked="chain_fork" in row.flags,
    )


def _is_signed(row: Any, device: Device) -> bool:
    """Whether the phone's key signed a record; asked of what the office accepted: the rest was checked."""
    key = PublicKey.from_spki(device.public_key, algorithm=device.algorithm)
    return key.has_sealed(stored_envelope(row))


def _chain_gaps(devices: Mapping[UUID, Device], rows: Sequence[Any]) -> tuple[ChainGap, ...]:
    """Count what a phone wrote between its first and last record here and did not deliver.

    Up to `acked_seq` nothing is missing, so that an honest visit costs no query.
    """
    gaps: list[ChainGap] = []
    for device_id, device in devices.items():
        seqs = [row.seq for row in rows if row.device_id == device_id]
        if not seqs or max(seqs) <= device.acked_seq:
            continue
        first, last = min(seqs), max(seqs)
        here = db.session.scalar(
            sa.select(sa.func.count(Item.seq.distinct())).where(
                Item.device_id == device_id, Item.seq.between(first, last)
            )
        )
        missing = last - first + 1 - (here or 0)
        if missing > 0:
            gaps.append(ChainGap(device_id, first, last, missing))
    return tuple(gaps)


def _phones(visit: Visit, devices: Sequence[Device], items: Sequence[ItemFact]) -> tuple[PhoneFact, ...]:
    """Return the team's phones; of one that is silent here, how often it wrote beside the lead's before."""
    silent = [one for one in devices if one.staff_id not in {item.staff_id for item in items}]
    habits = _habits(visit, [one.id for one in silent if one.revoked_at is None])
    return tuple(
        PhoneFact(
            id=device.id,
            staff_id=device.staff_id,
            enrolled_at=device.enrolled_at,
            revoked_at=device.revoked_at,
            wrote_beside=habits.get(device.id, (0, 0)),
        )
        for device in devices
    )


def _habits(visit: Visit, device_ids: Sequence[UUID]) -> Mapping[UUID, tuple[int, int]]:
    """Return in how many of the last visits that another's phone led each phone wrote, and of how many."""
    if not device_ids:
        return {}
    before = (
        sa.select(Visit.id)
        .join(AssignmentMember, AssignmentMember.assignment_id == Visit.assignment_id)
        .where(
            AssignmentMember.staff_id == Device.staff_id,
            Visit.device_id != Device.id,
            Visit.id != visit.id,
            Visit.arrived_earliest < visit.arrived_earliest,
            Visit.arrived_earliest >= Device.enrolled_at,
            Visit.arrived_earliest >= visit.arrived_earliest - LATELY,
        )
        .order_by(Visit.arrived_earliest.desc(), Visit.id)
        .limit(HABIT)
        .correlate(Device)
        .lateral("before")
    )
    wrote = sa.exists().where(Item.visit_id == before.c.id, Item.device_id == Device.id)
    rows = db.session.execute(
        sa.select(Device.id, sa.func.count().filter(wrote), sa.func.count())
        .join(before, sa.true())
        .where(Device.id.in_(device_ids))
        .group_by(Device.id)
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def accounts_aside(visit: Visit) -> tuple[datetime, ...]:
    """Return when accounts of the team came that are not applied, and that nobody has set aside."""
    rows = db.session.scalars(
        sa.select(Item.received_at)
        .join(Device, Device.id == Item.device_id)
        .where(
            Item.visit_id == visit.id,
            Item.type == "visit.account",
            Item.outcome.in_(("received", "held", "quarantined")),
            Device.staff_id.in_({visit.staff_id, *visit.team}),
        )
        .order_by(Item.received_at)
        .limit(MOST_ITEMS)
    )
    return tuple(rows)


def loose_files(visit: Visit) -> tuple[LooseFile, ...]:
    """Return files of the visit's phone that came in its days without a promise.

    Of several visits the last one before a file came is the one that it may belong to.
    """
    later = sa.exists().where(
        Visit.staff_id == visit.staff_id,
        Visit.device_id == visit.device_id,
        Visit.id != visit.id,
        Visit.arrived_earliest > visit.arrived_earliest,
        Visit.arrived_earliest <= Evidence.stored_at,
    )
    rows = db.session.execute(
        sa.select(Evidence.id, Evidence.stored_at)
        .where(
            Evidence.device_id == visit.device_id,
            Evidence.visit_id.is_(None),
            Evidence.state == "stored",
            Evidence.stored_at.between(visit.arrived_earliest, visit.evidence_due_at),
            ~later,
        )
        .order_by(Evidence.stored_at, Evidence.id)
        .limit(MOST_LOOSE)
    )
    return tuple(LooseFile(*row) for row in rows)
