"""What happened in some days, in numbers: visits, findings, visitors, money a day, complaints?

A loader: a fixed number of set-based queries. A visit is reviewed once it was reconciled and nothing about it
waits for an auditor any more.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.reports.figures import ByCheck, ByDay, ByTeam, ByVisitor, Figures
from server.workflows.moved import PROMISED, TOTALS, Span


def load_figures(session: Session, span: Span, about: dict[str, Any]) -> Figures:
    """Return the numbers of some days."""
    days = {day: ByDay(day) for day in span.days}
    for row in session.execute(_DAYS, about):
        days[row.day] = ByDay(row.day, row.visits, row.reviewed, row.paid_fen, row.promised_fen)
    [counts] = session.execute(_COUNTS, about)
    return Figures(
        days=tuple(days.values()),
        checks=tuple(ByCheck(**row._mapping) for row in session.execute(_CHECKS, about)),
        visitors=tuple(ByVisitor(**row._mapping) for row in session.execute(_VISITORS, about)),
        teams=tuple(ByTeam(**row._mapping) for row in session.execute(TOTALS, about)),
        complaints=counts.complaints,
        serious_complaints=counts.serious,
        holds=counts.holds,
    )


_OF_CLIENT: Final = "(CAST(:client AS uuid) IS NULL OR {} = CAST(:client AS uuid))"
_OPEN: Final = "EXISTS (SELECT FROM findings f WHERE f.visit_id = v.id AND f.state = 'open')"
_VISITED: Final = f"""
    FROM visits v LEFT JOIN debtors d ON d.id = v.debtor_id
    WHERE v.visited_at >= :since AND v.visited_at < :until AND {_OF_CLIENT.format("d.client_id")}
"""
_DAYS: Final = sa.text(
    f"""
    SELECT day, sum(visits)::bigint AS visits, sum(reviewed)::bigint AS reviewed,
           sum(paid_fen)::bigint AS paid_fen, sum(promised_fen)::bigint AS promised_fen
    FROM (
        SELECT (v.visited_at AT TIME ZONE :zone)::date AS day, 1 AS visits,
               (v.state = 'reconciled' AND NOT {_OPEN})::int AS reviewed, 0 AS paid_fen, 0 AS promised_fen
        {_VISITED}
        UNION ALL
        SELECT paid_on, 0, 0, amount_fen, 0 FROM payments
        WHERE paid_on BETWEEN :first AND :last AND confirmed_by IS NULL AND voided_at IS NULL
          AND {_OF_CLIENT.format("client_id")}
        UNION ALL
        SELECT (made_at AT TIME ZONE :zone)::date, 0, 0, 0, amount_fen FROM {PROMISED} p
        WHERE made_at >= :since AND made_at < :until AND {_OF_CLIENT.format("client_id")}
    ) happened GROUP BY day
    """
)
_STATES: Final = """
    count(*) FILTER (WHERE f.stands) AS confirmed,
    count(*) FILTER (WHERE f.state = 'open') AS open,
    count(*) FILTER (WHERE NOT f.stands) AS dismissed
"""
_CHECKS: Final = sa.text(
    f"""
    SELECT f."check", f.rule, {_STATES}
    FROM findings f JOIN (SELECT v.id {_VISITED}) visited ON visited.id = f.visit_id
    WHERE f.state <> 'superseded' AND f.severity <> 'note'
    GROUP BY f."check", f.rule ORDER BY f."check", f.rule
    """
)
_VISITORS: Final = sa.text(
    f"""
    SELECT staff.branch, staff.employee_number, staff.name, count(DISTINCT visited.id) AS visits, {_STATES}
    FROM (SELECT v.id, v.staff_id {_VISITED}) visited
    JOIN staff ON staff.id = visited.staff_id
    LEFT JOIN findings f
        ON f.visit_id = visited.id AND f.state <> 'superseded' AND f.severity <> 'note'
    GROUP BY staff.id ORDER BY staff.branch, staff.employee_number
    """
)
_COUNTS: Final = sa.text(
    f"""
    SELECT count(*) FILTER (WHERE kind = 'complaint') AS complaints,
           count(*) FILTER (WHERE kind = 'complaint' AND level = 'serious') AS serious,
           count(*) FILTER (WHERE kind = 'hold') AS holds
    FROM (
        SELECT 'complaint' AS kind, level FROM complaints JOIN debtors d ON d.id = complaints.debtor_id
        WHERE raised_at >= :since AND raised_at < :until AND {_OF_CLIENT.format("d.client_id")}
        UNION ALL
        SELECT 'hold', '' FROM holds JOIN debtors d ON d.id = holds.debtor_id
        WHERE raised_at >= :since AND raised_at < :until AND {_OF_CLIENT.format("d.client_id")}
    ) happened
    """
)
