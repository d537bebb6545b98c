"""What does the team's phone carry to the door?

A permit is the assignment as data a phone can compare without a rule engine (`server.rules.conditions`,
`sync/door.py`): allowed intervals, latest start, team and lead, what every cap leaves, notices, letters, the
checklist with its rules, expiry. Sealed with the server's key.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from server.rules.checks.budget import left_on
from server.rules.conditions import allowed_intervals, latest_start, limits, wish_served
from server.rules.facts import CaseFacts, Reservation, WantedVisit
from server.rules.json_form import stamp, to_json
from server.rules.local_time import local_day
from server.rules.pack import RulePack
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
    named = {
        "permit_id": str(permit_id),
        "assignment_id": str(assignment_id),
        "team": [str(staff_id) for staff_id in wanted.team],
        "letters": [dict(letter) for letter in letters],
        "issued_at": stamp(now),
    }
    conditions = _conditions(assignment_id, wanted, facts, verdict, pack=pack, special_note=special_note)
    return current_signer().seal(PERMIT, named | conditions)


def renew_permit(
    standing: Mapping[str, Any],
    wanted: WantedVisit,
    facts: CaseFacts,
    verdict: Verdict,
    *,
    pack: RulePack,
    permit_id: UUID,
    special_note: str,
) -> dict[str, Any] | None:
    """Return the permit that takes the place of a standing one; None where it would say the same.

    It keeps the moment of the first issue: what its phone reported since then stops it at the door
    (`sync.door`), whether or not the report has reached us.
    """
    old = json.loads(base64.b64decode(standing["payload"]))
    assignment_id = UUID(old["assignment_id"])
    new = old | _conditions(assignment_id, wanted, facts, verdict, pack=pack, special_note=special_note)
    return None if new == old else current_signer().seal(PERMIT, new | {"permit_id": str(permit_id)})


def _conditions(
    assignment_id: UUID,
    wanted: WantedVisit,
    facts: CaseFacts,
    verdict: Verdict,
    *,
    pack: RulePack,
    special_note: str,
) -> dict[str, Any]:
    """Return all that follows from what is known of the visit, of which the facts know nothing themselves."""
    day = local_day(wanted.window_start, pack.zone)
    intervals = allowed_intervals(wanted, facts, pack)
    wish = wish_served(wanted, facts, pack)
    itself = Reservation(assignment_id, wanted.window_start, wish)
    beside = replace(facts, reservations=(*facts.reservations, itself))
    return {
        "v": 1,
        "case_id": str(wanted.case_id),
        "debtor_id": str(facts.case.debtor_id),
        "address_id": str(wanted.address_id),
        "allowed": [{"from": stamp(begin), "until": stamp(end)} for begin, end in intervals],
        "latest_start": stamp(latest_start(wanted, pack)),
        "lead": str(wanted.lead),
        "wish": wish,
        "budget_left_today": left_on(day, beside, pack),
        "limits": [limit.to_json() for limit in limits(wanted, facts, pack)],
        "notices": notices_of(facts, verdict, special_note=special_note),
        "checklist": [item.key for item in pack.checklist],
        "checks": [to_json(item) for item in pack.checklist],
        "pack": pack.ident,
        "expires_at": stamp(max((end for _, end in intervals), default=wanted.window_start)),
    }


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
