"""Which row does an item become, and how are all rows of a push written with one statement?

Payload and signatures are exactly what came. Beside them stands what became of the item, so that no row is
written a second time.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from server.driver import blobs, documents, longs, run, texts, uuids
from server.models.visits import ConflictingItem, visit_named_by
from server.signing import Signer, current_signer
from server.workflows.exchange.anchors import write_anchor
from server.workflows.exchange.answers import Progress
from server.workflows.exchange.arrived import Result, Sender
from server.workflows.exchange.forks import UNREADABLE
from server.workflows.exchange.receipts import make_receipt
from sync.admission import Candidate
from sync.chain import Link, judge_links, record_digest
from sync.clock import Anchor
from sync.protocol import Envelope


def neighbours_of(session: Session, device_id: UUID, candidates: Sequence[Candidate]) -> Sequence[Any]:
    """Return what is stored under the candidates' ids, at their numbers and at those before and after."""
    seqs = {one.pushed.seq + step for one in candidates for step in (-1, 0, 1)}
    wanted = {"ids": uuids({one.pushed.id for one in candidates}), "seqs": longs(seqs)}
    return run(session, _NEIGHBOURS, {"device_id": device_id, **wanted})


_NEIGHBOURS: Final = """
    SELECT item_id, seq, prev, sha256, type FROM items
    WHERE device_id = %(device_id)s AND (item_id = ANY(%(ids)s) OR seq = ANY(%(seqs)s))
"""


def chain_flags(neighbours: Sequence[Any], new: Sequence[Candidate]) -> list[tuple[str, ...]]:
    """Compare the new links with their neighbours, stored or new."""
    links = [Link(seq=one.pushed.seq, prev=one.pushed.prev, digest=one.digest) for one in new]
    known: dict[int, list[bytes]] = {}
    prevs: dict[int, list[bytes | None]] = {}
    unsigned = {one.digest for one in new if one.item is None}
    for row in neighbours:
        known.setdefault(row.seq, []).append(row.sha256)
        if row.type == UNREADABLE:
            unsigned.add(row.sha256)
        else:
            prevs.setdefault(row.seq, []).append(row.prev)
    return judge_links(links, known, prevs=prevs, unsigned=unsigned)


def row_of(
    one: Candidate,
    chain: tuple[str, ...],
    *,
    sender: Sender,
    signer: Signer,
    later: Anchor | None,
    now: datetime,
) -> dict[str, Any]:
    """Return the inbox's row of an item; `later` is an anchor that its phone got after it wrote it."""
    envelope = one.pushed.envelope
    flags = [*one.flags, *chain]
    if sender.revoked_at is not None:
        flags.append("key_revoked")
    return {
        "device_id": sender.device_id,
        "item_id": one.pushed.id,
        "seq": one.pushed.seq,
        "prev": one.pushed.prev,
        "sha256": one.digest,
        "type": one.item.type if one.item else UNREADABLE,
        "visit_id": visit_named_by(one.item),
        "payload_type": envelope.payload_type,
        "payload": envelope.payload,
        "signatures": _signatures(envelope),
        "received_at": now,
        "receipt": make_receipt(signer, item_id=one.pushed.id, sha256=one.digest, now=now),
        "flags": flags,
        "later_anchor": None if later is None else write_anchor(later),
    }


def _signatures(envelope: Envelope) -> list[dict[str, str]]:
    return [{"keyid": each.keyid, "sig": base64.b64encode(each.sig).decode()} for each in envelope.signatures]


def keep(
    session: Session,
    rows: Sequence[dict[str, Any]],
    results: Sequence[Result],
    *,
    device_id: UUID,
    progress: Progress,
) -> None:
    """Write what is new into the inbox, with what became of it, and how far the phone's record goes."""
    if not rows:
        return
    values = {
        "device_id": device_id,
        "received_at": rows[0]["received_at"],
        "acked_seq": progress.acked_seq,
        "highest_seq": progress.highest_seq,
        "added": record_digest(row["sha256"] for row in rows).hex(),
        "outcomes": texts(one.outcome for one in results),
        "flags": documents(one.flags or None for one in results),
        "problems": documents(one.problem for one in results),
    }
    for name, pack in _PACKED.items():
        values[name] = pack(row[name] for row in rows)
    run(session, _KEEP, values)


_PACKED: Final[dict[str, Callable[[Iterable[Any]], bytes]]] = {
    "item_id": uuids,
    "seq": longs,
    "prev": blobs,
    "sha256": blobs,
    "type": texts,
    "visit_id": uuids,
    "payload_type": texts,
    "payload": blobs,
    "signatures": documents,
    "receipt": documents,
    "later_anchor": documents,
}
_KEEP: Final = """
    WITH kept AS (
        INSERT INTO items (device_id, item_id, seq, prev, sha256, type, visit_id, payload_type, payload,
                           signatures, received_at, receipt, later_anchor, outcome, problem, flags)
        SELECT %(device_id)s, one.item_id, one.seq, one.prev, one.sha256, one.type, one.visit_id,
               one.payload_type, one.payload, one.signatures, %(received_at)s, one.receipt, one.later_anchor,
               one.outcome, one.problem,
               CASE WHEN one.flags IS NULL THEN '{}'
                    ELSE ARRAY(SELECT jsonb_array_elements_text(one.flags)) END
        FROM unnest(%(item_id)s, %(seq)s, %(prev)s, %(sha256)s, %(type)s, %(visit_id)s, %(payload_type)s,
                    %(payload)s, %(signatures)s, %(receipt)s, %(later_anchor)s, %(outcomes)s,
                    %(problems)s, %(flags)s)
             AS one (item_id, seq, prev, sha256, type, visit_id, payload_type, payload, signatures, receipt,
                     later_anchor, outcome, problem, flags)
    )
    UPDATE devices SET acked_seq = %(acked_seq)s, highest_seq = %(highest_seq)s,
                       record_digest = record_digest # ('x' || %(added)s)::bit(256)
     WHERE id = %(device_id)s
"""


def keep_conflicts(session: Session, odd: Sequence[Candidate], *, device_id: UUID, now: datetime) -> None:
    signer = current_signer()
    rows = [
        {
            "device_id": device_id,
            "item_id": one.pushed.id,
            "sha256": one.digest,
            "payload_type": one.pushed.envelope.payload_type,
            "payload": one.pushed.envelope.payload,
            "signatures": _signatures(one.pushed.envelope),
            "received_at": now,
            "receipt": make_receipt(signer, item_id=one.pushed.id, sha256=one.digest, now=now),
        }
        for one in odd
    ]
    statement = insert(ConflictingItem).values(rows)
    session.execute(statement.on_conflict_do_nothing())
