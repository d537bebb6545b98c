"""Since when does a visitor know of a finding, and until when may they reply to it?

Their time begins when their phone is given the finding, not when the office decided: whoever is out without a
network loses none of it. It begins again when the phone asks for the same page once more, because then the
answer was lost. Whoever never fetches it has until the end of the hearing, and no longer.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.auditing.hearing import current_terms, reply_due
from server.authority import Actor
from server.database import transaction
from server.driver import longs, run, uuids
from server.rules.local_time import local_day
from server.workflows.case_facts import load_calendar
from server.workflows.standing_packs import local_zone
from sync.protocol import uuid7
from sync.wire import write_instant

Body = dict[str, Any]


def tell(given: Mapping[UUID, tuple[int, Body]], *, after: int, actor: Actor, now: datetime) -> None:
    """Write down which findings a phone is given, and put its visitor's own deadline into their bodies.

    `given`: finding -> its number in the visitor's feed, and its body. `after`: how far the phone had got.
    """
    zone = local_zone()
    year = local_day(now, zone).year
    due = reply_due(now, calendar=load_calendar(year, year + 1), zone=zone, terms=current_terms())
    told = {
        "staff_id": actor.staff_id,
        "device_id": actor.device_id,
        "after": after,
        "now": now,
        "due": due,
        "ids": uuids(uuid7() for _ in given),
        "findings": uuids(given),
        "numbers": longs(number for number, _ in given.values()),
    }
    with transaction() as session:
        run(session, _TELL, told)
        until = dues_of(session, list(given), staff_id=actor.staff_id)
    for finding_id, (_, body) in given.items():
        body["reply_due_at"] = write_instant(until[finding_id])


# Told already, unless all that was told was told this phone, and it never got that far.
_TELL: Final = """
    INSERT INTO hearing_tellings (id, finding_id, staff_id, device_id, feed_seq, told_at, due_at)
    SELECT given.id, given.finding_id, %(staff_id)s, %(device_id)s, given.number, %(now)s, %(due)s
      FROM unnest(%(ids)s, %(findings)s, %(numbers)s) AS given (id, finding_id, number)
      JOIN hearings ON hearings.finding_id = given.finding_id
     WHERE %(staff_id)s = ANY (hearings.people)
       AND NOT EXISTS (
           SELECT FROM hearing_tellings AS told
            WHERE told.finding_id = hearings.finding_id AND told.staff_id = %(staff_id)s
              AND NOT (told.device_id = %(device_id)s AND told.feed_seq > %(after)s))
"""


def dues_of(session: Session, finding_ids: Sequence[UUID], *, staff_id: UUID | None) -> dict[UUID, datetime]:
    """Return until when one person may reply to each of these findings."""
    rows = session.execute(_DUES, {"ids": list(finding_ids), "staff_id": staff_id})
    return {row.finding_id: row.due_at for row in rows}


_DUES: Final = sa.text(
    """
    SELECT finding_id, reply_until(finding_id, due_at, :staff_id) AS due_at FROM hearings
     WHERE finding_id = ANY(:ids)
    """
)
