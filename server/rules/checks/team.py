"""Who goes, and are they free? (A10, X1-X5, G6, G15)

After the fact nobody asks who led (X1): a report does not say it. A diary is a plan, so being in two places
(X2) is read from the visits that people made; leave and training (X3, G6) are facts of their own.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from server.rules.check import Check, CheckAfterwards, certainty, was_in_hardship
from server.rules.facts import ActualVisit, CaseFacts, Interval, MemberFact, Span, WantedVisit
from server.rules.pack import RulePack
from server.rules.periods import next_start_beside
from server.rules.verdict import Reason, Severity, a_reason

# What a person may be taken by: the rule that says so, and its slug.
TAKEN_BY = {
    "assignment": ("X2", "double-booked"),
    "leave": ("X3", "on-leave"),
    "training": ("G6", "in-training"),
}


def team_size(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A10 and X4: not more than the cap (block for hardship, else approval); alone is a warning."""
    yield from _judge_size(len(set(wanted.team)), facts, pack)


def _judge_size(size: int, facts: CaseFacts, pack: RulePack, **more: Any) -> Iterator[Reason]:
    is_hardship = bool(facts.case.hardship)
    maximum = min(pack.team_max, pack.hardship_team_max) if is_hardship else pack.team_max
    severity: Severity = "block" if is_hardship else "approval"
    if size > maximum:
        slug = "hardship-team-size" if is_hardship else "team-size"
        source = pack.source_of("hardship_team_max" if is_hardship else "team_max")
        yield a_reason("A10", slug, severity, size=size, maximum=maximum, source=source, **more)
    if size == 1:
        yield a_reason("X4", "alone", "warn", size=size, **more)


