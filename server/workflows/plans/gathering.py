"""What must be known to plan this day?

A fixed number of statements, and one judgement for each distinct situation (`eligibility`), whatever the
number of candidates. Each client's cases are judged by that client's values on that day.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import cos, radians
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.bulk import any_of
from server.database import db
from server.models.cases import Address, Case, LedgerEntry
from server.models.deadlines import PUSHING, CaseClock
from server.models.dispatch import ENDED_EARLY, Assignment, BudgetSlot
from server.planning.problem import Candidate, Point, Problem, Stopped, Stretch, TravelModel
from server.rules.evidence import REQUEST_ONLY
from server.rules.local_time import ONE_DAY, at_local
from server.rules.pack import RulePack
from server.rules.verdict import Reason
from server.workflows.eligibility import Answer, which_cases
from server.workflows.plans.asking import Asked, AskedHours
from server.workflows.plans.crews import load_teams
from server.workflows.standing_packs import active_pack
from server.workflows.visitability import team_max

ROUND_KM: Final = 110.0
"""Fewer kilometres than a degree of latitude has."""
AT_A_TIME: Final = 5_000
MOST_JUDGED: Final = 20_000
"""Where most of what falls due first is blocked, the search for candidates ends here."""
Judged = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Gathered:
    """A day to plan, and the answers it was made from, by case."""

    problem: Problem
    answers: dict[UUID, Answer]


def gather(asked: Asked, *, now: datetime, on_judged: Judged) -> Gathered:
    """Load a day. `on_judged` hears how many of how many cases were judged."""
    zone = active_pack(now).zone
    begins = at_local(asked.day, time.min, zone)
    at = max(begins, now)
    answers, packs = _judge_candidates(asked, at=at, now=now, on_judged=on_judged)
    dues = _load_dues(list(answers))
    ends = at_local(asked.day + ONE_DAY, time.min, zone)
    next_visits = _load_next_visits(answers, after=ends)
    standing = _load_standing(answers, begins=begins, ends=ends)
    hours = {one.case_id: one for one in asked.hours}
    candidates = [
        _candidate(
            answer,
            asked,
            pack=packs[answer.client_id],
            due_at=dues.get(answer.case_id),
            next_visit=next_visits.get(answer.debtor_id),
            standing=standing.get(answer.debtor_id, ()),
            hours=hours.get(answer.case_id),
        )
        for answer in answers.values()
    ]
    problem = Problem(
        begins=begins,
        ends=ends,
        now=now,
        teams=load_teams(asked, begins=begins, now=now, packs=[active_pack(at), *packs.values()]),
        candidates=tuple(candidates),
        travel=TravelModel(asked.kmh, asked.overhead_minutes),
        with_approval=asked.with_approval,
    )
    return Gathered(problem, answers)


def _judge_candidates(
    asked: Asked, *, at: datetime, now: datetime, on_judged: Judged
) -> tuple[dict[UUID, Answer], dict[UUID, RulePack]]:
    """Judge the named cases; or, first due first, as many as it takes to find enough that may be visited."""
    answers: dict[UUID, Answer] = {}
    packs: dict[UUID, RulePack] = {}
    ids = list(asked.case_ids) if asked.case_ids is not None else _first_due(asked)
    most = len(ids) if asked.case_ids is not None else asked.most_candidates
    usable = 0
    for first in range(0, len(ids), AT_A_TIME):
        judged = _judge(ids[first : first + AT_A_TIME], asked, packs, at=at, now=now)
        found = {answer.case_id: answer for answer in judged}
        for case_id in ids[first : first + AT_A_TIME]:
            if usable == most:
                break
            answers[case_id] = answer = found[case_id]
            usable += answer.status == "may" or (asked.with_approval and answer.status == "approval")
        on_judged(len(answers), len(ids))
        if usable == most:
            break
    return answers, packs


def _judge(
    ids: Sequence[UUID], asked: Asked, packs: dict[UUID, RulePack], *, at: datetime, now: datetime
) -> Iterator[Answer]:
    """Judge cases, those of clients with the same values together."""
    rows = db.session.execute(
        sa.select(Case.id, Case.client_id).where(any_of(Case.id, "ids")), {"ids": list(ids)}
    )
    together: dict[RulePack, list[UUID]] = defaultdict(list)
    for case_id, client_id in rows:
        if client_id not in packs:
            packs[client_id] = active_pack(at, client_id)
        together[packs[client_id]].append(case_id)
    for pack, case_ids in together.items():
        duration = timedelta(minutes=asked.minutes)
        yield from which_cases(day=asked.day, now=now, pack=pack, case_ids=case_ids, duration=duration)


def _first_due(asked: Asked) -> list[UUID]:
    """Return the open cases with a point near some team's start, what falls due first in front.

    A case that is visited on the day already is not proposed once more: whoever plans for other teams, or
    twice, would send a second visit to every door. Who wants it names the case.
    """
    boxes = {_box(team.start, asked.within_km) for team in asked.teams}
    near = sa.select(Address.case_id).where(
        sa.or_(
            *(
                sa.and_(Address.latitude.between(south, north), Address.longitude.between(west, east))
                for south, north, west, east in sorted(boxes)
            )
        )
    )
    due = (
        sa.select(CaseClock.case_id, sa.func.min(CaseClock.due_at).label("due_at"))
        .where(sa.text(PUSHING))
        .group_by(CaseClock.case_id)
        .subquery()
    )
    is_visited = sa.exists().where(
        Assignment.case_id == Case.id,
        BudgetSlot.assignment_id == Assignment.id,
        BudgetSlot.day == asked.day,
    )
    query = (
        sa.select(Case.id)
        .outerjoin(due, due.c.case_id == Case.id)
        .where(Case.state == "open", Case.id.in_(near), ~is_visited)
        .order_by(due.c.due_at.nulls_last(), Case.id)
        .limit(MOST_JUDGED)
    )
    if asked.client_id is not None:
        query = query.where(Case.client_id == asked.client_id)
    return list(db.session.scalars(query))


def _box(around: Point, km: int) -> tuple[float, float, float, float]:
    """Return south, north, west and east of a box that holds everything within so many kilometres."""
    north = km / ROUND_KM
    east = north / max(0.01, cos(radians(min(89.0, abs(around.latitude) + north))))
    return (
        around.latitude - north,
        around.latitude + north,
        around.longitude - east,
        around.longitude + east,
    )


def _load_dues(ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Return the first deadline that still pushes each case; those without one are not in it."""
    query = (
        sa.select(CaseClock.case_id, sa.func.min(CaseClock.due_at))
        .where(any_of(CaseClock.case_id, "ids"), sa.text(PUSHING))
        .group_by(CaseClock.case_id)
    )
    return {case_id: due_at for case_id, due_at in db.session.execute(query, {"ids": list(ids)})}


