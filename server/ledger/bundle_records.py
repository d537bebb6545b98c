"""Are the office's own records in a bundle those that were logged: decisions, looks, corrections, sanctions?

Rows stand in a bundle as the exact text whose digest was logged. Words that the server keeps encrypted stand
beside it in clear and are held against the commitment in the text; corrections against the server's key.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from server.ledger.commitment import is_of
from sync.envelope import PublicKey, digest
from sync.wire import Reader, WireFault, parse, read_envelope

TEXTS: Final[Mapping[str, str]] = {
    "decisions.json": "decision",
    "findings.json": "finding",
    "raised.json": "raised",
    "weights.json": "weight",
    "runs.json": "run",
    "looks.json": "access",
    "audits.json": "audit",
    "comments.json": "comment",
    "second_looks.json": "second_look",
    "hearings.json": "hearing",
    "tellings.json": "telling",
    "replies.json": "reply",
    "breaches.json": "breach",
    "breach_endings.json": "breach_ending",
    "desk_decisions.json": "desk_decision",
    "corrections.json": "correction",
    "frauds.json": "fraud",
    "months.json": "month",
    "proposals.json": "proposal",
    "erasures.json": "erasure",
}
"""Parts that hold rows as the exact text whose digest was logged, and the kind of their leaves. Bundles made
before there was one of them simply do not have it."""
COMMITTED: Final[Mapping[str, str]] = {"desk_decisions.json": "reason", "frauds.json": "words"}
"""Parts whose rows carry `words` in clear, and the name of the commitment to them in the text."""
CORRECTION: Final = "application/vnd.fieldvisit.correction+json"
_MEMBER: Final = "{}_commitment"


def lines_of(row: Reader) -> tuple[str, ...]:
    """Return what the leaf's record says after its kind: ids, and the digest of the row's text."""
    sha256 = hashlib.sha256(str(row.value["text"]).encode()).hexdigest()
    under = row.value.get("under")
    above = map(str, under) if isinstance(under, list) else ()
    return (*above, str(row.value.get("id")), sha256)


def faults_of(part: str, row: Reader, *, server: PublicKey) -> Iterator[str]:
    """Say what of a row does not fit its own text, in words."""
    try:
        if part in COMMITTED:
            yield from _words(row, _MEMBER.format(COMMITTED[part]))
        elif part == "corrections.json":
            yield from _correction(row, server)
    except (WireFault, ValueError) as fault:
        yield f"cannot be read: {fault}"


def _words(row: Reader, member: str) -> Iterator[str]:
    commitment = _text(row).get(member)
    words = row.value.get("words")
    if commitment is None:
        return  # written before there were commitments
    if not isinstance(words, str) or not is_of(bytes.fromhex(str(commitment)), words):
        yield "has words that are not those that were written"


def _correction(row: Reader, server: PublicKey) -> Iterator[str]:
    envelope = read_envelope(row.within("envelope"))
    if envelope.payload_type != CORRECTION or not server.has_sealed(envelope):
        yield "is not what the office signed"
    elif digest(envelope.payload_type, envelope.payload).hex() != _text(row).get("sha256"):
        yield "is signed bytes of another correction"


def _text(row: Reader) -> Mapping[str, Any]:
    return Reader(parse(str(row.value["text"]).encode())).value
