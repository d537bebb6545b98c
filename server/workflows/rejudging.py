"""Is what was assigned still allowed, now that something about it changed?

What the office enters, a client's file, a late report, a new pack or time itself (C4) can end what a visit
rested on. Its assignment is judged once more under the debtor's lock, as if it were asked for now; where it
would be refused it is cancelled, which takes it off the phones, and the decision says why. Where it may stand
its permit is renewed if it would say something else now, such as the notice of hardship (A8). What a
supervisor approved stays approved, and of several that only together are too many the last one granted goes.

Who enters it holds a row that dispatch locks too, the debtor's or the person's, from before the entry until
the commit: a visit granted meanwhile either saw the entry or is among those chosen.
"""

from datetime import datetime, time, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import db, transaction
from server.jobs import enqueue, task
from server.models.assignments import end_early
from server.models.cases import Case
from server.models.dispatch import Assignment, AssignmentMember
from server.rules.conditions import latest_start
from server.rules.local_time import ONE_DAY, at_local, local_day
from server.rules.verdict import Verdict
from server.workflows.dispatch import (
    REPLACEABLE,
    Approval,
    approval_of,
    judge_and_record,
    lock_visit,
    wanted_again,
)
from server.workflows.reservation import renew, rest_on_wish
from server.workflows.standing_packs import active_pack, pack_of_case, packs_of_clients

PER_JOB: Final = 200
AHEAD: Final = timedelta(hours=1)
NOBODY: Final = Actor(staff_id=None, roles=frozenset())


def rejudge_later(*chosen: sa.ColumnElement[bool]) -> int:
    """Have every chosen assignment that nobody started judged again after the caller's commit; count them."""
    query = (
        sa.select(Assignment.id)
        .where(*chosen, Assignment.state.in_(REPLACEABLE))
        .order_by(Assignment.id.desc())
    )
    ids = [str(assignment_id) for assignment_id in db.session.scalars(query)]
    for first in range(0, len(ids), PER_JOB):
        enqueue("dispatch.rejudge", assignment_ids=ids[first : first + PER_JOB])
    return len(ids)


@task("dispatch.rejudge")
def rejudge_all(*, now: datetime, assignment_ids: list[str]) -> None:
    """Judge these assignments again, each in a transaction of its own."""
    for assignment_id in assignment_ids:
        rejudge(UUID(assignment_id), now=now)


def rejudge(assignment_id: UUID, *, now: datetime) -> bool:
    """Judge one assignment again; False when it was cancelled.

    One that began or ended is left alone, and one that nobody may begin any more (T2): whoever did may still
    have to report it.
    """
    with transaction() as session:
        assignment = session.get_one(Assignment, assignment_id)
        members = sa.select(AssignmentMember.staff_id).where(AssignmentMember.assignment_id == assignment_id)
        wanted = wanted_again(assignment, team=tuple(session.scalars(members)), lead=assignment.lead_id)
        lock_visit(wanted)
        session.refresh(assignment, with_for_update=True)
        pack = pack_of_case(wanted.case_id, max(wanted.window_start, now))
        if assignment.state not in REPLACEABLE or latest_start(wanted, pack) <= now:
            return True
        approval = Approval(before=approval_of(assignment))
        judged = judge_and_record(wanted, approval, actor=NOBODY, now=now, excluding=assignment_id)
        if judged.decision.allowed:
            rest_on_wish(judged, assignment)
            renew(assignment, judged)
            return True
        reason = f"no longer allowed: {_named(judged.verdict)}"
        end_early(Assignment.id == assignment_id, state="cancelled", reason=reason, actor=NOBODY, now=now)
        return False


@task("dispatch.take_back_outdated", every="*/30 * * * *")
def take_back_outdated(*, now: datetime) -> None:
    """Judge today's visits again whose balance has grown too old since they were granted (C4).

    It is the one thing on which a granted visit rests that ends by time alone. From an hour before visiting
    hours on, so that a client's file of the morning comes first.
    """
    pack = active_pack(now)
    today = local_day(now, pack.zone)
    if now < at_local(today, pack.window_opens, pack.zone) - AHEAD:
        return
    own = [(Case.client_id == of, its.balance_max_age_days) for of, its in packs_of_clients(now).items()]
    most = sa.case(*own, else_=pack.balance_max_age_days) if own else sa.literal(pack.balance_max_age_days)
    is_stale = sa.or_(Case.balance_as_of.is_(None), sa.literal(today) - Case.balance_as_of > most)
    with transaction():
        rejudge_later(
            Assignment.window_start < at_local(today + ONE_DAY, time.min, pack.zone),
            Assignment.window_end > now,
            sa.exists().where(Case.id == Assignment.case_id, is_stale),
        )


def _named(verdict: Verdict) -> str:
    return ", ".join(f"{one.rule} {one.slug}" for one in verdict.reasons if one.severity != "warn")