def _load_next_visits(answers: dict[UUID, Answer], *, after: datetime) -> dict[UUID, datetime]:
    """Return when debtors in hardship have their next visit after the day: it must stay a week away (A9).

    One that they asked for need not.
    """
    debtors = {one.debtor_id for one in answers.values() if one.is_hardship and one.status != "blocked"}
    is_asked_for = sa.exists().where(
        LedgerEntry.id == Assignment.evidence_entry_id, LedgerEntry.channel.in_(REQUEST_ONLY)
    )
    query = (
        sa.select(Assignment.debtor_id, sa.func.min(Assignment.window_start))
        .where(
            any_of(Assignment.debtor_id, "ids"),
            Assignment.window_start >= after,
            Assignment.state.not_in(ENDED_EARLY),
            ~is_asked_for,
        )
        .group_by(Assignment.debtor_id)
    )
    return {debtor_id: start for debtor_id, start in db.session.execute(query, {"ids": list(debtors)})}


def _load_standing(
    answers: dict[UUID, Answer], *, begins: datetime, ends: datetime
) -> dict[UUID, list[Stretch]]:
    """Return the windows of the day's visits that debtors have already: nobody else goes there then (X7)."""
    debtors = {one.debtor_id for one in answers.values() if one.status != "blocked"}
    query = sa.select(Assignment.debtor_id, Assignment.window_start, Assignment.window_end).where(
        any_of(Assignment.debtor_id, "ids"),
        Assignment.window_start < ends,
        Assignment.window_end > begins,
        Assignment.state.not_in(ENDED_EARLY),
    )
    standing: dict[UUID, list[Stretch]] = defaultdict(list)
    for debtor_id, start, end in db.session.execute(query, {"ids": list(debtors)}):
        standing[debtor_id].append((start, end))
    return standing


