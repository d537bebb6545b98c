"""Facts of an ordinary case, so that a test shows only the fact that matters.

The ordinary day is Tuesday 24 November 2026; times are China time.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from server.rules import pack as packs
from server.rules.calendar import Calendar
from server.rules.engine import judge
from server.rules.facts import (
    ActualVisit,
    AddressFact,
    Arrival,
    CaseFact,
    CaseFacts,
    Interval,
    MemberFact,
    Reservation,
    Training,
    VisitRequest,
    WantedVisit,
)
from server.rules.verdict import Reason

Counted = TypeVar("Counted", Reservation, Arrival)
CHINA = ZoneInfo("Asia/Shanghai")
CASE, DEBTOR, ADDRESS = UUID(int=1), UUID(int=2), UUID(int=3)
LEAD, SECOND, THIRD = UUID(int=11), UUID(int=12), UUID(int=13)
QUALIFIED = (
    Training("onboarding_exam", 85),
    Training("law_and_conduct"),
    Training("internship"),
    Training("nda"),
)
HOUSE = packs.load("cn.house", date(2026, 11, 24))
CALENDAR = Calendar(
    published=frozenset({2025, 2026}),
    holidays={date(2026, 10, day): "National Day" for day in range(1, 8)} | {date(2026, 1, 1): "New Year"},
    makeup=frozenset({date(2026, 9, 20), date(2026, 10, 10)}),
)


def china(text: str) -> datetime:
    """Read a China time such as "2026-11-24 09:00:00" as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=CHINA).astimezone(UTC)


NOW = china("2026-11-23 10:00")


def a_visit(
    start: str = "2026-11-24 10:00", *, hours: float = 1, end: str | None = None, **more: Any
) -> WantedVisit:
    """A wanted visit of two, on an ordinary Tuesday morning."""
    begins = china(start)
    wanted = WantedVisit(
        case_id=CASE,
        address_id=ADDRESS,
        window_start=begins,
        window_end=china(end) if end else begins + timedelta(hours=hours),
        team=(LEAD, SECOND),
        lead=LEAD,
    )
    return replace(wanted, **more)


def a_member(staff_id: UUID = LEAD, **more: Any) -> MemberFact:
    """A qualified visitor with a phone."""
    return replace(MemberFact(id=staff_id, training=QUALIFIED, has_device=True), **more)


def a_case(**more: Any) -> CaseFact:
    """An open case with a fresh balance of 12,000 yuan."""
    case = CaseFact(
        id=CASE, debtor_id=DEBTOR, state="open", outstanding_fen=1_200_000, balance_as_of=date(2026, 11, 20)
    )
    return replace(case, **more)


def an_address(**more: Any) -> AddressFact:
    """The debtor's own verified address."""
    return replace(AddressFact(id=ADDRESS, case_id=CASE, status="verified"), **more)


def some_facts(**more: Any) -> CaseFacts:
    """Facts under which `a_visit()` may be assigned without any reason."""
    facts = CaseFacts(
        judged_at=NOW,
        case=a_case(),
        address=an_address(),
        calendar=CALENDAR,
        team=(a_member(LEAD), a_member(SECOND), a_member(THIRD)),
        call_days=(date(2026, 10, 20), date(2026, 10, 21)),
        letters_received_on=(date(2026, 10, 22),),
    )
    return replace(facts, **more)


def reserved(*starts: str) -> tuple[Reservation, ...]:
    """Visits already assigned to the debtor."""
    return tuple(Reservation(UUID(int=100 + n), china(start)) for n, start in enumerate(starts))


def arrived(*moments: str | tuple[str, str]) -> tuple[Arrival, ...]:
    """Visits the debtor already had, each at an instant or within an interval."""
    pairs = [(at, at) if isinstance(at, str) else at for at in moments]
    return tuple(
        Arrival(UUID(int=200 + n), Interval(china(earliest), china(latest)))
        for n, (earliest, latest) in enumerate(pairs)
    )


def serving(visits: tuple[Counted, ...], wish: str) -> tuple[Counted, ...]:
    """The same visits, each of which serves a wish of the debtor's own."""
    return tuple(replace(one, wish=wish) for one in visits)


def a_request(at: str, *, entry: int = 300, channel: str = "inbound", **more: Any) -> VisitRequest:
    """The debtor asked for a visit."""
    return replace(VisitRequest(UUID(int=entry), channel, china(at)), **more)


def what_happened(
    arrival: str | tuple[str, str] = "2026-11-24 10:00",
    departure: str | tuple[str, str] | None = "2026-11-24 10:30",
    **more: Any,
) -> ActualVisit:
    """A visit that took place, by two."""
    actual = ActualVisit(
        visit_id=UUID(int=400),
        arrival=an_interval(arrival),
        departure=None if departure is None else an_interval(departure),
        team=(LEAD, SECOND),
        address_id=ADDRESS,
    )
    return replace(actual, **more)


def an_interval(at: str | tuple[str, str]) -> Interval:
    """Read one instant, or a pair, as an interval."""
    earliest, latest = (at, at) if isinstance(at, str) else at
    return Interval(china(earliest), china(latest))


def only(wanted: WantedVisit, facts: CaseFacts) -> Reason:
    """Return the one reason of a verdict."""
    reasons = judge(wanted, facts, HOUSE).reasons
    assert len(reasons) == 1, [(reason.rule, reason.slug) for reason in reasons]
    return reasons[0]


def rules_of(wanted: WantedVisit, facts: CaseFacts) -> list[str]:
    """Return which rules speak."""
    return sorted(judge(wanted, facts, HOUSE).rules)
