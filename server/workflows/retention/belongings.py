"""Which rows are about one debtor, and what of each is erased?

`OWNED` says for every table with an encrypted column whose words those are (a test holds it to the tables);
`BLANKS` what else in a row tells of a person. What stays: ids, times, amounts, digests, decisions and the
places of the log, so that what the agency did can still be counted and proven, about nobody in particular.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server import pii
from server.database import db
from server.pii import Encrypted

OWNED: Final[Mapping[str, str]] = {
    "debtors": "id = :debtor",
    "cases": "id = ANY(:cases)",
    "contacts": "case_id = ANY(:cases)",
    "addresses": "case_id = ANY(:cases)",
    "learned_contacts": "case_id = ANY(:cases)",
    "holds": "debtor_id = :debtor",
    "retention_holds": "debtor_id = :debtor",
    "client_notices": "case_id = ANY(:cases)",
    "complaints": "debtor_id = :debtor",
    "incidents": "debtor_id = :debtor OR case_id = ANY(:cases)",
    "casework_events": "complaint_id = ANY(:complaints) OR incident_id = ANY(:incidents)"
    " OR contact_id = ANY(:contacts)",
    "escalations": "case_id = ANY(:cases)",
    "letters": "debtor_id = :debtor",
    "deliveries": "letter_id IN (SELECT id FROM letters WHERE debtor_id = :debtor)",
    "promise_events": "promise_id IN (SELECT id FROM promises WHERE debtor_id = :debtor)",
    "payments": "case_id = ANY(:cases)",
    "desk_decisions": "item_id = ANY(:entries)",
    "transcript_segments": "evidence_id = ANY(:evidence)",
}
"""Table with encrypted columns -> its rows that are about the debtor."""
OF_STAFF: Final = ("proven_frauds", "month_replies")
"""Tables whose encrypted words are about the agency's own people; they have times of their own."""
GONE: Final = ("debtors", "cases", "contacts", "addresses")
"""Here nothing is left of a field; elsewhere an empty text: those tables promise that there were words."""
UNSETTLED: Final = "('received', 'held', 'quarantined')"
"""Outcomes of items that somebody would still read: of an empty one there is nothing to be read."""
NAMED: Final = "named && CAST(:named AS uuid[])"
OF_ITEMS: Final = "device_id = ANY(:devices) AND item_id = ANY(:items)"
BLANKS: Final[Mapping[str, tuple[str, str]]] = {
    "debtors": ("hardship = '{}', id_number_index = NULL, phone_index = NULL", OWNED["debtors"]),
    "cases": ("special_note = '', special_flags = '{}'", OWNED["cases"]),
    "contacts": (
        "relation = '', sensitive_occupation = '', stop_reason = ''",
        OWNED["contacts"],
    ),
    "addresses": ("latitude = NULL, longitude = NULL, source = ''", OWNED["addresses"]),
    "ledger_entries": ("counterpart = '', result = ''", "debtor_id = :debtor"),
    "letters": (
        "sha256 = sha256(''), void_reason = CASE WHEN void_reason = '' THEN '' ELSE '(erased)' END",
        OWNED["letters"],
    ),
    "deliveries": (
        "relation = '', proof = CASE WHEN proof = '' THEN '' ELSE '(erased)' END",
        OWNED["deliveries"],
    ),
    "client_notices": ("subject = ''", OWNED["client_notices"]),
    "decisions": (
        "facts = '{}', verdict = verdict || '{\"reasons\": []}', approval_reason = ''",
        "id = ANY(:decisions)",
    ),
    "plan_stops": (
        "approval_rule = '', refusal = CASE WHEN refusal IS NOT NULL THEN CAST('{}' AS jsonb) END",
        "case_id = ANY(:cases)",
    ),
    "plan_left_out": ("rule = '', slug = ''", "case_id = ANY(:cases)"),
    "assignments": ("permit = '{}', ended_reason = ''", "debtor_id = :debtor"),
    "visits": (
        "debtor_id = :debtor, arrived_at_position = NULL, left_at_position = NULL, checklist = '{}',"
        " claim_marks = '[]'",
        "id = ANY(:visits)",
    ),
    "accounts": ("claims = '{}', narrative = ''", "visit_id = ANY(:visits)"),
    "field_reports": ("body = '{}'", "item_id = ANY(:items)"),
    "items": (
        "payload = '', signatures = '[]', problem = NULL,"
        f" outcome = CASE WHEN outcome IN {UNSETTLED} THEN 'set_aside' ELSE outcome END",
        OF_ITEMS,
    ),
    "conflicting_items": (
        "payload = '', signatures = '[]', settled = coalesce(settled, 'set_aside')",
        f"{NAMED} OR {OF_ITEMS}"
        " OR sha256 IN (SELECT corrects_sha256 FROM corrections WHERE id = ANY(:corrections))",
    ),
    "raw_submissions": ("content = '', settled = coalesce(settled, 'set_aside')", "id = ANY(:items)"),
    "corrections": ("payload = '', signatures = '[]'", "id = ANY(:corrections)"),
    "desk_decisions": ("problem = NULL, reason_commitment = NULL", OWNED["desk_decisions"]),
    "evidence": (
        "state = 'erased', position = NULL, inspection = NULL, storage_key = NULL, thumbnail_key = NULL,"
        " rendition_key = NULL",
        "id = ANY(:evidence)",
    ),
    "uploads": ("filename = '', raw_metadata = ''", "evidence_id = ANY(:evidence)"),
    "findings": (
        "claim = '', observation = '{}', citation = '{}', reason = ''",
        "id = ANY(:findings)",
    ),
    "finding_comments": ("text = '(erased)'", "finding_id = ANY(:findings)"),
    "finding_replies": ("text = ''", "finding_id = ANY(:findings)"),
    "second_looks": ("reason = '(erased)'", "finding_id = ANY(:findings)"),
    "audits": ("note = '(erased)'", "visit_id = ANY(:visits)"),
}
"""Table -> what else is blanked, and in which rows."""
DELETED: Final = ("transcripts", "picture_prints", "sound_prints")
"""Tables made from evidence alone: a row each, gone with it."""
LEAVES: Final[Mapping[str, str]] = {
    "item": "items",
    "conflict": "entries",
    "raw": "items",
    "decision": "decisions",
    "evidence": "evidence",
    "loose": "evidence",
    "finding": "findings",
    "raised": "findings",
    "desk_decision": "desk_decisions",
    "correction": "corrections",
    "comment": "comments",
    "reply": "replies",
    "second_look": "second_looks",
    "audit": "audits",
}
"""Kind of log entry -> whose ids it is about: those whose salt and record go with the words."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """The ids of everything about one debtor, by name of the parameter that carries them."""

    debtor_id: UUID
    ids: Mapping[str, list[UUID]]

    def parameters(self) -> dict[str, Any]:
        """Return them for SQL."""
        return {"debtor": self.debtor_id, **self.ids}


_IDS: Final[Mapping[str, str]] = {
    "cases": "SELECT id FROM cases WHERE debtor_id = :debtor",
    "contacts": "SELECT id FROM contacts WHERE case_id = ANY(:cases)",
    "complaints": "SELECT id FROM complaints WHERE debtor_id = :debtor",
    "incidents": "SELECT id FROM incidents WHERE debtor_id = :debtor OR case_id = ANY(:cases)",
    "decisions": "SELECT id FROM decisions WHERE case_id = ANY(:cases)",
    "assignments": "SELECT id FROM assignments WHERE debtor_id = :debtor",
    "named": "SELECT unnest(ids_about(:debtor))",
    "visits": "SELECT id FROM visits WHERE id = ANY(:named)",
    "evidence": "SELECT id FROM evidence WHERE visit_id = ANY(:visits)",
    "findings": "SELECT id FROM findings WHERE visit_id = ANY(:visits)",
    "told": f"""
        SELECT item_id FROM items WHERE visit_id = ANY(:named)
         UNION SELECT item_id FROM items WHERE {NAMED}
         UNION SELECT id FROM raw_submissions WHERE {NAMED}
         UNION SELECT id FROM corrections WHERE {NAMED}
    """,
    "items": """
        SELECT unnest(CAST(:told AS uuid[]))
         UNION SELECT item_id FROM corrections WHERE id = ANY(:told) AND corrects_kind <> 'conflict'
         UNION SELECT id FROM corrections WHERE item_id = ANY(:told)
    """,
    "devices": f"""
        SELECT device_id FROM items WHERE visit_id = ANY(:named)
         UNION SELECT device_id FROM items WHERE {NAMED}
         UNION SELECT device_id FROM corrections WHERE id = ANY(:items)
    """,
    "entries": f"""
        SELECT unnest(CAST(:items AS uuid[])) UNION SELECT item_id FROM conflicting_items WHERE {NAMED}
         UNION SELECT item_id FROM corrections WHERE id = ANY(:items)
    """,
    "desk_decisions": "SELECT id FROM desk_decisions WHERE item_id = ANY(:entries)",
    "corrections": "SELECT id FROM corrections WHERE id = ANY(:items)",
    "comments": "SELECT id FROM finding_comments WHERE finding_id = ANY(:findings)",
    "replies": "SELECT id FROM finding_replies WHERE finding_id = ANY(:findings)",
    "second_looks": "SELECT id FROM second_looks WHERE finding_id = ANY(:findings)",
    "audits": "SELECT id FROM audits WHERE visit_id = ANY(:visits)",
}
"""Each may use those before it.

