"""A crowd of cases in every state, from a seed: for comparing set-based answers with judging one by one.

Written in bulk, deterministic. The ordinary case may be visited; one in a few carries something that speaks.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.database import db, transaction
from server.models.cases import HOLD_SCOPE_OF_REASON, Address, Case, Contact, Debtor, Hold, LedgerEntry
from server.models.dispatch import Assignment, Decision
from server.models.people import Device, Staff
from server.models.visits import Visit
from server.rules.local_time import local_day
from sync.protocol import uuid7
from tests.builders import a_client_bank, a_handset, a_visitor
from tests.office import CHINA

CHUNK = 5_000
HARDSHIPS = ("serious_illness", "financial_hardship", "pregnancy")


@dataclass(frozen=True, slots=True)
class Crowd:
    """Writes cases around one instant; `now` is when they are looked at."""

    dice: random.Random
    now: datetime
    client_id: UUID
    visitor: Staff
    device: Device

    def is_one_in(self, number: int) -> bool:
        return self.dice.randrange(number) == 0

    def days_ago(self, most: int) -> datetime:
        return self.now - timedelta(days=self.dice.randrange(most), minutes=self.dice.randrange(1, 700))


def a_crowd(number: int, *, seed: int, now: datetime) -> list[UUID]:
    """Write `number` cases of about as many debtors; return the ids of the cases."""
    visitor = a_visitor()
    crowd = Crowd(random.Random(seed), now, a_client_bank().id, visitor, a_handset(visitor).device)
    ids: list[UUID] = []
    for first in range(0, number, CHUNK):
        with transaction() as session:
            ids += _write(session, crowd, range(first, min(first + CHUNK, number)))
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))  # as autovacuum does; else plans are those of empty tables
    return ids


def _write(session: Session, crowd: Crowd, numbers: range) -> list[UUID]:
    debtors = [_debtor(crowd, n) for n in numbers]
    cases = [_case(crowd, n, _whose(crowd, debtors, at)) for at, n in enumerate(numbers)]
    contacts = [_contact(crowd, case) for case in cases if crowd.is_one_in(4)]
    known_through = {contact["case_id"]: contact["id"] for contact in contacts}
    addresses = [row for case in cases for row in _addresses(crowd, case, known_through.get(case["id"]))]
    entries = [row for case in cases for row in _entries(crowd, case)]
    holds = [_hold(crowd, case) for case in cases if crowd.is_one_in(12)]
    plans = [row for case in cases if crowd.is_one_in(5) for row in _plans(crowd, case, addresses)]
    visits = [row for case in cases if crowd.is_one_in(10) for row in _visits(crowd, case)]
    visits += _serve_wishes(crowd, entries, [assignment for _, assignment in plans])
    for model, rows in (
        (Debtor, debtors), (Case, cases), (Contact, contacts), (Address, addresses), (LedgerEntry, entries),
        (Hold, holds), (Decision, [decision for decision, _ in plans]),
        (Assignment, [assignment for _, assignment in plans]), (Visit, visits),
    ):  # fmt: skip
        if rows:
            session.execute(sa.insert(model), rows)
    return [case["id"] for case in cases]


def _debtor(crowd: Crowd, n: int) -> dict[str, Any]:
    hardship = [crowd.dice.choice(HARDSHIPS)] if crowd.is_one_in(8) else []
    return {"id": uuid7(), "client_id": crowd.client_id, "reference": f"D{n}", "hardship": hardship}


def _whose(crowd: Crowd, debtors: Sequence[dict[str, Any]], at: int) -> dict[str, Any]:
    """Give one in nine cases to a debtor who has another one."""
    return debtors[max(0, at - 1)] if crowd.is_one_in(9) else debtors[at]


def _case(crowd: Crowd, n: int, debtor: dict[str, Any]) -> dict[str, Any]:
    dice = crowd.dice
    flags = [["stolen_card"], ["disputed"]][dice.randrange(2)] if crowd.is_one_in(15) else []
    note = "call the branch first" if crowd.is_one_in(15) else ""
    return {
        "id": uuid7(), "client_id": crowd.client_id, "reference": f"C{n}", "debtor_id": debtor["id"],
        "principal_fen": 2_000_000, "outstanding_fen": dice.choice([49_999, 50_000, dice.randrange(10**7)]),
        "balance_as_of": None if crowd.is_one_in(40) else crowd.days_ago(9).date(),
        "daily_visit_cap": dice.choice([0, 1, 2]) if crowd.is_one_in(12) else None,
        "special_flags": flags, "reviewed_at": crowd.now if crowd.is_one_in(2) else None,
        "special_note": note, "note_acknowledged_at": crowd.now if crowd.is_one_in(2) else None,
        "state": "closed" if crowd.is_one_in(30) else "open", "hand": "first",
        "allocated_on": crowd.days_ago(90).date(),
    }  # fmt: skip


def _contact(crowd: Crowd, case: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": uuid7(), "client_id": crowd.client_id, "reference": f"K{case['reference']}",
        "case_id": case["id"], "liable": crowd.is_one_in(2), "stop_contact": crowd.is_one_in(3),
        "sensitive_occupation": "journalist" if crowd.is_one_in(3) else "",
    }  # fmt: skip


def _addresses(crowd: Crowd, case: dict[str, Any], contact_id: UUID | None) -> Iterator[dict[str, Any]]:
    """No, one or two addresses at the same point; where there is a contact, one of them is the contact's."""
    whose = crowd.dice.randrange(2)
    point = (39.8 + crowd.dice.random() / 5, 116.3 + crowd.dice.random() / 5)
    for number in range(crowd.dice.choice([0, 1, 1, 1, 1, 1, 2, 2])):
        yield {
            "id": uuid7(), "client_id": crowd.client_id, "reference": f"A{number}{case['reference']}",
            "case_id": case["id"], "latitude": point[0], "longitude": point[1],
            "contact_id": contact_id if number == whose else None,
            "status": crowd.dice.choice(["verified"] * 8 + ["unverified", "invalid"]),
            "datum": "WGS-84", "source": "", "kind": "home",
        }  # fmt: skip


