"""What moved in some days: money per client and team, and one line a case?

The one place that reads it, for the Friday report on screen and for every file. `about` names the days; a
line is of a case in which money or a promise moved, with `any_contact` also of one that was only contacted.
A promise was made, whatever became of it, unless somebody took it back (F13).
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from server.models.cases import Debtor
from server.rules.local_time import ONE_DAY, at_local, local_day


@dataclass(frozen=True, slots=True)
class Span:
    """Local days, of one client or of all."""

    first: date
    last: date
    client_id: UUID | None
    zone: ZoneInfo
    any_contact: bool = False

    @property
    def days(self) -> list[date]:
        """Return every day of it."""
        return [self.first + step * ONE_DAY for step in range((self.last - self.first).days + 1)]

    def about(self, now: datetime) -> dict[str, Any]:
        """Return it as the queries ask for it; days overdue are counted until today at most."""
        return {
            "first": self.first,
            "last": self.last,
            "since": at_local(self.first, time.min, self.zone),
            "until": at_local(self.last + ONE_DAY, time.min, self.zone),
            "today": min(self.last, local_day(now, self.zone)),
            "client": self.client_id,
            "zone": self.zone.key,
            "any_contact": self.any_contact,
        }


PROMISED: Final = """(
    SELECT promises.* FROM promises
    WHERE promises.state <> 'withdrawn' OR NOT EXISTS (
        SELECT FROM promise_events AS event
        WHERE event.promise_id = promises.id AND event.kind = 'withdrawn' AND event.by IS NOT NULL)
)"""
"""The promises that were made. Of those withdrawn, the ones that ended when their case was closed (D18)."""

CONTACTS: Final = """(
    SELECT case_id, client_id, channel, at FROM ledger_entries WHERE channel <> 'visit' OR visit_id IS NULL
    UNION ALL
    SELECT assignments.case_id, cases.client_id, 'visit', visits.visited_at
    FROM visits JOIN assignments ON assignments.id = visits.assignment_id
    JOIN cases ON cases.id = assignments.case_id
)"""
"""What the ledger tells, and the visits that phones report: an entry about one of them is no more."""

TOTALS: Final = sa.text(
    f"""
    SELECT clients.reference AS client, moved.team, sum(moved.paid)::bigint AS payments,
           sum(moved.paid_fen)::bigint AS paid_fen, sum(moved.promised)::bigint AS promises_made,
           sum(moved.promised_fen)::bigint AS promised_fen, sum(moved.kept)::bigint AS promises_kept,
           sum(moved.broken)::bigint AS promises_broken
    FROM (
        SELECT p.client_id, coalesce(s.branch, '') AS team, 1 AS paid, p.amount_fen AS paid_fen,
               0 AS promised, 0 AS promised_fen, 0 AS kept, 0 AS broken
        FROM payments p LEFT JOIN staff s ON s.id = p.recorded_by
        WHERE p.paid_on BETWEEN :first AND :last AND p.confirmed_by IS NULL AND p.voided_at IS NULL
        UNION ALL
        SELECT p.client_id, coalesce(s.branch, ''), 0, 0, 1, p.amount_fen, 0, 0
        FROM {PROMISED} p LEFT JOIN staff s ON s.id = p.recorded_by
        WHERE p.made_at >= :since AND p.made_at < :until
        UNION ALL
        SELECT p.client_id, coalesce(s.branch, ''), 0, 0, 0, 0, (p.state = 'kept')::int,
               (p.state = 'broken')::int
        FROM {PROMISED} p LEFT JOIN staff s ON s.id = p.recorded_by WHERE p.due_on BETWEEN :first AND :last
    ) moved
    JOIN clients ON clients.id = moved.client_id
    WHERE CAST(:client AS uuid) IS NULL OR moved.client_id = CAST(:client AS uuid)
    GROUP BY clients.reference, moved.team ORDER BY clients.reference, moved.team
    """
)
LINES: Final = sa.text(
    f"""
    SELECT c.id AS case_id, c.reference AS case_reference, clients.reference AS client, d.name AS debtor_name,
           c.outstanding_fen, greatest(0, CAST(:today AS date) - c.overdue_since) AS days_overdue,
           (SELECT coalesce(sum(amount_fen), 0)::bigint FROM payments
             WHERE case_id = c.id AND paid_on BETWEEN :first AND :last
               AND confirmed_by IS NULL AND voided_at IS NULL) AS paid_fen,
           (SELECT coalesce(sum(amount_fen), 0)::bigint FROM {PROMISED} p
             WHERE case_id = c.id AND made_at >= :since AND made_at < :until) AS promised_fen,
           (SELECT min(due_on) FROM promises WHERE case_id = c.id AND state = 'open') AS next_promised_on,
           did.calls, did.letters, did.visits, did.inbound
    FROM cases c
    JOIN clients ON clients.id = c.client_id
    JOIN debtors d ON d.id = c.debtor_id
    JOIN LATERAL (
        SELECT count(*) FILTER (WHERE channel = 'call') AS calls,
               count(*) FILTER (WHERE channel = 'letter') AS letters,
               count(*) FILTER (WHERE channel = 'visit') AS visits,
               count(*) FILTER (WHERE channel = 'inbound') AS inbound
        FROM {CONTACTS} contact WHERE case_id = c.id AND at >= :since AND at < :until
    ) did ON true
    WHERE c.id IN (
        SELECT case_id FROM payments
        WHERE paid_on BETWEEN :first AND :last AND confirmed_by IS NULL AND voided_at IS NULL
        UNION SELECT case_id FROM {PROMISED} p WHERE made_at >= :since AND made_at < :until
        UNION SELECT case_id FROM {PROMISED} p WHERE due_on BETWEEN :first AND :last
        UNION SELECT case_id FROM {CONTACTS} contact
        WHERE CAST(:any_contact AS boolean) AND at >= :since AND at < :until
          AND (CAST(:client AS uuid) IS NULL OR client_id = CAST(:client AS uuid))
    )
      AND (CAST(:client AS uuid) IS NULL OR c.client_id = CAST(:client AS uuid))
      AND (CAST(:after AS uuid) IS NULL OR c.id > CAST(:after AS uuid))
    ORDER BY c.id LIMIT CAST(:limit AS bigint)
    """
).columns(case_id=sa.Uuid(), debtor_name=Debtor.name.type)