def one_lead(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """X1: exactly one lead, one of the team; and the team has at least its minimum."""
    size = len(set(wanted.team))
    if wanted.lead is None or wanted.lead not in wanted.team:
        yield a_reason("X1", "no-lead", "block", lead=wanted.lead, team=wanted.team)
    elif size < pack.team_min:
        source = pack.source_of("team_min")
        yield a_reason("X1", "team-too-small", "block", size=size, minimum=pack.team_min, source=source)


def lead_has_device(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """X5: the lead carries an enrolled phone."""
    lead = facts.member(wanted.lead) if wanted.lead is not None else None
    if lead is not None and not lead.has_device:
        yield a_reason("X5", "lead-without-device", "block", lead=lead.id)


def still_employed(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """G15: whoever left, or is not known, goes nowhere."""
    for staff_id in wanted.team:
        member = facts.member(staff_id)
        if member is None or (member.left_at is not None and member.left_at <= wanted.window_end):
            yield a_reason(
                "G15", "not-employed", "block", staff_id=staff_id, left_at=member and member.left_at
            )


def _spans(member: MemberFact, kind: str) -> list[Span]:
    return [span for span in member.taken if span.kind == kind]


def _next_free(start: datetime, length: timedelta, spans: list[Span]) -> datetime:
    return next_start_beside(start, length, [(span.start, span.end) for span in spans])


def next_start_when_free(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack, *, kind: str
) -> datetime | None:
    """The next start at which nobody of the team is taken by assignments, leave or training."""
    spans = [span for member in facts.team if member.id in wanted.team for span in _spans(member, kind)]
    return _next_free(start, wanted.window_end - wanted.window_start, spans)


def everybody_free(wanted: WantedVisit, facts: CaseFacts, pack: RulePack, *, kind: str) -> Iterator[Reason]:
    """X2, X3, G6: one reason per person who is taken."""
    rule, slug = TAKEN_BY[kind]
    length = wanted.window_end - wanted.window_start
    for staff_id in dict.fromkeys(wanted.team):
        member = facts.member(staff_id)
        spans = _spans(member, kind) if member else []
        free_from = _next_free(wanted.window_start, length, spans)
        if free_from == wanted.window_start:
            continue
        clash = next(s for s in spans if s.start < wanted.window_end and wanted.window_start < s.end)
        yield a_reason(
            rule,
            slug,
            "block",
            allowed_from=free_from,
            staff_id=staff_id,
            taken_from=clash.start,
            taken_until=clash.end,
            assignment_id=clash.assignment_id,
        )


def team_that_went(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A10 and X4 on the team that was there.

    An assigned visit answers only for what nobody could approve: its size was judged when it was assigned,
    and a team other than the assigned one is reconciliation's own finding.
    """
    size = len(set(actual.team))
    is_certain = not facts.case.hardship or size > pack.team_max or was_in_hardship(actual, facts)
    for reason in _judge_size(size, facts, pack, certainty=certainty(is_certain)):
        if reason.severity == "block" or actual.assignment_id is None:
            yield reason
    if actual.assignment_id is None and size < pack.team_min:
        source = pack.source_of("team_min")
        about: dict[str, Any] = {"size": size, "minimum": pack.team_min, "source": source}
        yield a_reason("X1", "team-too-small", "block", certainty="certain", **about)


def carried_a_phone(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """X5 on what happened: nobody of the team has an enrolled phone (now; it may have been revoked since)."""
    members = [member for staff_id in actual.team if (member := facts.member(staff_id))]
    if members and not any(member.has_device for member in members):
        yield a_reason("X5", "lead-without-device", "block", certainty="possible", team=actual.team)


def were_employed(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """G15 on what happened: people who had left by then."""
    for staff_id in dict.fromkeys(actual.team):
        member = facts.member(staff_id)
        if member is None or member.left_at is None or member.left_at > actual.arrival.latest:
            continue
        is_certain = member.left_at <= actual.arrival.earliest
        about = {"staff_id": staff_id, "left_at": member.left_at}
        yield a_reason("G15", "not-employed", "block", certainty=certainty(is_certain), **about)


def were_free(actual: ActualVisit, facts: CaseFacts, pack: RulePack, *, kind: str) -> Iterator[Reason]:
    """X3, G6 on what happened: certain when no reading of the clocks puts the visit beside the absence."""
    rule, slug = TAKEN_BY[kind]
    for staff_id in dict.fromkeys(actual.team):
        member = facts.member(staff_id)
        for span in _spans(member, kind) if member else []:
            taken = Interval(span.start, span.start), Interval(span.end, span.end)
            meets = _meets((actual.arrival, actual.departure), taken)
            if meets is not None:
                about = {"staff_id": staff_id, "taken_from": span.start, "taken_until": span.end}
                yield a_reason(rule, slug, "block", certainty=meets, **about)
                break


def were_nowhere_else(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """X2 on what happened: somebody of the team was at another visit at the same time."""
    for other in facts.elsewhere:
        if other.staff_id not in actual.team or other.visit_id == actual.visit_id:
            continue
        meets = _meets((actual.arrival, actual.departure), (other.arrival, other.departure))
        if meets is not None:
            yield a_reason(
                "X2",
                "double-booked",
                "block",
                certainty=meets,
                staff_id=other.staff_id,
                visit_id=other.visit_id,
            )


Stay = tuple[Interval, Interval | None]


def _meets(one: Stay, other: Stay) -> str | None:
    """Say whether two stays certainly or possibly overlap; None when they cannot.

    A stay certainly lasts from the latest arrival to the earliest departure; nothing when that is unknown.
    """
    if _overlap(_certain(one), _certain(other)):
        return certainty(True)
    return certainty(False) if _overlap(_possible(one), _possible(other)) else None


def _certain(stay: Stay) -> tuple[datetime, datetime]:
    arrival, departure = stay
    return arrival.latest, arrival.latest if departure is None else departure.earliest


def _possible(stay: Stay) -> tuple[datetime, datetime]:
    arrival, departure = stay
    return arrival.earliest, arrival.latest if departure is None else departure.latest


def _overlap(one: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


CHECKS = (
    Check(("A10", "X4"), team_size),
    Check(("X1",), one_lead),
    Check(("X5",), lead_has_device),
    Check(("G15",), still_employed),
    *(
        Check((rule,), partial(everybody_free, kind=kind), partial(next_start_when_free, kind=kind))
        for kind, (rule, _) in TAKEN_BY.items()
    ),
)
AFTERWARDS = (
    CheckAfterwards(("A10", "X4", "X1"), team_that_went),
    CheckAfterwards(("X5",), carried_a_phone),
    CheckAfterwards(("G15",), were_employed),
    CheckAfterwards(("X2",), were_nowhere_else),
    CheckAfterwards(("X3",), partial(were_free, kind="leave")),
    CheckAfterwards(("G6",), partial(were_free, kind="training")),
)
