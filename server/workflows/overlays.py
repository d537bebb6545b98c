"""How does a client's overlay become the rules by which its cases are judged, and how does it end? (A11)

One transaction at a time reads what stands, refuses what does not go together with it on any day to come, and
writes the next version: two administrators at once follow one another. What is refused changes nothing. Open
assignments are judged again afterwards (`rejudging`): the values of a visit's day decide, and what they block
nobody may override (rules.md), so such a visit is cancelled, not flagged; its team's phones lose the permit.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.jobs import enqueue, task
from server.models.cases import Case, Client
from server.models.dispatch import Assignment
from server.models.packs import EnteredPack
from server.reconcile.wording import faults_of
from server.rules.local_time import local_day
from server.rules.pack import available, require_usable
from server.rules.pack_file import PackError, PackFile, read_pack
from server.workflows.recounting import recount_client_later, recount_everything_later
from server.workflows.rejudging import rejudge_later
from server.workflows.standing_packs import configured, read_entered, standing

LOCK: Final = 0x7061636B
ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,99}")
MOST_PARAMETERS: Final = 100
SWEEP_AGAIN_SECONDS: Final = 60


class NewOverlay(NamedTuple):
    """An overlay as somebody enters it. `client_id` None: it binds every client's cases."""

    toml: str
    client_id: UUID | None
    note: str


def read_new(new: NewOverlay, *, now: datetime) -> PackFile:
    """Parse an overlay and hold it against everything that stands; Invalid says where and why not."""
    try:
        overlay = read_pack(new.toml, origin="overlay")
    except PackError as error:
        raise _refused(str(error)) from None
    today = local_day(now, configured_zone())
    for why in _faults(overlay, today=today):
        raise _refused(f"{overlay.ident}: {why}")
    if new.client_id is not None and db.session.get(Client, new.client_id) is None:
        raise Invalid(
            "overlay-refused",
            "Name a client of this agency; the rules stand as they were.",
            faults=[Fault("/client_id", "There is no client with this id.")],
        )
    try:
        for others in beside(overlay.id, client_id=new.client_id, now=now):
            require_usable([*others, overlay], since=today)
    except PackError as error:
        raise _refused(str(error)) from None
    return overlay


def _refused(why: str) -> Invalid:
    detail = "Nothing was entered and the rules stand as they were. Correct the overlay where `errors` says."
    return Invalid("overlay-refused", detail, faults=[Fault("/toml", why)])


def _faults(overlay: PackFile, *, today: date) -> Iterator[str]:
    if overlay.layer != "client":
        yield f"layer is {overlay.layer!r}; only overlays of the layer client are entered"
    if ID.fullmatch(overlay.id) is None or overlay.id in available():
        yield "id has to be of a-z, 0-9, dot, hyphen and underscore, and not that of a pack that ships"
    if len(overlay.parameters) > MOST_PARAMETERS:
        yield f"has more than {MOST_PARAMETERS} values"
    yield from faults_of(overlay.lexicon)
    timed = (*overlay.parameters, *overlay.lexicon)
    still = [one for one in timed if one.effective_to is None or one.effective_to > today]
    if not still and not overlay.checklist:
        yield f"nothing in it holds on {today} or later"


def configured_zone() -> ZoneInfo:
    """Return the time zone of the configured packs."""
    return ZoneInfo(configured()[0].timezone)


def beside(overlay_id: str, *, client_id: UUID | None, now: datetime) -> list[list[PackFile]]:
    """Return each set of packs that an overlay would stand beside: one a client where it binds everybody."""
    rows = [row for row in standing(sa.true(), at=now) if row.id != overlay_id]
    for_all = [read_entered(row.toml) for row in rows if row.client_id is None]
    clients = {row.client_id for row in rows if row.client_id is not None} if client_id is None else set()
    return [
        [
            *configured(),
            *for_all,
            *(read_entered(row.toml) for row in rows if row.client_id is not None and row.client_id == one),
        ]
        for one in [client_id, *sorted(clients)]
    ]


def enter(new: NewOverlay, *, actor: Actor, now: datetime) -> EnteredPack:
    """Write an overlay as the next version of its id. The same text of the same version again: as it is."""
    with transaction() as session:
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        overlay = read_new(new, now=now)
        newest = _newest(session, overlay.id)
        if newest is not None and _is_the_same(newest, new, overlay):
            return newest
        if newest is not None:
            _require_next(newest, overlay, client_id=new.client_id)
        row = EnteredPack(
            id=overlay.id,
            version=overlay.version,
            layer=overlay.layer,
            client_id=new.client_id,
            toml=new.toml,
            note=new.note,
            entered_by=actor.staff_id,
            entered_at=now,
        )
        session.add(row)
        _sweep(new.client_id)
        _recount(new.client_id)
    return row


