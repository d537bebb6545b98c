"""Is every logged row what its leaf says, has every leaf its row, and do the bytes still have their digests?

Rows and leaves are laid side by side record by record, a kind at a time: a leaf that fits excuses no other
leaf about the same thing. What an erasure took must be blank instead (`erased`).
"""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.media.store import evidence_key
from server.workflows.transparency.logged import DIGESTED, LOGGED, Alteration, Logged


def rows(session: Session) -> Iterator[Alteration]:
    """Name every row, and every leaf, that has no other side."""
    for logged in LOGGED:
        yield from _beside(session, logged)
    yield from _again(session)
    for digested in DIGESTED:
        yield from _bytes(session, *digested)
    yield from _raw_bytes(session)
    yield from _files(session)


def _beside(session: Session, logged: Logged) -> Iterator[Alteration]:
    """Hold rows and leaves of a kind against each other. Rows whose leaf was erased are not compared here."""
    kind, table, key = logged.kind, logged.table, logged.key
    query = f"""
        SELECT odd.*, EXISTS (SELECT FROM {table} AS one WHERE one.{key} = odd.id) AS is_there
          FROM (SELECT coalesce(one.id, leaf.subject_id) AS id, count(one.id) AS unlogged,
                       count(leaf.subject_id) AS lost
                  FROM (SELECT one.{key} AS id, {logged.record} AS record FROM {table} AS one
                         WHERE {logged.rows}) AS one
                  FULL JOIN (SELECT subject_id, record FROM log_leaves
                              WHERE kind = '{kind}' AND record IS NOT NULL) AS leaf
                         ON leaf.subject_id = one.id AND leaf.record = one.record
                 WHERE one.id IS NULL OR leaf.subject_id IS NULL
                 GROUP BY 1) AS odd
         WHERE lost > 0 OR NOT EXISTS (SELECT FROM log_leaves AS leaf WHERE leaf.kind = '{kind}'
                                          AND leaf.subject_id = odd.id AND leaf.record IS NULL)
         ORDER BY odd.id
    """
    for row in session.execute(sa.text(query)):
        yield Alteration(_what(row, logged), f"{kind} {row.id}")


def _what(odd: sa.Row[tuple[object, ...]], logged: Logged) -> str:
    """Say in words what became of a row that does not fit its leaves."""
    if odd.unlogged:
        return "the row is not what was logged" if odd.lost else "the row was slipped in: no leaf"
    is_before = odd.is_there and logged.rows != "true"
    return "the row was put back to before" if is_before else "the row was deleted"


def _again(session: Session) -> Iterator[Alteration]:
    """Name what was logged oftener than it happens: decided, written or closed past the product."""
    query = """
        SELECT kind, subject_id FROM log_leaves WHERE kind = ANY(:once) OR kind = ANY(:by_row)
         GROUP BY kind, subject_id, CASE WHEN kind = ANY(:by_row) THEN coalesce(record, id::text) END
        HAVING count(*) > 1 ORDER BY min(id)
    """
    kinds = {
        name: [one.kind for one in LOGGED if one.once == once]
        for name, once in (("once", "subject"), ("by_row", "row"))
    }
    for row in session.execute(sa.text(query), kinds):
        yield Alteration("it was logged again", f"{row.kind} {row.subject_id}")


def _bytes(session: Session, kind: str, table: str, key: str, signer: str) -> Iterator[Alteration]:
    """Hold each record's bytes against its digest, over DSSE's pre-authentication encoding."""
    query = f"""
        SELECT {key} AS id FROM {table} AS one
         WHERE sha256 <> sha256(convert_to(concat('DSSEv1 ', octet_length(payload_type), ' ', payload_type,
                                                  ' ', octet_length(payload), ' '), 'UTF8') || payload)
           AND NOT (payload = '' AND EXISTS (
               SELECT FROM erased_things WHERE kind = '{kind}' AND subject_id = one.{key}))
    """
    for row in session.execute(sa.text(query)):
        yield Alteration(f"the bytes are not those {signer} signed", f"{kind} {row.id}")


def _raw_bytes(session: Session) -> Iterator[Alteration]:
    query = """
        SELECT id FROM raw_submissions AS one
         WHERE sha256 <> sha256(content)
           AND NOT (content = '' AND EXISTS (
               SELECT FROM erased_things WHERE kind = 'raw' AND subject_id = one.id))
    """
    for row in session.execute(sa.text(query)):
        yield Alteration("the bytes are not those that came", f"raw {row.id}")


def _files(session: Session) -> Iterator[Alteration]:
    """Evidence names its own bytes: what nothing names is collected, and the scrubber never asks.

    What came before its promise is that of the phone that brought it until then, and never let go of.
    """
    folder = evidence_key(b"")
    query = f"""
        SELECT id FROM evidence
         WHERE (state = 'verified' AND storage_key IS DISTINCT FROM '{folder}' || encode(sha256, 'hex'))
            OR (state = 'stored' AND storage_key IS DISTINCT FROM '{folder}' || encode(loose_sha256, 'hex'))
            OR (state = 'stored' AND promised_item IS NULL AND device_id IS DISTINCT FROM loose_from)
            OR (loose_sha256 IS NOT NULL AND storage_key IS NULL AND state <> 'erased')
         ORDER BY id
    """
    for row in session.execute(sa.text(query)):
        yield Alteration("its file is not the one that was logged", f"evidence {row.id}")
