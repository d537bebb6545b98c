"""Which visits are drawn for audit, and can anybody draw them again? (C8)

The control arm is drawn by lot from every visit of the period, whatever its score, so that what the score
misses can be estimated; the rest are the worst of those that are left. A visit's lot is SHA-256 over seed and
id. The whole population is kept with its scores, and the plan's own leaf in the log holds a digest of it.
While a drawn visit waits, nobody is told its arm: whoever knows that a visit was drawn by lot looks less.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.auditing.weighing import current_weights
from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, Fault, Invalid, NotFound
from server.models.access import AccessEntry
from server.models.auditing import AuditPlan, PlannedVisit, QueuedVisit
from server.models.findings import Finding
from sync.protocol import uuid7

MOST_DAYS: Final = 93  # a quarter: what is drawn from is kept


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to draw. None: the values of `weights.toml`, and a seed of the server's."""

    first_day: date
    last_day: date
    branch: str | None = None
    size: int | None = None
    control_percent: int | None = None
    seed: str | None = None


def draw(wanted: Wanted, *, actor: Actor, now: datetime) -> AuditPlan:
    """Draw visits for audit. Invalid when the period is no period, Conflict when there is nothing in it."""
    _require_period(wanted)
    weights = current_weights()
    plan = {
        "id": uuid7(),
        "first": wanted.first_day,
        "last": wanted.last_day,
        "branch": wanted.branch,
        "size": weights.sample_size if wanted.size is None else wanted.size,
        "percent": weights.sample_control_percent
        if wanted.control_percent is None
        else wanted.control_percent,
        "seed": wanted.seed or secrets.token_hex(16),
        "weights": weights.name,
        "used": weights.to_json(),
        "by": actor.staff_id,
        "now": now,
    }
    with transaction() as session:
        session.execute(_DRAW, plan)
        made = session.get(AuditPlan, plan["id"])
        if made is None or made.population == 0:
            raise Conflict("nothing-to-draw", "No reconciled visit lies in that period; choose another one.")
    return made


def _require_period(wanted: Wanted) -> None:
    days = (wanted.last_day - wanted.first_day).days
    if days < 0 or days >= MOST_DAYS:
        fault = Fault("/last_day", f"Must be on or up to {MOST_DAYS - 1} days after first_day.")
        raise Invalid("period-faulty", "Correct the period.", faults=[fault])


# The lots of a population, and what they and the scores draw. Said once, for drawing and for drawing again.
_ARMS: Final = """
    lots AS MATERIALIZED (
        SELECT visit_id, score,
               sha256(convert_to(CAST(:seed AS text) || '/' || visit_id, 'UTF8')) AS lot,
               sha256(convert_to(CAST(:seed AS text) || '/place/' || visit_id, 'UTF8')) AS shuffle
          FROM population
    ), numbered AS (
        SELECT visit_id, score, lot, shuffle,
               row_number() OVER (ORDER BY lot) <= ceil(CAST(:size AS bigint) * :percent / 100.0) AS by_lot
          FROM lots
    ), ranked AS (
        SELECT visit_id, shuffle, score, by_lot,
               row_number() OVER (PARTITION BY by_lot ORDER BY score DESC, lot) AS rank FROM numbered
    ), armed AS (
        SELECT visit_id, score, shuffle,
               CASE WHEN by_lot THEN 'control'
                    WHEN rank <= :size - ceil(CAST(:size AS bigint) * :percent / 100.0) THEN 'risk' END AS arm
          FROM ranked
    ), drawn AS MATERIALIZED (
        SELECT visit_id, score, arm,
               CASE WHEN arm IS NOT NULL
                    THEN row_number() OVER (PARTITION BY arm IS NULL ORDER BY shuffle) END AS place
          FROM armed
    ), told AS (
        SELECT count(*) AS population,
               sha256(convert_to(coalesce(string_agg(
                   concat_ws(' ', visit_id, score, coalesce(arm, '-'), coalesce(place, 0)), E'\\n'
                   ORDER BY visit_id), ''), 'UTF8')) AS digest FROM drawn
    )
"""
_DRAW: Final = sa.text(
    f"""
    WITH population AS (
        SELECT visit_id, score FROM audit_queue
         WHERE visited_on BETWEEN :first AND :last AND (CAST(:branch AS text) IS NULL OR branch = :branch)
    ), {_ARMS}, plan AS (
        INSERT INTO audit_plans (id, first_day, last_day, branch, size, control_percent, seed, weights,
                                 weights_used, population, drawn_sha256, made_by, made_at)
        SELECT :id, :first, :last, :branch, :size, :percent, :seed, :weights, :used, population, digest,
               :by, :now
          FROM told
    )
    INSERT INTO audit_plan_visits (plan_id, visit_id, score, arm, place)
    SELECT :id, visit_id, score, arm, place FROM drawn
    """
).bindparams(sa.bindparam("used", type_=AuditPlan.weights_used.type))
_DRAW_AGAIN: Final = sa.text(
    f"""
    WITH population AS (SELECT visit_id, score FROM audit_plan_visits WHERE plan_id = :id), {_ARMS}
    SELECT told.population, told.digest,
           (SELECT count(*) FROM drawn JOIN audit_plan_visits AS kept USING (visit_id)
             WHERE kept.plan_id = :id
               AND (kept.arm, kept.place) IS DISTINCT FROM (drawn.arm, drawn.place)) AS differing
      FROM told
    """
)


