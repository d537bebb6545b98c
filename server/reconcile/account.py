"""What does the live account say, in its boxes and in its words?"""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from server.reconcile.facts import AccountFact, VisitFacts
from server.reconcile.narrative import Claim, Kind
from server.reconcile.narrative.reading import read_account
from server.rules.local_time import ONE_DAY, local_day
from sync.bodies import claimed_stay

AN_AGE: Final = timedelta(days=3_650)
LAST: Final = datetime.max.replace(tzinfo=UTC)
FIRST: Final = datetime.min.replace(tzinfo=UTC)


def claimed_day(facts: VisitFacts, account: AccountFact) -> date:
    """Return the day of the visit as the account has it; relative days count from here.

    Nobody's tomorrow counts from another age: there it is the day on which the account came.
    """
    arrived = claimed_stay(dict(account.claims))[0]
    is_of_our_age = abs(arrived - account.received_at) < AN_AGE
    return local_day(arrived if is_of_our_age else account.received_at, facts.zone)


def narrated(facts: VisitFacts, *kinds: Kind) -> tuple[Claim, ...]:
    """Return what the live narrative says of these kinds."""
    if facts.account is None:
        return ()
    told = read_account(facts.account.narrative, claimed_day(facts, facts.account), facts.lexicon)
    return tuple(one for one in told if one.kind in kinds)


def boxes(facts: VisitFacts) -> dict[str, Any]:
    """Return the structured claims of the live account; none without an account."""
    return dict(facts.account.claims) if facts.account else {}


def local_clock(facts: VisitFacts, at: datetime) -> str:
    """Return an instant as the hour and minute the debtor's town shows, also on the calendar's last day."""
    nearer = at - ONE_DAY if LAST - at < ONE_DAY else at + ONE_DAY if at - FIRST < ONE_DAY else at
    return nearer.astimezone(facts.zone).strftime("%H:%M")


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
