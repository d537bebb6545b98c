"""Were calls and letters tried first? (A14-A17, D15, D17, F18, AMB18)

Calls on two days and a letter whose seven full working days have passed; otherwise a supervisor gives the
reason: a parallel visit, evasion or bad faith (recorded before), a second due date. After the fact an
assigned visit was judged before; without an assignment the ledger of that day speaks, which may still lack
entries.
"""

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from server.rules.check import Check, CheckAfterwards
from server.rules.facts import ActualVisit, CaseFacts, WantedVisit
from server.rules.local_time import ONE_DAY, at_local, local_day
from server.rules.pack import RulePack
from server.rules.verdict import Reason, a_reason

RULE_OF_GROUND = {
    "unpaid": "A15",
    "unreachable": "A16",
    "parallel": "A14",
    "second_due_date": "A17",
    "evasive": "D15",
    "bad_faith": "D17",
}
RECORDED = frozenset({"evasive", "bad_faith"})
"""Grounds that rest on what the office wrote down and handed to the field, before anybody goes."""
RULES_BEHIND = {ground: (rule,) for ground, rule in RULE_OF_GROUND.items()} | {
    "unpaid": ("A15", "F18"),
    "unreachable": ("A16", "F18"),
}
"""Every rule that a ground rests on: F18 gives the letter its seven working days."""
RULES = tuple(dict.fromkeys(rule for rules in RULES_BEHIND.values() for rule in rules))


def first_day_after_letter(received_on: date, facts: CaseFacts, pack: RulePack) -> date | None:
    """The day after the letter's last full working day; the day of receipt is not counted."""
    last = facts.calendar.working_day_after(received_on, pack.ground_letter_working_days)
    return None if last is None else last + ONE_DAY


def calls_and_letter_tried(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A15 (or the ground that was named): approval until calls and a letter had their time."""
    day = local_day(wanted.window_start, pack.zone)
    yield from _judge_ground(wanted.ground, day, facts, pack)


def _judge_ground(ground: str, day: date, facts: CaseFacts, pack: RulePack, **more: Any) -> Iterator[Reason]:
    call_days = sorted({called for called in facts.call_days if called <= day})
    ready = [first_day_after_letter(received, facts, pack) for received in facts.letters_received_on]
    first = min((known for known in ready if known is not None), default=None)
    enough_calls = len(call_days) >= pack.ground_call_days
    if enough_calls and first is not None and first <= day:
        return
    if ground in RECORDED and facts.escalations is not None and ground not in facts.escalations:
        yield a_reason(RULE_OF_GROUND[ground], "escalation-not-recorded", "block", ground=ground)
    yield a_reason(
        RULE_OF_GROUND.get(ground, "A15"),
        "ground-not-reached",
        "approval",
        allowed_from=_start_of(first, pack) if enough_calls else None,
        ground=ground,
        rules=RULES_BEHIND.get(ground, RULES_BEHIND["unpaid"]),
        call_days=call_days,
        call_days_needed=pack.ground_call_days,
        letters_received_on=facts.letters_received_on,
        letter_ripe_on=first,
        source=pack.source_of("ground_letter_working_days" if enough_calls else "ground_call_days"),
        **more,
    )


def _start_of(day: date | None, pack: RulePack) -> datetime | None:
    return None if day is None else at_local(day, time.min, pack.zone)


def ground_was_reached(actual: ActualVisit, facts: CaseFacts, pack: RulePack) -> Iterator[Reason]:
    """A15 on a visit that nobody assigned, at its actual day."""
    if actual.assignment_id is None:
        day = local_day(actual.arrival.latest, pack.zone)
        yield from _judge_ground("unpaid", day, facts, pack, certainty="possible")


CHECKS = (Check(RULES, calls_and_letter_tried),)
AFTERWARDS = (CheckAfterwards(("A15",), ground_was_reached),)