`named` are the ids by which phones and office speak of a debtor, `told` is what names one of them. `items`
are that, what the office corrected in it and wrote instead: raw bytes and corrections have their ids
among those of items. `entries` are what the desk may have decided about, other bytes under an id included.
"""


def gather(session: Session, debtor_id: UUID) -> Belongings:
    """Find everything that is about a debtor; a fixed number of queries."""
    ids: dict[str, list[UUID]] = {}
    for name, query in _IDS.items():
        known = {parameter: value for parameter, value in ids.items() if f":{parameter}" in query}
        if ":debtor" in query:
            known["debtor"] = debtor_id  # pyright: ignore[reportArgumentType]
        ids[name] = [one for one in session.scalars(sa.text(query), known) if one is not None]
    return Belongings(debtor_id, ids)


def blank(session: Session, about: Belongings) -> dict[str, int]:
    """Erase the words and marks of all these rows; return how many of each table."""
    counts: dict[str, int] = {}
    for table in DELETED:
        counts[table] = _run(session, f"DELETE FROM {table} WHERE evidence_id = ANY(:evidence)", about)
    for table, (blanks, rows) in BLANKS.items():
        counts[table] = _run(session, f"UPDATE {table} SET {blanks} WHERE {rows}", about)
    for table, rows in OWNED.items():
        counts[table] = _silence(session, table, rows, about)
    return {table: count for table, count in counts.items() if count}


def _silence(session: Session, table: str, rows: str, about: Belongings) -> int:
    """Empty the encrypted columns of a table's rows."""
    columns = encrypted_columns(table)
    empty = {f"empty_{name}": pii.encrypt(bound_to, "") for name, bound_to in columns.items()}
    if table in GONE:
        settings, empty = [f"{name} = NULL" for name in columns], {}
    else:
        settings = [f"{name} = CASE WHEN {name} IS NOT NULL THEN :empty_{name} END" for name in columns]
    return _run(session, f"UPDATE {table} SET {', '.join(settings)} WHERE {rows}", about, **empty)


def encrypted_columns(table: str) -> dict[str, str]:
    """Return the encrypted columns of a table, and what their ciphertexts are bound to."""
    columns: Sequence[sa.Column[Any]] = list(db.metadata.tables[table].columns)
    return {column.name: column.type.column for column in columns if isinstance(column.type, Encrypted)}


def _run(session: Session, statement: str, about: Belongings, **more: Any) -> int:
    values = about.parameters() | more
    used = {name: value for name, value in values.items() if f":{name}" in statement}
    result = session.execute(sa.text(statement), used)
    return result.rowcount  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