def _candidate(
    answer: Answer,
    asked: Asked,
    *,
    pack: RulePack,
    due_at: datetime | None,
    next_visit: datetime | None,
    standing: Sequence[Stretch],
    hours: AskedHours | None,
) -> Candidate:
    """Read an answer as the planner sees it; it is judged again when it is accepted."""
    has_point = answer.latitude is not None and answer.longitude is not None
    opens, latest_start, closes = _hours(answer, asked.day, pack, hours=hours)
    opens, closes = _longest_beside(standing, opens, closes)
    if next_visit is not None and answer.evidence_entry_id is None:
        latest_start = min(latest_start, next_visit - timedelta(days=pack.hardship_period_days))
    left = answer.budget_left or (1 if answer.evidence_entry_id is not None else 0)
    if pack.visits_per_calendar_month is not None:
        left = min(left, 1)  # how many the month still holds is not known here; one is what was judged
    return Candidate(
        case_id=answer.case_id,
        debtor_id=answer.debtor_id,
        point=Point(answer.latitude or 0.0, answer.longitude or 0.0) if has_point else None,
        opens=opens,
        latest_start=latest_start,
        closes=closes,
        minutes=(hours and hours.minutes) or asked.minutes,
        due_at=due_at,
        blocked=_stopped(answer, "block") if answer.status == "blocked" else None,
        approval=_stopped(answer, "approval") if answer.status == "approval" else None,
        is_hardship=answer.is_hardship,
        budget_left=left,
        team_min=pack.team_min,
        team_max=team_max(answer, pack),
        pack=pack.ident,
    )


def _hours(
    answer: Answer, day: date, pack: RulePack, *, hours: AskedHours | None
) -> tuple[datetime, datetime, datetime]:
    """Return from when the visit may begin, by when it must begin, and by when it must be over."""
    opens = answer.first_start or at_local(day, pack.window_opens, pack.zone)
    latest_start = at_local(day, pack.latest_start, pack.zone)
    closes = at_local(day, pack.window_closes, pack.zone)
    if hours is not None and hours.begin is not None:
        opens = max(opens, at_local(day, hours.begin, pack.zone))
    if hours is not None and hours.end is not None:
        closes = min(closes, at_local(day, hours.end, pack.zone))
    return opens, latest_start, closes


def _longest_beside(standing: Sequence[Stretch], opens: datetime, closes: datetime) -> Stretch:
    """Return the longest part of [opens, closes] that meets none of the debtor's other visits; or no part."""
    parts: list[Stretch] = []
    for start, end in sorted(standing):
        parts.append((opens, min(start, closes)))
        opens = max(opens, end)
    return max([*parts, (opens, closes)], key=lambda part: part[1] - part[0])


def _stopped(answer: Answer, severity: str) -> Stopped:
    reason: Reason = next(one for one in answer.reasons if one.severity == severity)
    return Stopped(reason.rule, reason.slug, answer.allowed_from if severity == "block" else None)
