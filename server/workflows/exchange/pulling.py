"""What changed for this phone since it last asked?

One page of the change feed, read in one snapshot: rows in the order of their numbers, bodies as they
stand now. What a phone may see is decided when a change is published, never here.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import snapshot, transaction
from server.errors import Gone
from server.models.access import AccessEntry
from server.models.calendar import CalendarDay, CalendarYear
from server.models.cases import Address, Case, Client, Debtor
from server.models.dispatch import Assignment, AssignmentMember
from server.models.feed import EVERYONE, FeedHead, FeedRow, staff_scope
from server.models.people import Device, Staff
from server.signing import current_signer
from server.workflows.exchange.anchors import make_anchor
from sync.feed import Head, Position, StaleCursor, continue_from, read_cursor, write_cursor
from sync.wire import write_instant

MOST: Final = 1000


def pull(*, cursor: str | None, limit: int, actor: Actor, now: datetime) -> dict[str, Any]:
    """Return one page of the phone's feed. Raises Gone (`feed-reset`) when the cursor cannot be continued."""
    assert actor.staff_id is not None and actor.device_id is not None
    scopes = [EVERYONE, staff_scope(actor.staff_id)]
    with snapshot() as session:
        heads = _heads(session, scopes)
        after = _start(cursor, heads)
        rows = _rows(session, after, limit=limit + 1)
        page, has_more = rows[:limit], len(rows) > limit
        bodies = _bodies(session, page)
        durable = session.scalar(sa.select(Device.acked_seq).where(Device.id == actor.device_id))
    _log_reads(bodies, actor=actor, now=now)
    reached = _reached(page, after, heads, has_more=has_more)
    places = {scope: Position(epoch=heads[scope].epoch, seq=seq) for scope, seq in reached.items()}
    return {
        "epoch": str(heads[scopes[1]].epoch) if scopes[1] in heads else None,
        "changes": [_change(row, bodies) for row in page],
        "cursor": write_cursor(places),
        "seen": reached,
        "has_more": has_more,
        "anchor": make_anchor(current_signer(), device_id=actor.device_id, now=now),
        "durable_through": durable,
        "rescue_key": current_signer().rescue_key,
    }


def _heads(session: Session, scopes: Sequence[str]) -> dict[str, Head]:
    rows = session.scalars(sa.select(FeedHead).where(FeedHead.scope.in_(scopes)))
    return {
        row.scope: Head(epoch=row.epoch, seq=row.seq, oldest_tombstone=row.oldest_tombstone) for row in rows
    }


def _start(cursor: str | None, heads: dict[str, Head]) -> dict[str, int]:
    try:
        return continue_from(read_cursor(cursor) if cursor else {}, heads)
    except StaleCursor as error:
        raise Gone("feed-reset", f"Forget the cursor and pull from the beginning: {error}.") from None


def _rows(session: Session, after: dict[str, int], *, limit: int) -> list[FeedRow]:
    """Return the next rows, one scope after the other, so that a page is a prefix of each scope."""
    rows: list[FeedRow] = []
    for scope in sorted(after):
        query = (
            sa.select(FeedRow)
            .where(FeedRow.scope == scope, FeedRow.seq > after[scope])
            .order_by(FeedRow.seq)
            .limit(limit - len(rows))
        )
        rows += session.scalars(query).all()
        if len(rows) >= limit:
            break
    return rows


def _reached(
    page: Sequence[FeedRow], after: dict[str, int], heads: dict[str, Head], *, has_more: bool
) -> dict[str, int]:
    """Return how far the phone is once it applied the page: the head where nothing is left."""
    if not has_more:
        return {scope: head.seq for scope, head in heads.items()}
    reached = dict(after)
    for row in page:
        reached[row.scope] = row.seq
    return reached


def _change(row: FeedRow, bodies: dict[tuple[str, UUID], dict[str, Any]]) -> dict[str, Any]:
    body = bodies.get((row.kind, row.entity_id)) if row.op == "put" else None
    return {
        "scope": row.scope,
        "kind": row.kind,
        "id": str(row.entity_id),
        "op": row.op if body is not None else "remove",
        "rev": row.rev,
        "body": body,
    }


