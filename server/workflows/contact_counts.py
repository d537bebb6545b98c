"""How often was the debtor of a case called, and may anybody call today? (J5, J6, J8, J18, AMB3)

For any number of cases in two statements; calls themselves are not made here.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from uuid import UUID

import sqlalchemy as sa

from server.bulk import any_of
from server.database import db
from server.deadlines.call_caps import Call, CallCounts, count_calls
from server.deadlines.ledger_values import caps
from server.errors import NotFound
from server.models.cases import Case, Debtor, LedgerEntry
from server.rules.local_time import ONE_DAY, at_local, local_day
from server.workflows.standing_packs import local_zone


def counts_of(case_ids: Sequence[UUID], *, now: datetime) -> dict[UUID, CallCounts]:
    """Return what the caps say of each of these cases; unknown ones are left out."""
    zone = local_zone()
    today = local_day(now, zone)
    first_day = today - timedelta(days=max(cap.days for cap in caps()) - 1)
    people = (
        sa.select(Case.id, Case.debtor_id, Debtor.hardship)
        .join(Debtor, Debtor.id == Case.debtor_id)
        .where(any_of(Case.id, "ids"))
    )
    cases = db.session.execute(people, {"ids": list(case_ids)}).all()
    made = sa.select(
        LedgerEntry.debtor_id,
        LedgerEntry.case_id,
        LedgerEntry.at,
        LedgerEntry.effective,
        LedgerEntry.connected,
    ).where(
        any_of(LedgerEntry.debtor_id, "debtors"),
        LedgerEntry.channel == "call",
        LedgerEntry.at >= at_local(first_day, time.min, zone),
        LedgerEntry.at < at_local(today + ONE_DAY, time.min, zone),
    )
    calls: dict[UUID, list[Call]] = defaultdict(list)
    for row in db.session.execute(made, {"debtors": list({row.debtor_id for row in cases})}):
        calls[row.debtor_id].append(Call(row.case_id, local_day(row.at, zone), row.effective, row.connected))
    return {
        row.id: count_calls(
            row.id, calls[row.debtor_id], is_hardship=bool(row.hardship), today=today, caps=caps()
        )
        for row in cases
    }


def counts_of_case(case_id: UUID, *, now: datetime) -> CallCounts:
    """Return what the caps say of one case."""
    found = counts_of([case_id], now=now)
    if case_id not in found:
        raise NotFound("case-unknown", "There is no case with this id.")
    return found[case_id]
