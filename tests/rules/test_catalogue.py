"""The catalogue and the code are held to each other; stored facts judge the same again."""

import json
from uuid import UUID

from server.rules.catalogue import CLASSES, catalogue
from server.rules.engine import CHECKED_RULES, CHECKS, judge
from server.rules.facts import CaseFacts, HoldFact, Span, WantedVisit
from server.rules.json_form import from_json, to_json
from tests.rules.builders import (
    HOUSE,
    NOW,
    a_case,
    a_member,
    a_request,
    a_visit,
    arrived,
    reserved,
    some_facts,
)


def test_every_row_of_the_house_rules_is_there():
    rules = catalogue()

    assert len(rules) == 246 + 7
    assert all(rule.quotation and set(rule.classes) <= set(CLASSES) for rule in rules.values())
    assert rules["A9"].quotation == "外访次数应限制在每周不超过一次"
    assert rules["A9"].line == 63


def test_every_check_has_a_row_and_every_schedule_gate_has_a_check():
    assert set(catalogue()) >= CHECKED_RULES
    assert {
        "T1", "T2", "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A9", "A10", "A12", "A14", "A15", "A16", "A17",
        "A18", "B18", "C4", "D4", "D8", "D11", "D18", "D23", "D24", "D25", "G5", "G6", "G22",
        "X1", "X2", "X3", "X4", "X5", "X6", "X7",
    } <= CHECKED_RULES  # fmt: skip


def test_a_check_raises_only_what_it_declares():
    facts = some_facts(address=None, team=(), judged_at=NOW, case=a_case(state="closed", balance_as_of=None))
    wanted = a_visit("2026-10-01 22:00", team=(UUID(int=1),), lead=None)

    for check in CHECKS:
        assert {reason.rule for reason in check.judge(wanted, facts, HOUSE)} <= set(check.rules)


def test_stored_facts_judge_the_same_again():
    facts = some_facts(
        case=a_case(hardship=("pregnancy",), daily_visit_cap=1),
        holds=(HoldFact(UUID(int=6), "complaint", "debtor", NOW, NOW),),
        reservations=reserved("2026-11-24 08:00"),
        arrivals=arrived(("2026-11-20 08:00", "2026-11-20 08:10")),
        requests=(a_request("2026-11-23 09:00"),),
        team=(a_member(taken=(Span("leave", NOW, NOW),)),),
        accounts_missing=(UUID(int=8),),
    )
    wanted = a_visit(evidence_entry_id=UUID(int=300))

    stored = json.loads(json.dumps({"wanted": to_json(wanted), "facts": to_json(facts)}))

    assert from_json(WantedVisit, stored["wanted"]) == wanted
    assert from_json(CaseFacts, stored["facts"]) == facts
    again = judge(from_json(WantedVisit, stored["wanted"]), from_json(CaseFacts, stored["facts"]), HOUSE)
    assert again == judge(wanted, facts, HOUSE)
    json.dumps(again.to_json())
