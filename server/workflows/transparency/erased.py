"""Was what is missing from the log taken by an erasure that really was one?

An erasure covers what belonged to its debtor, and only if nothing is left of that debtor and of the thing
itself. What is blank is read out of the settings that blank it, so that both always say the same.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.models.retention import Erasure
from server.signing import current_signer
from server.workflows.retention.belongings import BLANKS, LEAVES
from server.workflows.retention.sealing import is_sealed
from server.workflows.transparency.logged import LOGGED, Alteration, Logged

WRITTEN_LATER: Final[Mapping[str, frozenset[str]]] = {
    "item": frozenset({"problem"}),
    "raised": frozenset({"reason"}),
}
"""Columns that may say something again after an erasure: why the desk cannot apply an erased item, and why an
auditor decides a finding that was raised before."""
_OF_FINDING: Final = "SELECT one.id, visit_id FROM {} AS one JOIN findings ON findings.id = finding_id"
_VISITS: Final[Mapping[str, str]] = {
    "item": "SELECT item_id AS id, visit_id FROM items"
    " WHERE type IN ('visit.account', 'visit.evidence', 'visit.ended') AND outcome = 'applied'",
    "evidence": "SELECT id, visit_id FROM evidence",
    "loose": "SELECT id, visit_id FROM evidence",
    "finding": "SELECT id, visit_id FROM findings",
    "raised": "SELECT id, visit_id FROM findings",
    "comment": _OF_FINDING.format("finding_comments"),
    "reply": _OF_FINDING.format("finding_replies"),
    "second_look": _OF_FINDING.format("second_looks"),
    "audit": "SELECT id, visit_id FROM audits",
}
"""Kind -> whose visit a thing tells of, where it tells of nobody else. Other items may: what was heard at one
door of another debtor goes with that debtor, and the words that said so are gone."""
AT_ONCE: Final = 500
_SETTINGS: Final = re.compile(r", (?=\w+ = )")


def erasures(session: Session) -> Iterator[Alteration]:
    """Hold every record that is missing against an erasure that names it, and erasures to what they say."""
    yield from _missing(session)
    yield from _lists(session)
    yield from _debtors(session)
    yield from _seals(session)
    for kind, visits in _VISITS.items():
        yield from _others(session, kind, visits)
    for logged in LOGGED:
        if logged.kind in LEAVES:
            yield from _words(session, logged)


def _missing(session: Session) -> Iterator[Alteration]:
    """An erasure takes records of some kinds, and only those that were written before it."""
    query = """
        SELECT kind, subject_id FROM log_leaves AS leaf
         WHERE record IS NULL AND NOT (kind = ANY(:kinds) AND EXISTS (
            SELECT FROM erased_things AS thing
              JOIN log_leaves AS own ON own.kind = 'erasure' AND own.subject_id = thing.erasure_id
             WHERE thing.kind = leaf.kind AND thing.subject_id = leaf.subject_id AND own.id > leaf.id))
         ORDER BY id
    """
    for row in session.execute(sa.text(query), {"kinds": list(LEAVES)}):
        yield Alteration("the leaf's record is gone, and no erasure took it", f"{row.kind} {row.subject_id}")


def _lists(session: Session) -> Iterator[Alteration]:
    """Hold what an erasure names against the digest that was logged of it."""
    query = """
        SELECT id FROM erasures AS one WHERE things_sha256 <> sha256(convert_to(coalesce((
            SELECT string_agg(concat(kind, ' ', subject_id, E'\\n'), '' ORDER BY kind COLLATE "C", subject_id)
              FROM erased_things WHERE erasure_id = one.id), ''), 'UTF8')) ORDER BY id
    """
    for row in session.execute(sa.text(query)):
        yield Alteration("what it erased is not what was logged", f"erasure {row.id}")


def _debtors(session: Session) -> Iterator[Alteration]:
    """Of a debtor who was erased nothing is left, and it happened at the time of an erasure of theirs."""
    query = """
        SELECT one.id FROM erasures AS one JOIN debtors ON debtors.id = one.debtor_id
         WHERE debtors.name IS NOT NULL OR NOT EXISTS (
            SELECT FROM erasures AS theirs
             WHERE theirs.debtor_id = debtors.id AND theirs.erased_at = debtors.erased_at)
         ORDER BY one.id
    """
    for row in session.execute(sa.text(query)):
        yield Alteration("its debtor was not erased then", f"erasure {row.id}")


def _seals(session: Session) -> Iterator[Alteration]:
    """An erasure that the office did not sign is somebody's who has the database."""
    signer = current_signer()
    query = sa.select(*Erasure.__table__.c).order_by(Erasure.id).execution_options(yield_per=AT_ONCE)
    for row in session.execute(query):
        if not is_sealed(row, signer):
            yield Alteration("it is not what the office signed", f"erasure {row.id}")


def _others(session: Session, kind: str, visits: str) -> Iterator[Alteration]:
    """Name what an erasure took although it tells of a visit at somebody else's."""
    query = f"""
        SELECT erasure.id AS erasure_id, thing.subject_id
          FROM erased_things AS thing
          JOIN erasures AS erasure ON erasure.id = thing.erasure_id
          JOIN ({visits}) AS about ON about.id = thing.subject_id
          JOIN visits ON visits.id = about.visit_id
          LEFT JOIN assignments ON assignments.id = visits.assignment_id
         WHERE thing.kind = '{kind}'
           AND visits.debtor_id IS DISTINCT FROM erasure.debtor_id
           AND assignments.debtor_id IS DISTINCT FROM erasure.debtor_id
         ORDER BY erasure.id, thing.subject_id
    """
    for row in session.execute(sa.text(query)):
        what = f"it took what is not its debtor's: {kind} {row.subject_id}"
        yield Alteration(what, f"erasure {row.erasure_id}")


def _words(session: Session, logged: Logged) -> Iterator[Alteration]:
    """Name rows that say something although they were erased, and nothing was logged of them since."""
    kind, key = logged.kind, logged.key
    query = f"""
        SELECT one.{key} AS id FROM {logged.table} AS one
         WHERE one.{key} IN (SELECT subject_id FROM erased_things WHERE kind = '{kind}')
           AND NOT ({_is_blank(logged)})
           AND NOT ({logged.rows} AND EXISTS (
               SELECT FROM log_leaves AS leaf WHERE leaf.kind = '{kind}' AND leaf.subject_id = one.{key}
                  AND leaf.record = {logged.record}))
         ORDER BY 1
    """
    for row in session.execute(sa.text(query)):
        yield Alteration("the row says something although it was erased", f"{kind} {row.id}")


def _is_blank(logged: Logged) -> str:
    """Return the condition under which erasing a row would change nothing."""
    settings = _SETTINGS.split(BLANKS[logged.table][0]) if logged.table in BLANKS else []
    told = (setting.split(" = ", maxsplit=1) for setting in settings)
    free = WRITTEN_LATER.get(logged.kind, frozenset())
    return " AND ".join(
        ["true", *(f"{name} IS NOT DISTINCT FROM {blank}" for name, blank in told if name not in free)]
    )
