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
    Arrival,
    CaseFact,
    CaseFacts,
    ContactFact,
    HoldFact,
    Reservation,
    VisitRequest,
)
from server.rules.local_time import at_local, local_day

SOME_CASE: Final = UUID(int=1)
SOME_ADDRESS: Final = UUID(int=2)
SOMEBODY: Final = UUID(int=3)
LONG_AGO: Final = date(2000, 1, 1)
MOST_CALL_DAYS: Final = 8
"""More than any pack asks for. On how many days a case was called is what counts (A15), not on which."""


class Visits(NamedTuple):
    """The debtor's visits: what budget and hardship look at. The same for most debtors: none."""

    reservations: tuple[Reservation, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    requests: tuple[VisitRequest, ...] = ()


NO_VISITS: Final = Visits()


class Wish(NamedTuple):
    """A visit that the debtor asked for. Its place among the wishes of a `Had`, from 1 on, names it."""

    channel: str
    asked_on: date
    visit_on: date | None
    is_used: bool


class Had(NamedTuple):
    """Visits as the rules count them: when each was or will be, in order, and the wishes in theirs.

    A begun plan counts once. Nobody's ids are in it, so that like debtors had the same.
    """

    at: tuple[datetime, ...] = ()
    wishes: tuple[Wish, ...] = ()

    def as_visits(self, zone: ZoneInfo) -> Visits:
        """Return some debtor's visits that count as these."""
        return Visits(
            reservations=tuple(Reservation(SOMEBODY, at) for at in self.at),
            requests=tuple(
                VisitRequest(
                    UUID(int=number),
                    wish.channel,
                    _noon(wish.asked_on, zone),
                    wish.visit_on,
                    SOMEBODY if wish.is_used else None,
                )
                for number, wish in enumerate(self.wishes, start=1)
            ),
        )


def by_day(visits: Visits, zone: ZoneInfo) -> Had:
    """Return visits as they count where the hour does not: an arrival on its first day, all at noon."""
    days = [local_day(arrival.at.earliest, zone) for arrival in visits.arrivals]
    days += [local_day(start, zone) for start in _not_begun(visits)]
    return Had(tuple(_noon(day, zone) for day in sorted(days)), _wishes(visits, zone))


def by_hour(visits: Visits, zone: ZoneInfo) -> Had:
    """Return visits as they count where the hour does, too: an arrival at its latest."""
    at = [arrival.at.latest for arrival in visits.arrivals] + _not_begun(visits)
    return Had(tuple(sorted(at)), _wishes(visits, zone))


def _not_begun(visits: Visits) -> list[datetime]:
    begun = {arrival.assignment_id for arrival in visits.arrivals}
    return [plan.start for plan in visits.reservations if plan.assignment_id not in begun]


def _wishes(visits: Visits, zone: ZoneInfo) -> tuple[Wish, ...]:
    return tuple(
        Wish(one.channel, local_day(one.at, zone), one.visit_on, one.used_by is not None)
        for one in visits.requests
    )


@cache
def _noon(day: date, zone: ZoneInfo) -> datetime:
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
    MOST_CALL_DAYS), first letter received on · limits: hardship, own daily cap.
    """

    money: tuple[int, date | None]
    looked_at: tuple[bool, bool, bool, bool, bool]
    stopped: tuple[str, tuple[str, ...]]
    place: Place | None
    tried: tuple[int, date | None]
    limits: Limits
    visits: Visits


NOTHING_SPECIAL: Final = Situation(
    money=(0, LONG_AGO),
    looked_at=(False, False, False, False, False),
    stopped=("open", ()),
    place=Place("verified"),
    tried=(0, None),
    limits=((), None),
    visits=NO_VISITS,
)


def facts_of(situation: Situation, *, now: datetime, calendar: Calendar) -> CaseFacts:
    """Return a situation as the facts of some case."""
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
        reservations=situation.visits.reservations,
        arrivals=situation.visits.arrivals,
        requests=situation.visits.requests,
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
