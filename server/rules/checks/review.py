"""Did the people who must look at the case first look at it? (A1, A6, C13)

Nothing tells since when a flag or note is there: after the fact a missing review is possible at most. Missing
accounts of earlier visits (C13) are those visits' own findings.
"""

from collections.abc import Iterator
from datetime import datetime

from server.rules.check import Check, CheckAfterwards
from server.rules.facts import ActualVisit, CaseFacts, WantedVisit
from server.rules.pack import RulePack
from server.rules.verdict import Reason, a_reason


def special_flags_reviewed(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A1: a case imported with a special flag waits until somebody recorded its review."""
    if facts.case.special_flags and not facts.case.is_reviewed:
        yield a_reason("A1", "review-missing", "block", special_flags=facts.case.special_flags)


def special_note_acknowledged(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A6: a client's special note waits until the dispatcher acknowledged it."""
    if facts.case.has_special_note and not facts.case.is_note_acknowledged:
        yield a_reason("A6", "special-note-unread", "block")


def earlier_accounts_written(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """C13: an earlier visit still has no account; a warning."""
    if facts.accounts_missing:
        yield a_reason("C13", "account-missing", "warn", visits=facts.accounts_missing)


def flags_were_reviewed(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A1 as of the arrival."""
    case = facts.case
    if case.special_flags and not _was_done(case.reviewed_at, actual, is_done=case.is_reviewed):
        about = {"special_flags": case.special_flags, "reviewed_at": case.reviewed_at}
        yield a_reason("A1", "review-missing", "block", certainty="possible", **about)


def note_was_acknowledged(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A6 as of the arrival."""
    case = facts.case
    done_at = case.note_acknowledged_at
    if case.has_special_note and not _was_done(done_at, actual, is_done=case.is_note_acknowledged):
        yield a_reason("A6", "special-note-unread", "block", certainty="possible", acknowledged_at=done_at)


def _was_done(done_at: datetime | None, actual: ActualVisit, *, is_done: bool) -> bool:
    return is_done and (done_at is None or done_at <= actual.arrival.latest)


CHECKS = (
    Check(("A1",), special_flags_reviewed),
    Check(("A6",), special_note_acknowledged),
    Check(("C13",), earlier_accounts_written),
)
AFTERWARDS = (
    CheckAfterwards(("A1",), flags_were_reviewed),
    CheckAfterwards(("A6",), note_was_acknowledged),
)
