"""Did the people who must look at the case first look at it? (A1, A6, C13)"""

from collections.abc import Iterator

from server.rules.check import Check, CheckAfterwards
from server.rules.facts import CaseFacts, WantedVisit
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


CHECKS = (
    Check(("A1",), special_flags_reviewed),
    Check(("A6",), special_note_acknowledged),
    Check(("C13",), earlier_accounts_written),
)
AFTERWARDS: tuple[CheckAfterwards, ...] = ()
