"""Who can visit on a day, in which role, and when are they free?"""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from server.rules.checks.qualification import lacks
from server.rules.facts import MemberFact
from server.rules.local_time import at_local
from server.rules.pack import RulePack

Stretch = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class VisitorDay:
    """A visitor's day. `is_trainee`: may go as the second member beside a qualified lead (G5, G17).

    `can_lead`: qualified and carries an enrolled phone (X5). `free`: stretches of the visit window in which
    no assignment, leave or training takes the person, in order, never empty ones.
    """

    staff_id: UUID
    can_lead: bool
    is_qualified: bool
    is_trainee: bool
    free: tuple[Stretch, ...]

    def is_free(self, start: datetime, end: datetime) -> bool:
        """Whether the person is free for all of [start, end)."""
        return any(begin <= start and end <= until for begin, until in self.free)


def visitor_day(member: MemberFact, *, day: date, now: datetime, pack: RulePack) -> VisitorDay:
    """Say what one person can do on a day; whoever left by then is never free (G15)."""
    lacking = dict(lacks(member, pack, on=day))
    begin = max(at_local(day, pack.window_opens, pack.zone), now)
    end = at_local(day, pack.window_closes, pack.zone)
    if member.left_at is not None:
        end = min(end, member.left_at)
    return VisitorDay(
        staff_id=member.id,
        can_lead=not lacking and member.has_device,
        is_qualified=not lacking,
        is_trainee=bool(lacking) and "G18" not in lacking,
        free=_free(member, begin, end),
    )


def _free(member: MemberFact, begin: datetime, end: datetime) -> tuple[Stretch, ...]:
    free: list[Stretch] = []
    for span in sorted(member.taken, key=lambda span: span.start):
        if span.end <= begin or span.start >= end:
            continue
        if begin < span.start:
            free.append((begin, span.start))
        begin = max(begin, span.end)
    if begin < end:
        free.append((begin, end))
    return tuple(free)
