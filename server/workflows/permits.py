"""What does the team's phone carry to the door?

A permit is the assignment as data a phone can compare without a rule engine (`server.rules.conditions`,
`sync/door.py`): allowed intervals, latest start, team and lead, what every cap leaves, notices, letters, the
checklist with its rules, expiry. Sealed with the server's key.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from server.rules.conditions import allowed_intervals, latest_start, limits
from server.rules.facts import CaseFacts, WantedVisit
from server.rules.json_form import stamp, to_json
from server.rules.local_time import local_day
from server.rules.pack import RulePack
from server.rules.periods import visits_on
from server.rules.verdict import Verdict
from server.signing import PERMIT, current_signer


def seal_permit(
    wanted: WantedVisit,
    facts: CaseFacts,
    verdict: Verdict,
    *,
    pack: RulePack,
    permit_id: UUID,
    assignment_id: UUID,
    letters: Sequence[Mapping[str, Any]],
    special_note: str,
    now: datetime,
) -> dict[str, Any]:
    """Return the signed DSSE envelope of a granted visit's permit."""
    day = local_day(wanted.window_start, pack.zone)
    intervals = allowed_intervals(wanted, facts, pack)
    used = visits_on(day, facts, pack) + 1
    own_cap = facts.case.daily_visit_cap
    cap = pack.visits_per_day if own_cap is None else min(own_cap, pack.visits_per_day)
    body = {
        "v": 1,
        "permit_id": str(permit_id),
        "assignment_id": str(assignment_id),
        "case_id": str(wanted.case_id),
        "debtor_id": str(facts.case.debtor_id),
        "address_id": str(wanted.address_id),
        "allowed": [{"from": stamp(begin), "until": stamp(end)} for begin, end in intervals],
        "latest_start": stamp(latest_start(wanted, pack)),
        "team": [str(staff_id) for staff_id in wanted.team],
        "lead": str(wanted.lead),
        "budget_left_today": max(0, cap - used),
        "limits": [limit.to_json() for limit in limits(wanted, facts, pack)],
        "notices": notices_of(facts, verdict, special_note=special_note),
        "letters": [dict(letter) for letter in letters],
        "checklist": [item.key for item in pack.checklist],
        "checks": [to_json(item) for item in pack.checklist],
        "pack": pack.ident,
        "issued_at": stamp(now),
        "expires_at": stamp(max((end for _, end in intervals), default=wanted.window_start)),
    }
    return current_signer().seal(PERMIT, body)


def notices_of(facts: CaseFacts, verdict: Verdict, *, special_note: str) -> list[str]:
    """Return what the team must know before the door. Why a debtor is in hardship is not among it."""
    notices: list[str] = []
    if facts.case.hardship:
        notices.append("hardship: gentle words, at most two visitors (A8, A10)")
    if "B18" in verdict.rules:
        notices.append("small balance: gentle approach (B18)")
    if "A4" in verdict.rules:
        notices.append("a third party with a sensitive occupation is recorded here (A4)")
    if "X4" in verdict.rules:
        notices.append("you go alone (X4)")
    if special_note:
        notices.append(f"client's instruction (A6): {special_note}")
    return notices
