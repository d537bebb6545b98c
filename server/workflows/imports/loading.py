"""How does one chunk of rows reach the tables? Set-based, in the caller's transaction.

Per kind four statements, whatever the number of rows: resolve what is named, read what is stored (locked),
COPY what changed into a stage, INSERT ... ON CONFLICT from there. What is stored is compared in clear:
decrypting a million fields takes a second.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from server import pii
from server.blind import BlindIndex
from server.intake.faults import RowFault
from server.intake.reading import Rejected, Row
from server.models.cases import Client, Debtor
from server.pii import Encrypted
from server.workflows.imports.effects import Change, follow, lock_debtors
from server.workflows.imports.merging import Values, heard, merge, notes, refusal
from server.workflows.imports.tables import TARGETS, Target
from server.workflows.status_codes import unknown_codes

Key = tuple[UUID | None, str]
PARENT_IDS: Final = {
    "debtor_id": "debtor_reference",
    "case_id": "case_reference",
    "contact_id": "contact_reference",
}
OF_DEBTOR: Final = ("ledger", "promises")
ERASED: Final = "Belongs to somebody whose data were erased. Use new references for debtor and case."


@dataclass(slots=True)
class Outcome:
    """What a chunk did."""

    counts: Counter[str] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[RowFault] = field(default_factory=list)

    def reject(self, row: Row, column: str, reason: str) -> None:
        """Give a row back with the reason."""
        self.rejected.append(Rejected(row.line, (RowFault(row.line, column, reason),)))


def load(session: Session, rows: Iterable[Row], *, now: datetime) -> Outcome:
    """Write a chunk: parents before children, whatever their order in it. One import writes at a time."""
    session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('fieldvisit.imports'))"))
    by_kind: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_kind[row.kind].append(row)
    outcome = Outcome()
    for kind, target in TARGETS.items():
        if by_kind[kind]:
            _load_kind(session, kind, target, by_kind[kind], outcome=outcome, now=now)
    return outcome


def _load_kind(
    session: Session, kind: str, target: Target, rows: Sequence[Row], *, outcome: Outcome, now: datetime
) -> None:
    resolved = list(_resolve(session, kind, target, rows, outcome=outcome))
    if kind == "cases":
        resolved = list(_with_known_status(session, resolved, outcome=outcome))
    lock_debtors(session, kind, [said for _, said in resolved])
    stored = _stored(session, target, [_key(said) for _, said in resolved])
    current: dict[Key, Values] = {}
    for row, said in resolved:
        key = _key(said)
        before = current.get(key) or stored.get(key)
        other = _changed_parent(before, said)
        if other is not None:
            reason = "Names another one than before. References are permanent: use a new reference."
            outcome.reject(row, other, reason)
            continue
        said = heard(kind, said, target.defaults)
        if refused := refusal(kind, before, said):
            outcome.reject(row, *refused)
            continue
        after = merge(kind, before, said if before else target.blank_row() | said, now=now)
        outcome.notes += [RowFault(row.line, *note) for note in notes(kind, before, said, after)]
        outcome.counts["created" if before is None else "unchanged" if after == before else "updated"] += 1
        current[key] = after
    changes = [Change(stored.get(key), after) for key, after in current.items() if after != stored.get(key)]
    _write(session, target, [change.after for change in changes])
    follow(kind, changes, now=now)


def _with_known_status(
    session: Session, resolved: Sequence[tuple[Row, Values]], *, outcome: Outcome
) -> Iterator[tuple[Row, Values]]:
    """Give back the rows whose status code their client does not have (D1, AMB16)."""
    carried = {(said["client_id"], said.get("status_code") or "") for _, said in resolved}
    unknown = unknown_codes(session, carried)
    for row, said in resolved:
        if (said["client_id"], said.get("status_code")) in unknown:
            reason = "Is not in the client's table of codes. Import or enter it there first (status_codes)."
            outcome.reject(row, "status_code", reason)
        else:
            yield row, said


def _changed_parent(before: Values | None, said: Values) -> str | None:
    """Name the reference that would move a row to another debtor, case or person; visits hang on these."""
    for name, reference in PARENT_IDS.items():
        if before is not None and name in said and said[name] != before[name]:
            return reference
    return None


def _key(row: Values) -> Key:
    return row.get("client_id"), row["reference"]


def _resolve(
    session: Session, kind: str, target: Target, rows: Sequence[Row], *, outcome: Outcome
) -> Iterator[tuple[Row, Values]]:
    """Replace the references a row names by ids; rows that name nobody known are given back."""
    if kind == "clients":
        yield from ((row, dict(row.values)) for row in rows)
        return
    clients = _clients(session, {row.values["client_reference"] for row in rows})
    pairs = [(clients.get(row.values["client_reference"]), row) for row in rows]
    parents = {
        column: _find(
            session,
            TARGETS[parent].table,
            [(client, row.values[column]) for client, row in pairs if client and row.values.get(column)],
        )
        for column, parent in target.parents.items()
    }
    for client_id, row in pairs:
        said = dict(row.values)
        reference = said.pop("client_reference")
        if client_id is None:
            outcome.reject(row, "client_reference", f"There is no client {reference!r}. Import it first.")
        elif _name_parents(row, said | {"client_id": client_id}, parents, outcome=outcome, into=said):
            if kind in OF_DEBTOR:
                said["debtor_id"] = parents["case_reference"][
                    client_id, row.values["case_reference"]
                ].debtor_id
            yield row, said


def _name_parents(
    row: Row, named: Values, parents: dict[str, dict[Key, Any]], *, outcome: Outcome, into: Values
) -> bool:
    """Put the parents' ids in; False, and the row rejected, when one is unknown or of another case."""
    into["client_id"] = named["client_id"]
    for column, found in parents.items():
        if column not in named:
            continue
        reference = into.pop(column)
        parent = found.get((named["client_id"], reference)) if reference else None
        name = column.removesuffix("_reference")
        if reference and parent is None:
            reason = f"There is no {name} {reference!r} of this client. Import it in front of this row."
            outcome.reject(row, column, reason)
            return False
        if getattr(parent, "erased_at", None) is not None:
            outcome.reject(row, column, ERASED)
            return False
        if column == "contact_reference" and parent is not None and parent.case_id != into["case_id"]:
            outcome.reject(row, column, f"The contact {reference!r} belongs to another case.")
            return False
        into[f"{name}_id"] = parent.id if parent is not None else None
    return True


