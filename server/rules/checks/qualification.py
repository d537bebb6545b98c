"""May these people visit debtors? (G5, G10, G17, G18, G22)

Everybody is qualified (exam, law and conduct, internship, signed NDA), or is a trainee with a signed NDA who
goes as the one second member beside a qualified lead: the internship is done as trainee. After the fact the
training file of the actual day counts, and any qualified member as the lead.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from server.rules.check import Check, CheckAfterwards
from server.rules.facts import ActualVisit, CaseFacts, MemberFact, WantedVisit
from server.rules.local_time import at_local, local_day
from server.rules.pack import RulePack
from server.rules.verdict import Reason, a_reason

RULES = ("G5", "G10", "G17", "G18", "G22")


def lacks(member: MemberFact, pack: RulePack, *, on: date) -> list[tuple[str, str]]:
    """Return (rule, slug) of everything that a person lacks on a day."""
    file = [line for line in member.training if line.obtained_on is None or line.obtained_on <= on]
    kinds = {line.kind for line in file}
    exams = [line for line in file if line.kind == "onboarding_exam"]
    lacking: list[tuple[str, str]] = []
    if not any(
        (line.score or 0) >= pack.exam_pass_score and line.attempt <= pack.exam_attempts for line in exams
    ):
        lacking.append(("G22", "exam-not-passed") if exams else ("G5", "exam-not-taken"))
    if "law_and_conduct" not in kinds:
        lacking.append(("G10", "law-and-conduct-missing"))
    if "internship" not in kinds:
        lacking.append(("G17", "internship-missing"))
    if "nda" not in kinds:
        lacking.append(("G18", "nda-missing"))
    return lacking


def _judge_team(
    team: Sequence[UUID], lead: UUID | None, facts: CaseFacts, pack: RulePack, *, on: date, **more: Any
) -> Iterator[Reason]:
    members = [member for staff_id in dict.fromkeys(team) if (member := facts.member(staff_id))]
    lacking = {member.id: lacks(member, pack, on=on) for member in members}
    has_qualified_lead = lead is not None and lacking.get(lead) == []
    trainees = [m.id for m in members if m.id != lead and lacking[m.id] and "G18" not in dict(lacking[m.id])]
    for member in members:
        is_only_trainee = trainees == [member.id]
        if not lacking[member.id] or (is_only_trainee and has_qualified_lead):
            continue
        for rule, slug in lacking[member.id]:
            scores = [line.score for line in member.training if line.kind == "onboarding_exam"]
            about: dict[str, Any] = {"staff_id": member.id, "is_lead": member.id == lead}
            if slug.startswith("exam"):
                about |= {"needed": pack.exam_pass_score, "source": pack.source_of("exam_pass_score")}
            yield a_reason(rule, slug, "block", scores=scores, **about, **more)


def team_is_qualified(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """G22 and its sisters: one reason per person and missing thing."""
    allowed_from = next_start_when_qualified(wanted.window_start, wanted, facts, pack)
    if allowed_from != wanted.window_start:
        on = local_day(wanted.window_start, pack.zone)
        yield from _judge_team(wanted.team, wanted.lead, facts, pack, on=on, allowed_from=allowed_from)


def next_start_when_qualified(
    start: datetime, wanted: WantedVisit, facts: CaseFacts, pack: RulePack
) -> datetime | None:
    """The next start on a day on which everything that is missing will have been obtained."""
    lines = [line.obtained_on for member in facts.team for line in member.training]
    first = local_day(start, pack.zone)
    later = sorted({on for on in lines if on is not None and on > first})
    for day in (first, *later):
        if not any(_judge_team(wanted.team, wanted.lead, facts, pack, on=day)):
            return start if day == first else at_local(day, time.min, pack.zone)
    return None


def team_that_went_was_qualified(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """The same on the team that was there; any qualified member counts as its lead."""
    known = [member for staff_id in actual.team if (member := facts.member(staff_id))]
    on = local_day(actual.arrival.latest, pack.zone)
    lead = next((member.id for member in known if not lacks(member, pack, on=on)), None)
    yield from _judge_team(actual.team, lead, facts, pack, on=on, certainty="certain")


CHECKS = (Check(RULES, team_is_qualified, next_start_when_qualified),)
AFTERWARDS = (CheckAfterwards(RULES, team_that_went_was_qualified),)
