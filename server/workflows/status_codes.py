"""Which status may a client's cases have, and who says so? (D1, AMB16)

Three codes stand in the house rules; the client's own table is not in the document and comes from the client,
by a file or an administrator. What is in neither is refused, never guessed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.intake.cells import NO_ADDRESS, stands_in_address
from server.models.cases import Case, Client, StatusCode
from server.workflows.recounting import recount_client_later, recount_later


@dataclass(frozen=True, slots=True)
class Code:
    """One code: what it is called and what it says of a case. `rule`: the house rule it is of, if any."""

    code: str
    title: str
    meaning: str
    rule: str = ""


BUILT_IN: Final[Mapping[str, Code]] = {
    code.code: code
    for code in (
        Code("PTP", "承诺还款", "promise", "F5"),
        Code("PTP2", "跟票", "promise", "D1"),
        Code("FOUND1", "寻人", "tracing", "D1"),
    )
}


def unknown_codes(session: Session, wanted: Collection[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Return those of (client, code) that the client's table does not have; one statement."""
    asked = {one for one in wanted if one[1] and one[1] not in BUILT_IN}
    if not asked:
        return set()
    clients = {client for client, _ in asked}
    rows = session.execute(
        sa.select(StatusCode.client_id, StatusCode.reference).where(StatusCode.client_id.in_(clients))
    )
    return asked - {(row.client_id, row.reference) for row in rows}


def is_promise(client_id: UUID, code: str) -> bool:
    """Whether a code says that the debtor promised to pay."""
    return any(one.code == code and one.meaning == "promise" for one in table_of(client_id))


def table_of(client_id: UUID) -> list[Code]:
    """Return every code that cases of a client may carry, those of the house rules first."""
    if db.session.get(Client, client_id) is None:
        raise NotFound("client-unknown", "There is no client with this id.")
    rows = db.session.scalars(
        sa.select(StatusCode).where(StatusCode.client_id == client_id).order_by(StatusCode.reference)
    )
    own = [Code(row.reference, row.title, row.meaning) for row in rows if row.reference not in BUILT_IN]
    return [*BUILT_IN.values(), *own]


def enter(client_id: UUID, codes: Sequence[Code]) -> list[Code]:
    """Enter codes of a client; one that stands already gets the new title and meaning."""
    faults = [
        Fault(f"/codes/{place}/code", "Is a code of the house rules; it needs no entry.")
        for place, one in enumerate(codes)
        if one.code in BUILT_IN
    ]
    faults += [
        Fault(f"/codes/{place}/code", NO_ADDRESS)
        for place, one in enumerate(codes)
        if not stands_in_address(one.code)
    ]
    names = [one.code for one in codes]
    faults += [
        Fault(f"/codes/{place}/code", "Is named twice.")
        for place, name in enumerate(names)
        if name in names[:place]
    ]
    if faults:
        raise Invalid("invalid-input", "Correct the fields listed in `errors`.", faults=faults)
    with transaction() as session:
        client = session.scalar(sa.select(Client.id).where(Client.id == client_id).with_for_update())
        if client is None:
            raise NotFound("client-unknown", "There is no client with this id.")
        query = sa.select(StatusCode).where(
            StatusCode.client_id == client_id, StatusCode.reference.in_(names)
        )
        standing = {row.reference: row for row in session.scalars(query)}
        for one in codes:
            row = standing.get(one.code) or StatusCode(client_id=client_id, reference=one.code)
            row.title, row.meaning = one.title, one.meaning
            session.add(row)
        recount_client_later(client_id)
    return table_of(client_id)


def remove(client_id: UUID, code: str) -> None:
    """Take a code out of a client's table; Conflict while cases still carry it."""
    with transaction() as session:
        row = session.scalar(
            sa.select(StatusCode)
            .where(StatusCode.client_id == client_id, StatusCode.reference == code)
            .with_for_update()
        )
        if row is None:
            raise NotFound("status-code-unknown", "The client's table has no such code.")
        carried = sa.select(Case.id).where(Case.client_id == client_id, Case.status_code == code).limit(1)
        if session.scalar(carried) is not None:
            raise Conflict("status-code-in-use", "Cases carry this code; give them another one first.")
        session.delete(row)


def set_status(case_id: UUID, code: str) -> Case:
    """Give a case a status; Invalid for a code that its client's table does not have (D1)."""
    with transaction() as session:
        query = sa.select(Case).where(Case.id == case_id).with_for_update(key_share=True)
        case = session.scalar(query.execution_options(populate_existing=True))
        if case is None:
            raise NotFound("case-unknown", "There is no case with this id.")
        if unknown_codes(session, {(case.client_id, code)}):
            fault = Fault("/status_code", "Is not in the client's table of codes; enter it there first.")
            raise Invalid("status-code-unknown", "Use a code of the client's table.", faults=[fault])
        case.status_code = code
        recount_later(cases=[case_id])
    return case
