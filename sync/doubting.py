"""What does a phone do when the office's word does not fit what it knows of the office?

The office may hold another record of this phone than it gave receipts for (`sync.record`), or a log that did
not only grow (`sync.witness`). Either is said once, by a signed item, and syncing goes on.
"""

from sync.checkpoint import CheckpointFault
from sync.events import LogDoubted, RecordDiffers
from sync.record import TOLD, RecordDoubt
from sync.session import Session
from sync.timekeeping import server_time
from sync.witness import HEAD, Growth, Head, open_head, witness


def hear_record(session: Session, told: bytes | None) -> None:
    """Hold the office's digest of this phone's items against ours; offer them again if it lacks something."""
    if told is None:
        return
    if session.outbox.hear_record(told):
        session.offers_again = True
    elif doubt := session.outbox.record.doubt(told):
        _tell_difference(session, doubt)


def _tell_difference(session: Session, doubt: RecordDoubt) -> None:
    anchor = session.outbox.fact("anchor")
    now = None if anchor is None else server_time(anchor)
    if now is not None and session.outbox.record.may_tell(doubt, now=now):
        body = {"held": doubt.held.hex(), "told": doubt.told.hex()}
        facts = {TOLD: {"difference": doubt.difference, "at": now.isoformat()}}
        session.offers_again |= session.on_doubt("record.doubted", body, facts)
    session.on_event(RecordDiffers(doubt))


def kept_head(session: Session) -> Head | None:
    """Return the head of the log that this phone keeps; None too for one of another office."""
    note = session.outbox.fact(HEAD)
    try:
        return None if note is None else open_head(note, key=session.server_key)
    except CheckpointFault:
        return None


def watch_log(session: Session, kept: Head | None, growth: Growth) -> None:
    """Hold the log's head against the one this phone asked with."""
    try:
        doubt = witness(kept, growth, key=session.server_key)
    except CheckpointFault:
        return  # not signed by the office: nobody said anything
    if doubt is None:
        if kept is None or growth.checkpoint != kept.note:
            session.outbox.remember(**{HEAD: growth.checkpoint})
        return
    body = {"why": doubt.why, "held": doubt.held, "told": doubt.told}
    session.offers_again |= session.on_doubt("log.doubted", body, {HEAD: doubt.told})
    session.on_event(LogDoubted(doubt))
