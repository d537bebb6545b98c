"""The tables: columns, constraints and small queries. No decisions are made here.

Every invariant the database can hold is a constraint here; ARCHITECTURE.md lists them.
"""

from server.models import (
    access,
    assessments,
    auditing,
    backups,
    breaches,
    calendar,
    cases,
    dispatch,
    evidence,
    feed,
    findings,
    judgement,
    people,
    plans,
    prints,
    quarantine,
    retention,
    storage,
    transcripts,
    transparency,
    visits,
)

__all__ = [
    "access",
    "assessments",
    "auditing",
    "backups",
    "breaches",
    "calendar",
    "cases",
    "dispatch",
    "evidence",
    "feed",
    "findings",
    "judgement",
    "people",
    "plans",
    "prints",
    "quarantine",
    "retention",
    "storage",
    "transcripts",
    "transparency",
    "visits",
]
