"""Do items stand at the visit their phone signed, and do accounts say what was signed?

What is read out of an item's bytes is logged nowhere else, so it is read out of them again; visits, files and
reports in `visited`.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.models.quarantine import Correction
from server.models.visits import Account, Item, visit_named_by
from server.workflows.transparency.logged import Alteration
from sync.bodies import AccountWritten, read_body
from sync.wire import Reader, WireFault, parse, read_item

AT_ONCE: Final = 500
ACCOUNT: Final = "visit.account"
UNAPPLIED: Final = frozenset({"quarantined", "corrected", "set_aside"})
"""What can have become of an item that could not be read, or was not taken for its phone's."""


def projected(session: Session) -> Iterator[Alteration]:
    """Name every item and account that was made to say something else than its signed bytes."""
    columns = (Item.item_id, Item.type, Item.visit_id, Item.outcome, Item.payload)
    query = sa.select(*columns).where(Item.payload != b"").execution_options(yield_per=AT_ONCE)
    for page in session.execute(query).partitions():
        said = [(row, _loosely(row.payload)) for row in page]
        for row, told in said:
            if not _is_where_it_was_signed(row, told):
                yield Alteration("its visit is not the one the phone signed", f"item {row.item_id}")
        yield from _lost(session, said)
    yield from _accounts(session)


def _loosely(payload: bytes) -> dict[str, Any]:
    """Read signed bytes faster than the wire's reader does, which is asked wherever something differs."""
    try:
        return dict(json.loads(payload))
    except (ValueError, TypeError, RecursionError):
        return {}


def _body(told: dict[str, Any]) -> dict[str, Any]:
    body = told.get("body")
    return body if isinstance(body, dict) else {}


def _is_where_it_was_signed(row: Any, told: dict[str, Any]) -> bool:
    visit_id = row.visit_id and str(row.visit_id)
    if told.get("type") == row.type and _body(told).get("visit_id") == visit_id:
        return True
    try:
        record = read_item(row.payload)
    except WireFault:
        record = None
    if record is None or record.type != row.type:
        return row.visit_id is None and row.outcome in UNAPPLIED
    return row.visit_id == visit_named_by(record)


def _lost(session: Session, said: Sequence[tuple[Any, dict[str, Any]]]) -> Iterator[Alteration]:
    """Name applied accounts of which there is no row; the second of two under one id has none of its own."""
    applied: set[UUID] = set()
    for row, told in said:
        if row.type == ACCOUNT and row.outcome == "applied":
            with suppress(ValueError):
                applied.add(UUID(str(_body(told).get("account_id"))))
    there = set(session.scalars(sa.select(Account.id).where(Account.id.in_(applied)))) if applied else set()
    for account_id in sorted(applied - there):
        yield Alteration("the account that the phone signed is not there", f"account {account_id}")


def _accounts(session: Session) -> Iterator[Alteration]:
    """Hold each account to the item, or the office's correction, that it comes from; erased, it is blank."""
    is_source = sa.and_(Item.device_id == Account.device_id, Item.item_id == Account.item_id)
    signed = sa.func.coalesce(Item.payload, Correction.payload)
    query = (
        sa.select(Account.id, Account.visit_id, Account.claims, Account.narrative, signed.label("signed"))
        .outerjoin(Item, is_source)
        .outerjoin(Correction, Correction.id == Account.item_id)
        .execution_options(yield_per=AT_ONCE)
    )
    for row in session.execute(query):
        if row.signed is None:
            yield Alteration("the account was slipped in: nobody signed it", f"account {row.id}")
        elif not _says(row):
            yield Alteration("the account is not what was signed", f"account {row.id}")


def _says(row: Any) -> bool:
    if not row.signed:
        return (row.claims, row.narrative) == ({}, "")
    says = {
        "account_id": str(row.id),
        "visit_id": str(row.visit_id),
        "claims": row.claims,
        "narrative": row.narrative,
    }
    told = _body(_loosely(row.signed))
    if {name: told.get(name) for name in says} == says:
        return True
    try:
        read = read_body(ACCOUNT, Reader(parse(row.signed)).within("body").value)
    except WireFault:
        return False
    assert isinstance(read, AccountWritten)
    signed = (read.account_id, read.visit_id, read.claims, read.narrative)
    return signed == (row.id, row.visit_id, row.claims, row.narrative)