def _bodies(session: Session, page: Sequence[FeedRow]) -> dict[tuple[str, UUID], dict[str, Any]]:
    wanted: dict[str, list[UUID]] = defaultdict(list)
    for row in page:
        if row.op == "put":
            wanted[row.kind].append(row.entity_id)
    bodies: dict[tuple[str, UUID], dict[str, Any]] = {}
    for kind, load in BODIES.items():
        if wanted[kind]:
            found = load(session, wanted[kind])
            bodies |= {(kind, entity_id): body for entity_id, body in found.items()}
    return bodies


def _log_reads(bodies: dict[tuple[str, UUID], dict[str, Any]], *, actor: Actor, now: datetime) -> None:
    """Note that the phone was given names and addresses in clear."""
    given = [body for (kind, _), body in bodies.items() if kind == "assignment"]
    if not given:
        return
    with transaction() as session:
        session.add_all(
            AccessEntry(
                at=now,
                staff_id=actor.staff_id,
                action="sync.pull",
                entity_kind="case",
                entity_id=UUID(body["case"]["id"]),
                fields=["debtors.name", "addresses.text"],
                request={"assignment_id": body["id"], "device_id": str(actor.device_id)},
            )
            for body in given
        )


def _calendars(session: Session, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return the newest version of published years; the id's integer is the year."""
    years = [entity_id.int for entity_id in ids]
    newest: dict[int, CalendarYear] = {}
    rows = sa.select(CalendarYear).where(CalendarYear.year.in_(years)).order_by(CalendarYear.version)
    for row in session.scalars(rows):
        newest[row.year] = row
    days: dict[int, list[dict[str, str]]] = defaultdict(list)
    of_years = sa.select(CalendarDay).where(CalendarDay.year.in_(years)).order_by(CalendarDay.day)
    for day in session.scalars(of_years):
        if day.year in newest and day.version == newest[day.year].version:
            days[day.year].append({"day": day.day.isoformat(), "kind": day.kind, "name": day.name})
    return {
        UUID(int=year): {"year": year, "version": row.version, "status": row.status, "days": days[year]}
        for year, row in newest.items()
    }


def _assignments(session: Session, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return all a team needs for these visits, names and address in clear: it must find the door."""
    teams: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    members = sa.select(AssignmentMember, Staff.name).join(Staff, Staff.id == AssignmentMember.staff_id)
    for member, name in session.execute(members.where(AssignmentMember.assignment_id.in_(ids))):
        teams[member.assignment_id].append(
            {"staff_id": str(member.staff_id), "name": name, "is_lead": member.is_lead}
        )
    rows = session.execute(
        sa.select(Assignment, Case, Debtor, Address, Client.name.label("client_name"))
        .join(Case, Case.id == Assignment.case_id)
        .join(Debtor, Debtor.id == Assignment.debtor_id)
        .join(Address, Address.id == Assignment.address_id)
        .join(Client, Client.id == Case.client_id)
        .where(Assignment.id.in_(ids))
    )
    return {row.Assignment.id: _assignment_body(row, teams[row.Assignment.id]) for row in rows}


def _assignment_body(row: Any, team: list[dict[str, Any]]) -> dict[str, Any]:
    assignment, case, debtor, address = row.Assignment, row.Case, row.Debtor, row.Address
    return {
        "id": str(assignment.id),
        "state": assignment.state,
        "window": {
            "from": write_instant(assignment.window_start),
            "until": write_instant(assignment.window_end),
        },
        "permit": assignment.permit,
        "team": team,
        "case": {
            "id": str(case.id),
            "reference": case.reference,
            "client": row.client_name,
            "outstanding_fen": case.outstanding_fen,
            "special_note": case.special_note,
        },
        "debtor": {"name": debtor.name},
        "address": {"text": address.text, "lat": address.latitude, "lon": address.longitude},
    }


# What a row of each kind carries.
BODIES: Final = {"assignment": _assignments, "calendar": _calendars}
