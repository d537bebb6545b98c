"""What do the rules see of a case, without who it is?

A `Situation` has one member for each subject of the rules: what that subject looks at, as a JSON array in
text. Like cases have equal texts, so that each subject can be asked about each text once (`situations`). The
functions say what a member means: they put it into the facts of some case in which nothing is special.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from server.rules.calendar import Calendar
from server.rules.facts import (
    AddressFact,
    CaseFact,
    CaseFacts,
    ContactFact,
    HoldFact,
    Reservation,
    VisitRequest,
)
from server.rules.local_time import REMEMBERED, at_local

SOME_CASE: Final = UUID(int=1)
SOME_ADDRESS: Final = UUID(int=2)
SOMEBODY: Final = UUID(int=3)
LONG_AGO: Final = date(2000, 1, 1)
MOST_CALL_DAYS: Final = 8
"""More than any pack asks for. On how many days a case was called is what counts (A15), not on which."""
NO_VISITS: Final = "[[], [], []]"
NO_PLANS: Final = "[]"


class Situation(NamedTuple):
    """A case as the rules see it, without who it is.

    money: outstanding fen, balance as of · looked_at: flagged, reviewed, special note, note acknowledged ·
    stopped: state, reasons of the debtor's open holds, of the case's · place: status, is a contact's, contact
    liable, refuses contact, has a sensitive occupation, one lives at the same point; None without an address
    · tried: days with calls (at most MOST_CALL_DAYS), first letter received on · limits: hardship, own daily
    cap · by_day: days of the debtor's visits in order, an arrival on its first; wishes, each as channel,
    asked on, for which day, is used; visits that serve a wish, apart from the others, each as day and the
    wish's channel · by_hour: the same with instants, an arrival at its latest; only looked at in hardship ·
    planned: windows of the debtor's assigned visits, those of the day asked about and later · owes_account: a
    visit of the debtor's has no written account yet.
    """

    money: str
    looked_at: str
    stopped: str
    place: str | None
    tried: str
    limits: str
    by_day: str
    by_hour: str
    planned: str
    owes_account: bool


def nothing_special(*, now: datetime, calendar: Calendar) -> CaseFacts:
    """Return the facts of a case that nothing stops."""
    return CaseFacts(
        judged_at=now,
        case=CaseFact(SOME_CASE, SOMEBODY, "open", 0, LONG_AGO),
        address=AddressFact(SOME_ADDRESS, SOME_CASE, "verified"),
        calendar=calendar,
    )


def with_money(facts: CaseFacts, money: str) -> CaseFacts:
    """Put the balance into the facts."""
    fen, as_of = json.loads(money)
    return replace(facts, case=replace(facts.case, outstanding_fen=fen, balance_as_of=_day(as_of)))


def with_looked_at(facts: CaseFacts, looked_at: str, owes_account: bool) -> CaseFacts:
    """Put into the facts what somebody must have looked at, and whether an account is missing."""
    is_flagged, is_reviewed, has_note, is_acknowledged = json.loads(looked_at)
    case = replace(
        facts.case,
        special_flags=("flagged",) if is_flagged else (),
        is_reviewed=is_reviewed,
        has_special_note=has_note,
        is_note_acknowledged=is_acknowledged,
    )
    return replace(facts, case=case, accounts_missing=(SOMEBODY,) if owes_account else ())


def with_stopped(facts: CaseFacts, stopped: str) -> CaseFacts:
    """Put into the facts what stops the case."""
    state, *held = json.loads(stopped)
    holds = tuple(
        HoldFact(SOMEBODY, reason, "", facts.judged_at) for reasons in held for reason in reasons or ()
    )
    return replace(facts, case=replace(facts.case, state=state), holds=holds)


def with_place(facts: CaseFacts, place: str | None) -> CaseFacts:
    """Put the address into the facts."""
    if place is None:
        return replace(facts, address=None)
    status, is_of_contact, *contact, is_near_sensitive = json.loads(place)
    address = AddressFact(
        SOME_ADDRESS,
        SOME_CASE,
        status,
        ContactFact(SOMEBODY, *contact) if is_of_contact else None,
        (SOMEBODY,) if is_near_sensitive else (),
    )
    return replace(facts, address=address)


def with_tried(facts: CaseFacts, tried: str) -> CaseFacts:
    """Put into the facts what was tried before a visit."""
    call_days, letter = json.loads(tried)
    return replace(
        facts,
        call_days=tuple(LONG_AGO + timedelta(days=n) for n in range(call_days)),
        letters_received_on=() if letter is None else (date.fromisoformat(letter),),
    )


def with_limits(facts: CaseFacts, limits: str) -> CaseFacts:
    """Put into the facts what limits visits."""
    hardship, cap = json.loads(limits)
    return replace(facts, case=replace(facts.case, hardship=tuple(hardship), daily_visit_cap=cap))


def with_visits(facts: CaseFacts, had: str, zone: ZoneInfo) -> CaseFacts:
    """Put into the facts what the debtor had, by day or by hour. Wishes are numbered."""
    visits, wishes, asked_for = json.loads(had)
    told = [*((at, None) for at in visits), *asked_for]
    return replace(
        facts,
        reservations=tuple(Reservation(SOMEBODY, _instant(at, zone), wish) for at, wish in told),
        requests=tuple(_request(number, wish, zone) for number, wish in enumerate(wishes, start=1)),
    )


def with_planned(facts: CaseFacts, planned: str) -> CaseFacts:
    """Put the windows of the debtor's other visits into the facts."""
    windows = [[datetime.fromisoformat(at) for at in window] for window in json.loads(planned)]
    return replace(facts, reservations=tuple(Reservation(SOMEBODY, start, end=end) for start, end in windows))


def _request(number: int, wish: Sequence[Any], zone: ZoneInfo) -> VisitRequest:
    channel, asked_on, visit_on, is_used = wish
    return VisitRequest(
        UUID(int=number),
        channel,
        _instant(asked_on, zone),
        _day(visit_on),
        SOMEBODY if is_used else None,
    )


@lru_cache(maxsize=REMEMBERED)
def _instant(text: str, zone: ZoneInfo) -> datetime:
    """Read an instant. Where only the day counts, its noon stands for it."""
    if "T" in text:
        return datetime.fromisoformat(text)
    return at_local(date.fromisoformat(text), time(12), zone)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