@dataclass(frozen=True, slots=True)
class DrawnAgain:
    """What the same population and seed draw now. `differing`: visits whose arm or place is another."""

    population: int
    differing: int
    is_same: bool


def draw_again(plan_id: UUID) -> DrawnAgain:
    """Draw a plan again from what it kept, and compare."""
    plan = find_plan(plan_id)
    given = {"id": plan.id, "seed": plan.seed, "size": plan.size, "percent": plan.control_percent}
    row = db.session.execute(_DRAW_AGAIN, given).one()
    is_same = row.differing == 0 and row.digest == plan.drawn_sha256
    return DrawnAgain(row.population, row.differing, is_same)


def find_plan(plan_id: UUID) -> AuditPlan:
    """Return a plan."""
    plan = db.session.get(AuditPlan, plan_id)
    if plan is None:
        raise NotFound("plan-unknown", "There is no sampling plan with this id.")
    return plan


def list_plans(*, after: UUID | None, limit: int) -> Sequence[AuditPlan]:
    """Return one page of plans, newest first."""
    query = sa.select(AuditPlan).order_by(AuditPlan.id.desc()).limit(limit)
    if after is not None:
        query = query.where(AuditPlan.id < after)
    return db.session.scalars(query).all()


def drawn_visits(plan_id: UUID, *, after: int, limit: int, actor: Actor, now: datetime) -> Sequence[Any]:
    """Return drawn visits in an order that tells nothing of their arms; arms of those audited are shown."""
    find_plan(plan_id)
    query = (
        sa.select(
            PlannedVisit.visit_id,
            PlannedVisit.place,
            QueuedVisit.state,
            QueuedVisit.staff_id,
            QueuedVisit.branch,
            QueuedVisit.visited_on,
            sa.case((QueuedVisit.state == "audited", PlannedVisit.arm)).label("arm"),
        )
        .join(QueuedVisit, QueuedVisit.visit_id == PlannedVisit.visit_id)
        .where(PlannedVisit.plan_id == plan_id, PlannedVisit.place > after)
        .order_by(PlannedVisit.place)
        .limit(limit)
    )
    with transaction() as session:
        rows = session.execute(query).all()
        shown = {"visits": [str(row.visit_id) for row in rows]}
        session.add(
            AccessEntry(
                at=now,
                staff_id=actor.staff_id,
                action="audit.plan",
                entity_kind="audit_plan",
                entity_id=plan_id,
                request=shown,
            )
        )
    return rows


def results(plan_id: UUID) -> Sequence[Any]:
    """Say per arm how many were drawn, audited and found at fault: what the score is worth.

    A control arm with as many standing findings as the risk arm means that the score finds nothing.
    """
    at_fault = sa.exists().where(Finding.visit_id == PlannedVisit.visit_id, Finding.stands.is_(True))
    is_audited = QueuedVisit.state == "audited"
    query = (
        sa.select(
            PlannedVisit.arm,
            sa.func.count().label("drawn"),
            sa.func.count().filter(is_audited).label("audited"),
            sa.func.count().filter(is_audited, at_fault).label("at_fault"),
            sa.func.count().filter(is_audited, at_fault, PlannedVisit.score == 0).label("unscored_at_fault"),
        )
        .join(QueuedVisit, QueuedVisit.visit_id == PlannedVisit.visit_id)
        .where(PlannedVisit.plan_id == plan_id, PlannedVisit.arm.is_not(None))
        .group_by(PlannedVisit.arm)
        .order_by(PlannedVisit.arm)
    )
    return db.session.execute(query).all()
