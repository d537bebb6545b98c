"""May a team go at all, and when is everybody of it at work?"""

from collections.abc import Iterable

from server.planning.problem import Stretch, Team


def fault_of(team: Team) -> str | None:
    """Say why a team may not go; None when it may (X1, X5, G5, G17).

    Everybody is qualified, or is the one trainee beside a qualified lead.
    """
    lead = next((member for member in team.members if member.id == team.lead), None)
    if lead is None:
        return "no-lead"
    if not lead.is_qualified:
        return "lead-not-qualified"
    if not lead.can_lead:
        return "lead-without-device"
    others = [member for member in team.members if member.id != team.lead and not member.is_qualified]
    if any(not member.is_trainee for member in others):
        return "member-not-qualified"
    return "more-than-one-trainee" if len(others) > 1 else None


def at_work(team: Team) -> list[Stretch]:
    """Return the stretches of the working hours in which no break, leave or training takes anybody."""
    taken = [*team.breaks, *(stretch for member in team.members for stretch in member.taken)]
    return without(team.works, taken)


def without(whole: Stretch, taken: Iterable[Stretch]) -> list[Stretch]:
    """Cut stretches out of a whole one; what remains is in order and never empty."""
    begin, end = whole
    left: list[Stretch] = []
    for start, until in sorted(taken):
        if until <= begin or start >= end:
            continue
        if begin < start:
            left.append((begin, start))
        begin = max(begin, until)
    if begin < end:
        left.append((begin, end))
    return left
