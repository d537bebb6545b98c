"""Do visits, promised files and reports say what their phone signed, or the office in its place?

These rows are read out of signed bytes and logged nowhere else, so they are read out of them again. Not
compared is what is reckoned from several rows: flags, states, and when something was judged.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.people import Device
from server.models.quarantine import Correction
from server.models.visits import FieldReport, Item, Visit
from server.workflows.exchange.anchors import anchor_said, kept_anchor
from server.workflows.exchange.arrived import Stored, place
from server.workflows.exchange.checkins import EVIDENCE_WITHIN
from server.workflows.transparency.logged import Alteration
from sync import protocol
from sync.bodies import Body, EvidencePromised, VisitEnded, VisitStarted, read_body
from sync.clock import Interval, locate
from sync.wire import Reader, WireFault, parse, read_item

AT_ONCE: Final = 500
_ITEM: Final = ("item_id", "device_id", "payload", "received_at", "later_anchor")


@dataclass(frozen=True, slots=True)
class _Signed:
    """What a row was read out of. `record` is None where the office wrote it: it has no clock."""

    body: Body
    raw: dict[str, Any]
    record: protocol.Item | None = None
    stored: Stored | None = None

    def has_placed(self, clock: protocol.Clock, when: tuple[datetime, datetime, str | None]) -> bool:
        """Whether the readings were taken then. An anchor under a secret that was changed since counts."""
        if self.record is None or self.stored is None:
            return True
        row = self.stored
        told = anchor_said(clock.anchor, device_id=row.device_id, now=row.received_at)
        later = row.later if clock.boot_id == self.record.clock.boot_id else None
        return when in (
            _readings(place(clock, row=row, written=self.record.clock), when[2]),
            _readings(locate(clock, anchor_time=told, received_at=row.received_at, later=later), when[2]),
        )


def _readings(found: Interval, method: str | None) -> tuple[datetime, datetime, str | None]:
    return found.earliest, found.latest, method and found.method


def visited(session: Session) -> Iterator[Alteration]:
    """Name every visit, file and report that says something else than was signed, and those that are gone."""
    yield from _visits(session)
    yield from _files(session)
    yield from _reports(session)
    yield from _gone(session)
    yield from _unpromised(session)


def _source(prefix: str, item: Any, correction: Any) -> list[Any]:
    """Select what a row may have been read out of."""
    return [
        *(getattr(item, name).label(f"{prefix}_{name}") for name in _ITEM),
        correction.payload.label(f"{prefix}_written"),
    ]


def _signed(row: Any, prefix: str, type_: str) -> _Signed | None:
    """Read it again. None when nobody signed anything of this type there; erased bytes are not asked for."""
    payload, written = getattr(row, f"{prefix}_payload"), getattr(row, f"{prefix}_written")
    with suppress(WireFault):
        if payload is not None:
            record = read_item(payload)
            if record.type != type_:
                return None
            stored = Stored(
                device_id=getattr(row, f"{prefix}_device_id"),
                item_id=getattr(row, f"{prefix}_item_id"),
                sha256=b"",
                received_at=getattr(row, f"{prefix}_received_at"),
                flags=(),
                later=kept_anchor(getattr(row, f"{prefix}_later_anchor")),
            )
            return _Signed(read_body(type_, record.body), record.body, record, stored)
        if written is not None:
            raw = Reader(parse(written)).within("body").value
            return _Signed(read_body(type_, raw), raw)
    return None


def _is_erased(row: Any, prefix: str) -> bool:
    return b"" in (getattr(row, f"{prefix}_payload"), getattr(row, f"{prefix}_written"))


def _visits(session: Session) -> Iterator[Alteration]:
    begun, ended = aliased(Item), aliased(Item)
    begun_again, ended_again = aliased(Correction), aliased(Correction)
    query = (
        sa.select(
            *Visit.__table__.c,
            Device.staff_id.label("owner"),
            Assignment.debtor_id.label("whose"),
            *_source("begun", begun, begun_again),
            *_source("ended", ended, ended_again),
        )
        .join(Device, Device.id == Visit.device_id)
        .outerjoin(Assignment, Assignment.id == Visit.assignment_id)
        .outerjoin(begun, sa.and_(begun.device_id == Visit.device_id, begun.item_id == Visit.started_item))
        .outerjoin(begun_again, begun_again.id == Visit.started_item)
        .outerjoin(ended, sa.and_(ended.visit_id == Visit.id, ended.item_id == Visit.ended_item))
        .outerjoin(ended_again, ended_again.id == Visit.ended_item)
        .execution_options(yield_per=AT_ONCE)
    )
    for row in session.execute(query):
        if not _is_begun(session, row):
            yield Alteration("its beginning is not what was signed", f"visit {row.id}")
        if not _is_ended(row):
            yield Alteration("its end is not what was signed", f"visit {row.id}")


def _is_begun(session: Session, row: Any) -> bool:
    if row.evidence_due_at != row.first_received_at + EVIDENCE_WITHIN:
        return False
    if row.started_item is None:  # only what follows its check-in has come: see `exchange.parents`
        return row.arrived_method == "received" and row.assignment_id is None
    if _is_erased(row, "begun"):
        return True
    signed = _signed(row, "begun", "visit.started")
    if signed is None or not isinstance(signed.body, VisitStarted):
        return False
    body, record = signed.body, signed.record
    says = (row.id, row.arrived_at_position, row.checklist, row.staff_id, row.debtor_id)
    arrived = (row.arrived_earliest, row.arrived_latest, row.arrived_method)
    return (
        says == (body.visit_id, body.position, body.checklist, row.owner, row.whose)
        and (record is None or (row.seen_seq == record.seen_seq and signed.has_placed(record.clock, arrived)))
        and _is_assigned(session, row, body)
        and _is_team(session, row, body)
    )


def _is_assigned(session: Session, row: Any, body: VisitStarted) -> bool:
    """Whether it is the visit of the named assignment, or of none because there is none of that name."""
    if row.assignment_id is not None:
        return row.assignment_id == body.assignment_id
    return session.scalar(sa.select(Assignment.id).where(Assignment.id == body.assignment_id)) is None


def _is_team(session: Session, row: Any, body: VisitStarted) -> bool:
    """Whether these were at the door: whoever spoke of it before its check-in came may have joined."""
    more = set(row.team) - set(body.team)
    if not more:
        return len(row.team) == len(body.team)
    spoke = (
        sa.select(Device.staff_id)
        .join(Item, Item.device_id == Device.id)
        .where(Item.visit_id == row.id, Device.staff_id.in_(more))
    )
    return set(body.team) <= set(row.team) and more <= set(session.scalars(spoke))


def _is_ended(row: Any) -> bool:
    left = (row.left_earliest, row.left_latest, row.left_method)
    if row.ended_item is None:
        return (*left, row.left_at_position) == (None, None, None, None)
    if _is_erased(row, "ended"):
        return True
    signed = _signed(row, "ended", "visit.ended")
    if signed is None or not isinstance(signed.body, VisitEnded):
        return False
    is_then = signed.record is None or signed.has_placed(signed.record.clock, left)
    return is_then and (row.id, row.left_at_position) == (signed.body.visit_id, signed.body.position)


def _files(session: Session) -> Iterator[Alteration]:
    """Hold promised files to their promise; their bytes are held to their leaf."""
    promise, written = aliased(Item), aliased(Correction)
    is_promise = sa.and_(promise.device_id == Evidence.device_id, promise.item_id == Evidence.promised_item)
    query = (
        sa.select(*Evidence.__table__.c, *_source("told", promise, written))
        .outerjoin(promise, is_promise)
        .outerjoin(written, written.id == Evidence.promised_item)
        .where(Evidence.state != "erased")
        .execution_options(yield_per=AT_ONCE)
    )
    for row in session.execute(query):
        if row.promised_item is None:
            is_right = row.visit_id is None
        else:
            is_right = _is_erased(row, "told") or _is_promised(row)
        if not is_right:
            yield Alteration("what it is of is not what was promised", f"evidence {row.id}")


def _is_promised(row: Any) -> bool:
    signed = _signed(row, "told", "visit.evidence")
    if signed is None or not isinstance(signed.body, EvidencePromised):
        return False
    body = signed.body
    says = (row.id, row.visit_id, row.kind, row.purpose, row.sha256, row.position)
    return (
        says == (body.evidence_id, body.visit_id, body.kind, body.purpose, body.sha256, body.position)
        and signed.has_placed(
            body.captured_from, (row.captured_from_earliest, row.captured_from_latest, None)
        )
        and signed.has_placed(
            body.captured_until, (row.captured_until_earliest, row.captured_until_latest, None)
        )
    )


def _reports(session: Session) -> Iterator[Alteration]:
    item, written = aliased(Item), aliased(Correction)
    is_item = sa.and_(item.device_id == FieldReport.device_id, item.item_id == FieldReport.item_id)
    query = (
        sa.select(*FieldReport.__table__.c, *_source("told", item, written))
        .outerjoin(item, is_item)
        .outerjoin(written, written.id == FieldReport.item_id)
        .execution_options(yield_per=AT_ONCE)
    )
    for row in session.execute(query):
        if _is_erased(row, "told"):
            is_right = row.body == {}
        else:
            signed = _signed(row, "told", row.type)
            is_right = signed is not None and signed.raw == row.body
        if not is_right:
            yield Alteration("the report is not what was signed", f"report {row.item_id}")


def _gone(session: Session) -> Iterator[Alteration]:
    """Name applied check-ins and check-outs that made no visit begin or end."""
    query = """
        SELECT item_id FROM items LEFT JOIN visits ON visits.id = items.visit_id
         WHERE outcome = 'applied' AND payload <> ''
           AND ((items.type = 'visit.started' AND started_item IS NULL)
                OR (items.type = 'visit.ended' AND ended_item IS NULL))
         ORDER BY item_id
    """
    for row in session.execute(sa.text(query)):
        yield Alteration("what the phone signed of a visit is not there", f"item {row.item_id}")


def _unpromised(session: Session) -> Iterator[Alteration]:
    """Name promised files of which there is no row, or one that its own phone never promised."""
    promises = sa.select(Item.device_id, Item.payload).where(
        Item.type == "visit.evidence", Item.outcome == "applied", Item.payload != b""
    )
    for page in session.execute(promises.execution_options(yield_per=AT_ONCE)).partitions():
        promised = {(row.device_id, _evidence_of(row.payload)) for row in page}
        known = sa.select(Evidence.id, Evidence.device_id, Evidence.promised_item).where(
            Evidence.id.in_({evidence_id for _, evidence_id in promised if evidence_id})
        )
        there = {row.id: row for row in session.execute(known)}
        for device_id, evidence_id in sorted(promised, key=str):
            found = there.get(evidence_id)
            if evidence_id and (
                found is None or (found.promised_item is None and found.device_id == device_id)
            ):
                yield Alteration("the file that the phone promised is not there", f"evidence {evidence_id}")


def _evidence_of(payload: bytes) -> UUID | None:
    try:
        body = read_body("visit.evidence", read_item(payload).body)
    except WireFault:
        return None
    return body.evidence_id if isinstance(body, EvidencePromised) else None
