"""Which rules judge a client's case on a day: the configured packs, tightened by the client's overlays?

A loader, like `case_facts`: reads only, one small query. All values of a judgement are those of the local day
of the visit, not of the day of asking: a value that begins tomorrow already judges tomorrow's visit. An
overlay counts from when it was entered until it is withdrawn: no visit is judged by what nobody could know.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased

from server.database import db
from server.models.cases import Case
from server.models.packs import EnteredPack
from server.rules.local_time import local_day
from server.rules.pack import RulePack, combine, named
from server.rules.pack_file import PackFile, read_pack


def configured() -> tuple[PackFile, ...]:
    """Return the packs of the setting RULE_PACK."""
    return named(current_app.extensions["config"].rule_pack)


def active_pack(at: datetime, client_id: UUID | None = None) -> RulePack:
    """Return the values for a client's cases on the local day of `at`; no client: those for everybody."""
    return _active(at, EnteredPack.client_id == client_id)


def pack_of_case(case_id: UUID, at: datetime) -> RulePack:
    """Return the values for a case on the local day of `at`."""
    client = sa.select(Case.client_id).where(Case.id == case_id).scalar_subquery()
    return _active(at, EnteredPack.client_id == client)


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
    overlays = tuple(row.toml for row in standing(of_client, at=at))
    names = current_app.extensions["config"].rule_pack
    day = local_day(at, ZoneInfo(configured()[0].timezone))
    return _combined(names, overlays, day)


@lru_cache(maxsize=512)
def _combined(names: str, overlays: tuple[str, ...], on: date) -> RulePack:
    return combine([*named(names), *(read_pack(text, origin="overlay") for text in overlays)], on=on)
