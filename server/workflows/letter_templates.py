"""Which words did the client approve?

Templates are entered as approved, never edited: a new version takes the place of the standing one in the same
transaction, and a faulty one changes nothing. Kept for ever, because letters point at their version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.letters.template import Template, check_template
from server.models.cases import Client
from server.models.letters import LetterTemplate
from server.rules.local_time import local_day
from server.workflows.cases import find_client
from server.workflows.standing_packs import active_pack


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """What the client sent, and who there approved it, when, under which reference of theirs."""

    client: str
    reference: str
    version: int
    kind: str
    title: str
    body: str
    agency_name: str
    agency_phone: str
    approved_by: str
    approval_reference: str
    approved_on: date
    parts: Mapping[str, str] = field(default_factory=dict)

    def as_template(self) -> Template:
        """Return its words alone."""
        names = ("kind", "title", "body", "agency_name", "agency_phone")
        return Template(parts=dict(self.parts), **{name: getattr(self, name) for name in names})


def check(new: NewTemplate, *, now: datetime) -> frozenset[str]:
    """Check a template and store nothing; return the placeholders it uses. Invalid lists every fault (H2)."""
    find_client(new.client)
    _require_sound(new, now=now)
    return new.as_template().names


def _require_sound(new: NewTemplate, *, now: datetime) -> None:
    faults = [
        Fault(one.pointer, f"{one.detail} ({one.rule})" if one.rule else one.detail)
        for one in check_template(new.as_template())
    ]
    if new.approved_on > local_day(now, active_pack(now).zone):
        faults.append(Fault("/approved_on", "Lies in the future; enter it once the client has approved it."))
    for name in ("reference", "approved_by", "approval_reference"):
        if not getattr(new, name).strip():
            faults.append(Fault(f"/{name}", "Is blank; the client's approval must be traceable."))
    if faults:
        detail = "Ask the client for corrected words; the standing version stays in use."
        raise Invalid("template-faulty", detail, faults=faults)


def enter(new: NewTemplate, *, actor: Actor, now: datetime) -> LetterTemplate:
    """Take in an approved template; it replaces the standing version (H2). Repeating it changes nothing.

    Raises Conflict when a version as high exists with other words.
    """
    client = find_client(new.client)
    _require_sound(new, now=now)
    with transaction() as session:
        session.execute(sa.select(Client.id).where(Client.id == client.id).with_for_update(key_share=True))
        versions = _versions(client.id, new.reference)
        same = next((one for one in versions if one.version == new.version), None)
        if same is not None and _says_the_same(same, new):
            return same
        highest = max((one.version for one in versions), default=0)
        if new.version <= highest:
            detail = (
                f"Version {highest} exists. Approved words are never changed: enter version {highest + 1}."
            )
            raise Conflict("template-version-taken", detail, version=highest)
        for standing in versions:
            if standing.withdrawn_at is None:
                standing.withdrawn_at, standing.withdrawn_by = now, actor.staff_id
        session.flush()
        row = _row(new, client_id=client.id, actor=actor, now=now)
        session.add(row)
    return row


def _versions(client_id: UUID, reference: str) -> Sequence[LetterTemplate]:
    query = sa.select(LetterTemplate).where(
        LetterTemplate.client_id == client_id, LetterTemplate.reference == reference
    )
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


FIELDS = (
    *("reference", "version", "kind", "title", "body", "agency_name", "agency_phone"),
    *("approved_by", "approval_reference", "approved_on"),
)


def _says_the_same(row: LetterTemplate, new: NewTemplate) -> bool:
    return row.parts == dict(new.parts) and all(getattr(row, name) == getattr(new, name) for name in FIELDS)


def _row(new: NewTemplate, *, client_id: UUID, actor: Actor, now: datetime) -> LetterTemplate:
    return LetterTemplate(
        client_id=client_id,
        parts=dict(new.parts),
        entered_by=actor.staff_id,
        entered_at=now,
        **{name: getattr(new, name) for name in FIELDS},
    )


def list_templates(
    *, client: str | None, is_standing: bool | None, after: UUID | None, limit: int
) -> Sequence[LetterTemplate]:
    """Return one page of templates in the order they were entered."""
    query = sa.select(LetterTemplate).order_by(LetterTemplate.id).limit(limit)
    if client is not None:
        query = query.where(LetterTemplate.client_id == find_client(client).id)
    if is_standing is not None:
        query = query.where(LetterTemplate.withdrawn_at.is_(None) == is_standing)
    if after is not None:
        query = query.where(LetterTemplate.id > after)
    return db.session.scalars(query).all()


def withdraw(template_id: UUID, *, actor: Actor, now: datetime) -> LetterTemplate:
    """Take a template out of use. The first withdrawal stands; letters already written stay."""
    with transaction() as session:
        row = session.get(LetterTemplate, template_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise NotFound("template-unknown", "There is no letter template with this id.")
        if row.withdrawn_at is None:
            row.withdrawn_at, row.withdrawn_by = now, actor.staff_id
    return row