def _clients(session: Session, references: set[str]) -> dict[str, UUID]:
    found = session.execute(sa.select(Client.reference, Client.id).where(Client.reference.in_(references)))
    return {row.reference: row.id for row in found}


def _wanted(keys: Sequence[Key]) -> sa.TableValuedAlias:
    """Return the keys as a table: one parameter per column, whatever their number."""
    ids = sa.bindparam(None, [client_id for client_id, _ in keys], type_=ARRAY(sa.Uuid()))
    references = sa.bindparam(None, [reference for _, reference in keys], type_=ARRAY(sa.Text()))
    columns = sa.column("client_id", sa.Uuid()), sa.column("reference", sa.Text())
    return sa.func.unnest(ids, references).table_valued(*columns).render_derived(name="wanted")


def _find(session: Session, table: sa.Table, keys: Sequence[Key]) -> dict[Key, Any]:
    """Return id (and debtor or case) of the rows with these keys."""
    wanted = _wanted(list(dict.fromkeys(keys)))
    more: list[sa.ColumnElement[Any]] = [
        table.c[name] for name in ("debtor_id", "case_id") if name in table.c
    ]
    if table.name in ("debtors", "cases"):
        more.append(_erased(table).label("erased_at"))
    query = sa.select(table.c.id, table.c.client_id, table.c.reference, *more).join(
        wanted, sa.and_(table.c.client_id == wanted.c.client_id, table.c.reference == wanted.c.reference)
    )
    return {(row.client_id, row.reference): row for row in session.execute(query)}


def _erased(table: sa.Table) -> sa.ColumnElement[Any]:
    """Since when a debtor, or the debtor of a case, is erased."""
    if table.name == "debtors":
        return table.c.erased_at
    return sa.select(Debtor.erased_at).where(Debtor.id == table.c.debtor_id).scalar_subquery()


def _stored(session: Session, target: Target, keys: Sequence[Key]) -> dict[Key, Values]:
    """Return what is stored under these keys, in clear, locked until the chunk is committed."""
    table = target.table
    query = sa.select(table).order_by(table.c.id).with_for_update(key_share=True)
    if "client_id" in table.c:
        wanted = _wanted(list(dict.fromkeys(keys)))
        same = sa.and_(table.c.client_id == wanted.c.client_id, table.c.reference == wanted.c.reference)
        query = sa.select(table).join(wanted, same).order_by(table.c.id)
        query = query.with_for_update(key_share=True, of=table)
    else:
        query = query.where(table.c.reference.in_([reference for _, reference in keys]))
    return {_key(dict(row)): dict(row) for row in session.execute(query).mappings()}


def _write(session: Session, target: Target, rows: Sequence[Values]) -> None:
    """COPY whole rows into a stage and put them in place of those with their id."""
    if not rows:
        return
    table = target.table
    columns = list(table.columns)
    names = ", ".join(f'"{column.name}"' for column in columns)
    settings = ", ".join(
        f'"{column.name}" = excluded."{column.name}"' for column in columns if column.name != "id"
    )
    session.execute(sa.text(f'CREATE TEMP TABLE "stage_{table.name}" (LIKE "{table.name}") ON COMMIT DROP'))
    cursor: Any = session.connection().connection.cursor()
    with cursor.copy(f'COPY "stage_{table.name}" ({names}) FROM STDIN') as stage:
        for row in rows:
            stage.write_row([_bound(column, row) for column in columns])
    cursor.close()
    session.execute(
        sa.text(
            f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM "stage_{table.name}" '
            f"ON CONFLICT (id) DO UPDATE SET {settings}"
        )
    )


def _bound(column: sa.Column[Any], row: Values) -> Any:
    """Return the value as it is stored: identity fields as ciphertext, their indexes as of this moment."""
    if isinstance(column.type, BlindIndex):
        return column.type.digest(row[column.type.of])
    value = row[column.name]
    if value is not None and isinstance(column.type, Encrypted):
        return pii.encrypt(column.type.column, value)
    return value
