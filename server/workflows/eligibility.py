"""Which cases may be visited on a day, by whom, and if not, since which rule and from when?

Set-based: a fixed number of statements whatever the number of cases, and one judgement for each distinct
situation (`server.rules.situations`). Nothing is stored or reserved; what is assigned from here is judged
again under lock.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from server.authority import Role
from server.database import db
from server.models.people import Staff
from server.rules.availability import VisitorDay, visitor_day
from server.rules.local_time import at_local
from server.rules.pack import RulePack
from server.rules.periods import counting_since
from server.rules.situations import DayAnswer, DayJudge, Status
from server.rules.verdict import Reason
from server.workflows.case_facts import LOOK_BACK, load_calendar, load_members
from server.workflows.eligibility_pages import Asked, Debtor, Row, pages, situation_of

ONE_HOUR: Final = timedelta(hours=1)


class Answer(NamedTuple):
    """One case on one day. Reasons carry rule, slug, severity and quotation, not the facts of the case.

    `address_id` is the address that was judged: the best of the case, None when it has none.
    """

    case_id: UUID
    debtor_id: UUID
    client_id: UUID
    address_id: UUID | None
    latitude: float | None
    longitude: float | None
    is_hardship: bool
    status: Status
    first_start: datetime | None
    allowed_from: datetime | None
    reasons: tuple[Reason, ...]
    budget_left: int
    evidence_entry_id: UUID | None


def which_cases(
    *,
    day: date,
    now: datetime,
    pack: RulePack,
    of_clients: Mapping[UUID, RulePack] | None = None,
    case_ids: Sequence[UUID] | None = None,
    client_id: UUID | None = None,
    duration: timedelta = ONE_HOUR,
    after: UUID | None = None,
) -> Iterator[Answer]:
    """Judge every open case (or those named, closed ones too) for a visit on `day`, in the order of ids.

    `of_clients` are the packs of clients with overlays of their own (`standing_packs.packs_of_clients`).
    Works page by page: whoever stops reading early has waited for little. Sees what is committed, whatever
    transaction the caller is in.
    """
    calendar = load_calendar(day.year - 1, day.year + 1)
    judge = DayJudge(day, now=now, duration=duration, pack=pack, calendar=calendar)
    judges = {
        client: DayJudge(day, now=now, duration=duration, pack=own, calendar=calendar)
        for client, own in (of_clients or {}).items()
    }
    packs = (pack, *(of_clients or {}).values())
    asked = Asked(
        now=now,
        begins=at_local(day, time.min, pack.zone),
        since=at_local(day, pack.window_opens, pack.zone) - LOOK_BACK,
        counting_since=at_local(min(counting_since(day, one) for one in packs), time.min, pack.zone),
        time_zone=pack.timezone,
        small_fen=max(one.small_balance_fen for one in packs),
        case_ids=case_ids,
        client_id=client_id,
        after=after,
    )
    for page in pages(db.engine, asked):
        for row in page.rows:
            debtor = page.debtors.get(row.debtor_id)
            said = judges.get(row.client_id, judge).judge(situation_of(row, debtor))
            yield _answer(row, debtor, said)


def who(*, day: date, now: datetime, pack: RulePack) -> tuple[VisitorDay, ...]:
    """Return every visitor who works here on `day`, with what they may do and when they are free."""
    opens = at_local(day, pack.window_opens, pack.zone)
    ids = db.session.scalars(
        sa.select(Staff.id).where(
            Staff.roles.contains([Role.VISITOR.value]),
            sa.or_(Staff.left_at.is_(None), Staff.left_at > opens),
        )
    ).all()
    members = load_members(ids, since=opens - timedelta(days=1))
    return tuple(visitor_day(member, day=day, now=now, pack=pack) for member in members)


def _answer(row: Row, debtor: Debtor | None, said: DayAnswer) -> Answer:
    entry_id = said.evidence_entry_id
    if entry_id is not None and debtor is not None and debtor.wish_ids is not None:
        entry_id = debtor.wish_ids[entry_id.int - 1]
    # The first seven columns are the answer's first seven members.
    return Answer(
        *row[:7], said.status, said.first_start, said.allowed_from, said.reasons, said.budget_left, entry_id
    )
