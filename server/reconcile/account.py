"""What does the live account say, in its boxes and in its words?"""

from datetime import date, datetime
from typing import Any

from server.reconcile.facts import AccountFact, VisitFacts
from server.reconcile.narrative import Claim, Kind, read_narrative
from server.rules.local_time import local_day
from sync.bodies import claimed_stay


def claimed_day(facts: VisitFacts, account: AccountFact) -> date:
    """Return the day of the visit as the account has it; relative days count from here."""
    return local_day(claimed_stay(dict(account.claims))[0], facts.zone)


def narrated(facts: VisitFacts, *kinds: Kind) -> tuple[Claim, ...]:
    """Return what the live narrative says of these kinds."""
    if facts.account is None:
        return ()
    told = read_narrative(facts.account.narrative, claimed_day(facts, facts.account), facts.lexicon)
    return tuple(one for one in told if one.kind in kinds)


def boxes(facts: VisitFacts) -> dict[str, Any]:
    """Return the structured claims of the live account; none without an account."""
    return dict(facts.account.claims) if facts.account else {}


def local_clock(facts: VisitFacts, at: datetime) -> str:
    """Return an instant as the hour and minute the debtor's town shows."""
    return at.astimezone(facts.zone).strftime("%H:%M")


def cite_words(facts: VisitFacts, *claims: Claim) -> dict[str, Any]:
    """Point at words of the narrative."""
    account = facts.account
    if account is None:
        return {}
    return {
        "account_id": str(account.id),
        "places": [
            {"word": one.words(account.narrative), "from": one.start, "until": one.end} for one in claims
        ],
    }
