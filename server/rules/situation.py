"""What do the rules see of a case, without who it is?

A `Situation` has one member for each subject of the rules, so that like cases are equal and each subject can
be asked about each value once (`situations`).
"""

from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Final, NamedTuple
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
from server.rules.local_time import at_local

SOME_CASE: Final = UUID(int=1)
SOME_ADDRESS: Final = UUID(int=2)
SOMEBODY: Final = UUID(int=3)
LONG_AGO: Final = date(2000, 1, 1)
MOST_CALL_DAYS: Final = 8
"""More than any pack asks for. On how many days a case was called is what counts (A15), not on which."""


class Wish(NamedTuple):
    """A visit that the debtor asked for. Its place among the wishes of a `Had`, from 1 on, names it."""

    channel: str
    asked_on: date
    visit_on: date | None
    is_used: bool


class Had(NamedTuple):
    """The debtor's visits: when each was or will be, in order, and the wishes in theirs. Most had none.

    A begun plan counts once. Nobody's ids are in it, so that like debtors had the same.
    """

    at: tuple[datetime, ...] = ()
    wishes: tuple[Wish, ...] = ()


NO_VISITS: Final = Had()


@cache
def noon(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant that stands for a day where only the day counts."""
    return at_local(day, time(12), zone)


class Place(NamedTuple):
    """The address, without which one it is. `of_contact`: liable, refused contact, sensitive occupation."""

    status: str
    of_contact: tuple[bool, bool, bool] | None = None
    is_near_sensitive: bool = False


Limits = tuple[tuple[str, ...], int | None]


class Situation(NamedTuple):
    """A case as the rules see it, without who it is: one member for each subject of the rules.

    money: outstanding fen, balance as of · looked_at: flagged, reviewed, special note, note acknowledged,
    account missing · stopped: state, reasons of open holds · tried: days with calls (at most
    MOST_CALL_DAYS), first letter received on · limits: hardship, own daily cap · by_day: the debtor's visits,
    an arrival on its first day, all at noon · by_hour: the same at their hours, an arrival at its latest; it
    is only looked at in hardship.
    """

    money: tuple[int, date | None]
    looked_at: tuple[bool, bool, bool, bool, bool]
    stopped: tuple[str, tuple[str, ...]]
    place: Place | None
    tried: tuple[int, date | None]
    limits: Limits
    by_day: Had
    by_hour: Had


NOTHING_SPECIAL: Final = Situation(
    money=(0, LONG_AGO),
    looked_at=(False, False, False, False, False),
    stopped=("open", ()),
    place=Place("verified"),
    tried=(0, None),
    limits=((), None),
    by_day=NO_VISITS,
    by_hour=NO_VISITS,
)


def facts_of(situation: Situation, *, now: datetime, calendar: Calendar, zone: ZoneInfo) -> CaseFacts:
    """Return a situation as the facts of some case, with the visits by day. Wishes have numbers for ids."""
    is_flagged, is_reviewed, has_note, is_acknowledged, is_account_missing = situation.looked_at
    state, reasons = situation.stopped
    call_days, letter = situation.tried
    case = CaseFact(
        id=SOME_CASE,
        debtor_id=SOMEBODY,
        state=state,
        outstanding_fen=situation.money[0],
        balance_as_of=situation.money[1],
        hardship=situation.limits[0],
        daily_visit_cap=situation.limits[1],
        special_flags=("flagged",) if is_flagged else (),
        is_reviewed=is_reviewed,
        has_special_note=has_note,
        is_note_acknowledged=is_acknowledged,
    )
    return CaseFacts(
        judged_at=now,
        case=case,
        address=_address_of(situation.place),
        calendar=calendar,
        holds=tuple(HoldFact(SOMEBODY, reason, "", now) for reason in reasons),
        reservations=tuple(Reservation(SOMEBODY, at) for at in situation.by_day.at),
        requests=tuple(
            VisitRequest(
                UUID(int=number),
                wish.channel,
                noon(wish.asked_on, zone),
                wish.visit_on,
                SOMEBODY if wish.is_used else None,
            )
            for number, wish in enumerate(situation.by_day.wishes, start=1)
        ),
        call_days=tuple(LONG_AGO + timedelta(days=n) for n in range(call_days)),
        letters_received_on=() if letter is None else (letter,),
        accounts_missing=(SOMEBODY,) if is_account_missing else (),
    )


def _address_of(place: Place | None) -> AddressFact | None:
    if place is None:
        return None
    contact = None if place.of_contact is None else ContactFact(SOMEBODY, *place.of_contact)
    neighbours = (SOMEBODY,) if place.is_near_sensitive else ()
    return AddressFact(SOME_ADDRESS, SOME_CASE, place.status, contact, neighbours)