def _entries(crowd: Crowd, case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    channels = ["call"] * crowd.dice.choice([0, 1, 2, 5, 5]) + ["letter"] * crowd.dice.choice([0, 1, 1, 1])
    channels += ["visit"] * crowd.is_one_in(15) + ["inbound"] * crowd.is_one_in(12)
    for number, channel in enumerate(channels):
        at = crowd.days_ago(30 if channel in ("call", "letter") else 9)
        yield {
            "id": uuid7(), "client_id": crowd.client_id, "reference": f"L{number}{case['reference']}",
            "case_id": case["id"], "debtor_id": case["debtor_id"], "channel": channel, "at": at,
            "received_on": local_day(at, CHINA) if channel == "letter" and not crowd.is_one_in(6) else None,
            "asks_for_visit": channel in ("visit", "inbound") and crowd.is_one_in(2), "effective": True,
            "visit_on": local_day(at, CHINA) + timedelta(days=crowd.dice.randrange(9))
            if channel == "inbound" and crowd.is_one_in(2) else None,
        }  # fmt: skip


def _hold(crowd: Crowd, case: dict[str, Any]) -> dict[str, Any]:
    reason = crowd.dice.choice(list(HOLD_SCOPE_OF_REASON))
    released = {"released_at": None, "released_by": None, "release_instruction": ""}
    if crowd.is_one_in(2):
        released = {
            "released_at": crowd.now,
            "released_by": crowd.visitor.id,
            "release_instruction": "client's letter",
        }
    return {
        "id": uuid7(), "scope": HOLD_SCOPE_OF_REASON[reason], "debtor_id": case["debtor_id"],
        "case_id": case["id"], "reason": reason, "raised_at": crowd.days_ago(20), "note": "", **released,
    }  # fmt: skip


def _plans(
    crowd: Crowd, case: dict[str, Any], addresses: Sequence[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Assignments of one of the next days: a reservation needs no team here."""
    mine = [address["id"] for address in addresses if address["case_id"] == case["id"]]
    day = crowd.now + timedelta(days=crowd.dice.randrange(-1, 7))
    for address_id in mine[:1] * crowd.dice.randrange(1, 4):
        decision = {
            "id": uuid7(), "case_id": case["id"], "judged_at": crowd.now, "judged_for": crowd.visitor.id,
            "allowed": True, "pack": "cn.house@1", "wanted": {}, "facts": {}, "verdict": {},
        }  # fmt: skip
        start = day + timedelta(minutes=crowd.dice.randrange(600))
        yield decision, {
            "id": uuid7(), "case_id": case["id"], "debtor_id": case["debtor_id"], "address_id": address_id,
            "window_start": start, "window_end": start + timedelta(hours=1), "lead_id": crowd.visitor.id,
            "state": crowd.dice.choice(["issued", "issued", "acknowledged", "cancelled"]),
            "decision_id": decision["id"], "permit_id": uuid7(), "permit": {}, "ground": "unpaid",
            "issued_by": crowd.visitor.id, "issued_at": crowd.now, "evidence_entry_id": None,
        }  # fmt: skip


def _serve_wishes(
    crowd: Crowd, entries: Sequence[dict[str, Any]], plans: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Have a plan rest on each wish of its debtor, and a cancelled one; some were made all the same."""
    made: list[dict[str, Any]] = []
    for entry in (entry for entry in entries if entry["asks_for_visit"]):
        theirs = [
            plan
            for plan in plans
            if plan["debtor_id"] == entry["debtor_id"] and plan["evidence_entry_id"] is None
        ]
        standing = [plan for plan in theirs if plan["state"] != "cancelled"]
        cancelled = [plan for plan in theirs if plan["state"] == "cancelled"]
        for plan in standing[:1] + cancelled[:1]:
            plan["evidence_entry_id"] = entry["id"]
            if crowd.is_one_in(2):
                made += [{**visit, "assignment_id": plan["id"]} for visit in _visits(crowd, plan)]
    return made


def _visits(crowd: Crowd, case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Visits that nobody assigned, whose accounts are missing."""
    at = crowd.days_ago(9)
    yield {
        "id": uuid7(), "debtor_id": case["debtor_id"], "assignment_id": None, "device_id": crowd.device.id,
        "staff_id": crowd.visitor.id, "team": [crowd.visitor.id], "seen_seq": 0, "arrived_earliest": at,
        "arrived_latest": at + timedelta(minutes=crowd.dice.randrange(30)), "arrived_method": "anchored",
        "started_item": uuid7(), "first_received_at": at, "evidence_due_at": at,
        "checklist": {}, "flags": [], "state": "started",
    }  # fmt: skip
