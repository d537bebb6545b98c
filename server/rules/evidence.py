"""Does the debtor's own wish cover this visit?

An inbound request, or a return agreed in an earlier visit, serves one visit: on the day it names, else
within the pack's days (`rules.md`, exact readings). Budget and hardship ask here.
"""

from collections.abc import Collection
from datetime import date
from uuid import UUID

from server.rules.facts import CaseFacts, VisitRequest
from server.rules.local_time import local_day
from server.rules.pack import RulePack

REQUEST_OR_RETURN = ("inbound", "visit")
REQUEST_ONLY = ("inbound",)


def find(entry_id: UUID | None, facts: CaseFacts) -> VisitRequest | None:
    """Return the named request among the debtor's."""
    return next((request for request in facts.requests if request.entry_id == entry_id), None)


def fault_of(
    entry_id: UUID | None, *, day: date, facts: CaseFacts, pack: RulePack, channels: Collection[str]
) -> str | None:
    """Say why the named evidence does not cover a visit on `day`; None when it does."""
    request = find(entry_id, facts)
    if entry_id is None:
        return "none named"
    if request is None or request.channel not in channels:
        return "not a request of this debtor that serves here"
    if request.used_by is not None:
        return "already served another visit"
    asked_on = local_day(request.at, pack.zone)
    if request.visit_on is not None:
        return None if day == request.visit_on else f"names {request.visit_on}"
    if not 0 <= (day - asked_on).days <= pack.evidence_days:
        return f"older than {pack.evidence_days} days or later than the visit"
    return None


def usable(*, day: date, facts: CaseFacts, pack: RulePack, channels: Collection[str]) -> tuple[UUID, ...]:
    """Return the requests that would cover a visit on `day`: what a dispatcher may name."""
    return tuple(
        request.entry_id
        for request in facts.requests
        if fault_of(request.entry_id, day=day, facts=facts, pack=pack, channels=channels) is None
    )
