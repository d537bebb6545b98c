"""What does a row of the feed carry to a phone, kind by kind?

One SQL expression a kind, over the row's `found.entity_id`: PostgreSQL writes the body as JSON, in the
snapshot in which the row is read, because a first sync asks for thousands. Null: the thing is not there any
more. What is encrypted is decrypted here, and put in.
"""

import json
from typing import Any, Final

from server.pii import decrypt


def _instant(column: str) -> str:
    """Write a time as `sync.wire.write_instant` does."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


# All a team needs for a visit; names and address in clear, put in by `body_of`: it must find the door.
_ASSIGNMENT: Final = f"""(
    SELECT json_build_object(
        'id', plan.id, 'state', plan.state, 'permit', plan.permit,
        'window', json_build_object(
            'from', {_instant("plan.window_start")}, 'until', {_instant("plan.window_end")}),
        'team', (
            SELECT coalesce(json_agg(json_build_object('staff_id', member.staff_id, 'name', staff.name,
                                                       'is_lead', member.is_lead)
                                     ORDER BY member.staff_id), '[]')
              FROM assignment_members AS member JOIN staff ON staff.id = member.staff_id
             WHERE member.assignment_id = plan.id),
        'case', json_build_object(
            'id', cases.id, 'reference', cases.reference, 'client', clients.name,
            'outstanding_fen', cases.outstanding_fen, 'special_note', cases.special_note)
        )::text AS body, cases.id AS case_id, debtors.name, addresses.text,
           json_build_object('lat', addresses.latitude, 'lon', addresses.longitude)::text AS position
      FROM assignments AS plan
      JOIN cases ON cases.id = plan.case_id
      JOIN clients ON clients.id = cases.client_id
      JOIN debtors ON debtors.id = plan.debtor_id
      JOIN addresses ON addresses.id = plan.address_id
     WHERE plan.id = found.entity_id AND found.kind = 'assignment' AND found.op = 'put'
    )"""
# The newest version of a year; the id's integer is the year.
_CALENDAR: Final = """(
    SELECT json_build_object(
        'year', newest.year, 'version', newest.version, 'status', newest.status,
        'days', (
            SELECT coalesce(json_agg(json_build_object('day', each.day, 'kind', each.kind, 'name', each.name)
                                     ORDER BY each.day), '[]')
              FROM calendar_days AS each
             WHERE each.year = newest.year AND each.version = newest.version)
        )::text
      FROM calendar_years AS newest
     WHERE newest.year = ('x' || right(found.entity_id::text, 8))::bit(32)::int
     ORDER BY newest.version DESC LIMIT 1
    )"""
# What the visitor must know to reply to a finding: what is said of the visit, why, until when.
_FINDING: Final = f"""(
    SELECT json_build_object(
        'id', finding.id, 'visit_id', finding.visit_id, 'check', finding."check", 'rule', finding.rule,
        'severity', finding.severity, 'claim', finding.claim, 'observation', finding.observation,
        'citation', finding.citation, 'reason', finding.reason,
        'state', CASE WHEN finding.stands THEN 'stands' ELSE 'overturned' END,
        'decided_at', {_instant("finding.decided_at")}, 'reply_due_at', {_instant("hearings.due_at")},
        'has_reply', EXISTS (SELECT FROM finding_replies WHERE finding_replies.finding_id = finding.id)
        )::text
      FROM findings AS finding JOIN hearings ON hearings.finding_id = finding.id
     WHERE finding.id = found.entity_id
    )"""

CARRIED: Final = f"""
    SELECT found.scope, found.seq, found.kind, found.entity_id::text, found.op, found.rev,
           visit.case_id::text, visit.name, visit.text, visit.position,
           CASE WHEN found.op = 'put' THEN
               CASE found.kind WHEN 'assignment' THEN visit.body
                               WHEN 'calendar' THEN {_CALENDAR}
                               WHEN 'finding' THEN {_FINDING} END
               END AS body
      FROM found LEFT JOIN LATERAL {_ASSIGNMENT} AS visit ON true
     ORDER BY found.place, found.seq
    """
"""Selects rows called `found` (place, scope, seq, kind, entity_id, op, rev), and what `body_of` needs.

Ids come as text: a first sync writes thousands of them and looks none of them up.
"""

KINDS: Final = frozenset({"assignment", "calendar", "finding"})


def body_of(row: Any) -> str | None:
    """Return what one row of `CARRIED` carries, as JSON; None when it is not there."""
    if row.body is None or row.kind != "assignment":
        return row.body
    name, text = _clear("debtors.name", row.name), _clear("addresses.text", row.text)
    return f'{row.body[:-1]},"debtor":{{"name":{name}}},"address":{{"text":{text},{row.position[1:]}}}'


def _clear(column: str, ciphertext: bytes | None) -> str:
    """Decrypt, as JSON."""
    return "null" if ciphertext is None else write(decrypt(column, ciphertext))


write: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
