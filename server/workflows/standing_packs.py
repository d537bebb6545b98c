"""Which rules judge a client's case on a day: the configured packs, tightened by the client's overlays?

A loader, like `case_facts`: reads only, one small query. All values of a judgement are those of the local day
of the visit, not of the day of asking: a value that begins tomorrow already judges tomorrow's visit. An
overlay counts from when it was entered until it is withdrawn: no visit is judged by what nobody could know.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased

from server.database import db
from server.errors import Conflict
from server.models.cases import Case
from server.models.packs import EnteredPack
from server.rules.local_time import local_day
from server.rules.pack import RulePack, combine, named
from server.rules.pack_file import PackError, PackFile, read_pack


def configured() -> tuple[PackFile, ...]:
    """Return the packs of the setting RULE_PACK."""
    return named(current_app.extensions["config"].rule_pack)


def local_zone() -> ZoneInfo:
    """Return where the local days of this agency begin and end."""
    return ZoneInfo(configured()[0].timezone)


def active_pack(at: datetime, client_id: UUID | None = None) -> RulePack:
    """Return the values for a client's cases on the local day of `at`; no client: those for everybody."""
    return _active(at, EnteredPack.client_id == client_id)


def pack_of_case(case_id: UUID, at: datetime) -> RulePack:
    """Return the values for a case on the local day of `at`."""
    client = sa.select(Case.client_id).where(Case.id == case_id).scalar_subquery()
    return _active(at, EnteredPack.client_id == client)


def packs_of_clients(at: datetime) -> Mapping[UUID, RulePack]:
    """Return the values on the local day of `at` for every client that has overlays of its own."""
    rows = standing(sa.true(), at=at)
    own: dict[UUID, list[str]] = defaultdict(list)
    for row in rows:
        if row.client_id is not None:
            own[row.client_id].append(row.toml)
    for_all = [row.toml for row in rows if row.client_id is None]
    return {client_id: _combined_at(at, (*for_all, *texts)) for client_id, texts in own.items()}


def standing(of_client: sa.ColumnElement[bool], *, at: datetime) -> Sequence[EnteredPack]:
    """Return the newest version of each overlay that stood at an instant and binds the chosen clients."""
    newest = (
        sa.select(EnteredPack)
        .where(EnteredPack.entered_at <= at, sa.or_(EnteredPack.client_id.is_(None), of_client))
        .ext(distinct_on(EnteredPack.id))
        .order_by(EnteredPack.id, EnteredPack.version.desc())
        .subquery()
    )
    chosen = aliased(EnteredPack, newest)
    return db.session.scalars(
        sa.select(chosen)
        .where(sa.or_(chosen.withdrawn_at.is_(None), chosen.withdrawn_at > at))
        .order_by(chosen.id)
    ).all()


def _active(at: datetime, of_client: sa.ColumnElement[bool]) -> RulePack:
    return _combined_at(at, tuple(row.toml for row in standing(of_client, at=at)))


def _combined_at(at: datetime, overlays: tuple[str, ...]) -> RulePack:
    """Combine the day's values. Entering checked the overlays; a later release may contradict one of them."""
    names = current_app.extensions["config"].rule_pack
    try:
        return _combined(names, overlays, local_day(at, local_zone()))
    except PackError as error:
        raise Conflict(
            "rules-contradict", f"Nothing is judged until an administrator corrects or withdraws it: {error}"
        ) from error


@lru_cache(maxsize=512)
def _combined(names: str, overlays: tuple[str, ...], on: date) -> RulePack:
    return combine([*named(names), *map(read_entered, overlays)], on=on, may_loosen=True)


@lru_cache(maxsize=512)
def read_entered(text: str) -> PackFile:
    """Parse an overlay that was entered; the same text is parsed once."""
    return read_pack(text, origin="overlay")