def _is_the_same(newest: EnteredPack, new: NewOverlay, overlay: PackFile) -> bool:
    asked = (overlay.version, new.toml, new.client_id)
    return newest.withdrawn_at is None and (newest.version, newest.toml, newest.client_id) == asked


def _require_next(newest: EnteredPack, overlay: PackFile, *, client_id: UUID | None) -> None:
    if newest.client_id != client_id:
        raise Conflict("overlay-of-another-client", f"{overlay.id} is another client's; choose another id.")
    if overlay.version <= newest.version:
        raise Conflict(
            "overlay-version-taken",
            f"{overlay.id} stands at version {newest.version}. Read what that changed, then enter yours as "
            f"version {newest.version + 1}.",
            next_version=newest.version + 1,
        )


def withdraw(overlay_id: str, *, reason: str, actor: Actor, now: datetime) -> EnteredPack:
    """End an overlay: from now on the rules judge without it. What it cancelled stays cancelled."""
    with transaction() as session:
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        newest = _newest(session, overlay_id)
        if newest is None:
            raise NotFound("overlay-unknown", "There is no overlay with this id.")
        if newest.withdrawn_at is not None:
            raise Conflict("overlay-withdrawn", "This overlay was withdrawn before.")
        session.execute(
            sa.update(EnteredPack)
            .where(EnteredPack.id == overlay_id, EnteredPack.withdrawn_at.is_(None))
            .values(withdrawn_at=now, withdrawn_by=actor.staff_id, withdrawn_because=reason)
        )
        _recount(newest.client_id)
    return newest


def _newest(session: Session, overlay_id: str) -> EnteredPack | None:
    query = sa.select(EnteredPack).where(EnteredPack.id == overlay_id)
    return session.scalars(
        query.order_by(EnteredPack.version.desc()).limit(1).execution_options(populate_existing=True)
    ).first()


def list_overlays(*, client_id: UUID | None, after: str, limit: int) -> Sequence[EnteredPack]:
    """Return the newest version of each overlay, withdrawn ones too, in the order of their ids."""
    query = sa.select(EnteredPack).ext(distinct_on(EnteredPack.id))
    newest = query.order_by(EnteredPack.id, EnteredPack.version.desc()).subquery()
    chosen = aliased(EnteredPack, newest)
    listed = sa.select(chosen).where(chosen.id > after).order_by(chosen.id).limit(limit)
    if client_id is not None:
        listed = listed.where(chosen.client_id == client_id)
    return db.session.scalars(listed).all()


def history(overlay_id: str) -> Sequence[EnteredPack]:
    """Return every version of an overlay, the newest first."""
    query = sa.select(EnteredPack).where(EnteredPack.id == overlay_id)
    versions = db.session.scalars(query.order_by(EnteredPack.version.desc())).all()
    if not versions:
        raise NotFound("overlay-unknown", "There is no overlay with this id.")
    return versions


def _sweep(client_id: UUID | None) -> None:
    """Judge open assignments again after the commit, and once more for those granted in the same moment."""
    named = None if client_id is None else str(client_id)
    enqueue("overlays.sweep", client_id=named)
    enqueue("overlays.sweep", schedule_in=SWEEP_AGAIN_SECONDS, client_id=named)


def _recount(client_id: UUID | None) -> None:
    """Have deadlines counted again: a day ends when the client's window closes."""
    if client_id is None:
        recount_everything_later()
    else:
        recount_client_later(client_id)


@task("overlays.sweep")
def sweep(*, now: datetime, client_id: str | None) -> None:
    """Have every open assignment that an overlay concerns judged again."""
    with transaction():
        rejudge_later(concerned(None if client_id is None else UUID(client_id), now=now))


def concerned(client_id: UUID | None, *, now: datetime) -> sa.ColumnElement[bool]:
    """Select the assignments to come of a client's cases, of everybody's for None."""
    to_come = Assignment.window_end > now
    if client_id is None:
        return to_come
    return to_come & Assignment.case_id.in_(sa.select(Case.id).where(Case.client_id == client_id))
