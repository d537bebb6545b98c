"""Which case and which address may be visited: holds, balance, ground, review."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from server.rules.engine import judge
from server.rules.facts import ContactFact, HoldFact
from tests.rules.builders import (
    HOUSE,
    NOW,
    a_case,
    a_visit,
    an_address,
    china,
    only,
    some_facts,
)


@pytest.mark.parametrize(
    ("address", "rules"),
    [
        pytest.param(None, ["A18"], id="A18 none"),
        pytest.param(an_address(case_id=UUID(int=9)), ["A18"], id="A18 of another case"),
        pytest.param(an_address(status="unverified"), ["A5"], id="A5 unverified"),
        pytest.param(an_address(status="invalid"), ["A18"], id="A18 invalid"),
        pytest.param(an_address(contact=ContactFact(UUID(int=5), liable=True)), [], id="D23 guarantor"),
        pytest.param(an_address(contact=ContactFact(UUID(int=5), liable=False)), ["D23"], id="D23 other"),
        pytest.param(
            an_address(contact=ContactFact(UUID(int=5), liable=True, stop_contact=True)),
            ["D24"],
            id="D24 refused",
        ),
    ],
)
def test_address(address: Any, rules: list[str]):
    verdict = judge(a_visit(), some_facts(address=address), HOUSE)

    assert sorted(verdict.rules) == rules
    assert verdict.allowed_from is None or not rules


def test_a_sensitive_third_party_at_the_address_needs_approval():
    address = an_address(sensitive_neighbours=(UUID(int=5),))

    reason = only(a_visit(), some_facts(address=address))

    assert (reason.rule, reason.severity) == ("A4", "approval")


@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        ("do_not_collect", "A7"),
        ("identity_disputed", "D4"),
        ("transaction_denied", "D8"),
        ("activation_denied", "D8"),
        ("amount_disputed", "D11"),
        ("complaint", "D25"),
        ("stop_requested", "F6"),
        ("imprisoned", "F6"),
        ("deceased", "F6"),
        ("paid", "D18"),
        ("other", "D9"),
    ],
)
def test_every_hold_blocks_until_a_person_releases_it(reason: str, rule: str):
    hold = HoldFact(UUID(int=6), reason, "debtor", NOW)

    verdict = judge(a_visit(), some_facts(holds=(hold,)), HOUSE)

    assert [(said.rule, said.severity, said.allowed_from) for said in verdict.reasons] == [
        (rule, "block", None)
    ]
    assert verdict.allowed_from is None


def test_a_released_hold_blocks_no_more():
    hold = HoldFact(UUID(int=6), "complaint", "debtor", china("2026-11-01 10:00"), NOW)

    assert judge(a_visit(), some_facts(holds=(hold,)), HOUSE).allowed


@pytest.mark.parametrize(
    ("case", "rule", "severity"),
    [
        pytest.param(a_case(state="closed"), "D18", "block", id="D18 closed"),
        pytest.param(a_case(special_flags=("stolen_card",)), "A1", "block", id="A1 not reviewed"),
        pytest.param(a_case(has_special_note=True), "A6", "block", id="A6 not acknowledged"),
        pytest.param(a_case(balance_as_of=None), "C4", "block", id="C4 never synchronised"),
        pytest.param(a_case(balance_as_of=date(2026, 11, 15)), "C4", "block", id="C4 eight days"),
        pytest.param(a_case(outstanding_fen=49_999), "B18", "approval", id="B18 below 500 yuan"),
    ],
)
def test_the_case_itself(case: Any, rule: str, severity: str):
    reason = only(a_visit(), some_facts(case=case))

    assert (reason.rule, reason.severity) == (rule, severity)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(a_case(special_flags=("stolen_card",), is_reviewed=True), id="A1 reviewed"),
        pytest.param(a_case(has_special_note=True, is_note_acknowledged=True), id="A6 acknowledged"),
        pytest.param(a_case(balance_as_of=date(2026, 11, 16)), id="C4 seven days"),
        pytest.param(a_case(outstanding_fen=50_000), id="B18 500 yuan"),
    ],
)
def test_the_case_itself_just_passes(case: Any):
    assert judge(a_visit(), some_facts(case=case), HOUSE).reasons == ()


# A letter received on Thursday 12 November: seven full working days are 13, 16-20 and 23 November.
@pytest.mark.parametrize(
    ("calls", "letters", "day", "ground", "rules"),
    [
        pytest.param((12, 13), (12,), "24", "unpaid", [], id="A15 the day after the seventh"),
        pytest.param((12, 13), (12,), "23", "unpaid", ["A15"], id="A15 on the seventh"),
        pytest.param((12,), (12,), "24", "unpaid", ["A15"], id="A15 calls on one day"),
        pytest.param((12, 13), (), "24", "unreachable", ["A16"], id="A16 no letter"),
        pytest.param((), (), "24", "parallel", ["A14"], id="A14 parallel visit"),
        pytest.param((), (), "24", "second_due_date", ["A17"], id="A17 second due date"),
        pytest.param((), (), "24", "evasive", ["D15"], id="D15 evasive"),
        pytest.param((), (), "24", "bad_faith", ["D17"], id="D17 bad faith"),
    ],
)
def test_ground(calls: tuple[int, ...], letters: tuple[int, ...], day: str, ground: str, rules: list[str]):
    facts = some_facts(
        call_days=tuple(date(2026, 11, n) for n in calls),
        letters_received_on=tuple(date(2026, 11, n) for n in letters),
    )

    verdict = judge(a_visit(f"2026-11-{day} 10:00", ground=ground), facts, HOUSE)

    assert sorted(verdict.rules) == rules
    assert verdict.needs_approval == bool(rules)


def test_a_letter_ripens_over_the_break_and_its_make_up_day():
    facts = some_facts(judged_at=china("2026-10-08 09:00"), case=a_case(balance_as_of=date(2026, 10, 8)))
    facts = type(facts)(
        judged_at=facts.judged_at,
        case=facts.case,
        address=facts.address,
        calendar=facts.calendar,
        team=facts.team,
        call_days=(date(2026, 9, 28), date(2026, 9, 29)),
        letters_received_on=(date(2026, 9, 29),),
    )

    reason = only(a_visit("2026-10-09 10:00"), facts)

    # 30 Sept, 8, 9, 10 (make-up Saturday), 12, 13, 14 Oct are the seven.
    assert reason.facts["letter_ripe_on"] == "2026-10-15"
    assert reason.allowed_from == china("2026-10-15 00:00")


def test_a_missing_account_only_warns():
    reason = only(a_visit(), some_facts(accounts_missing=(UUID(int=8),)))

    assert (reason.rule, reason.severity) == ("C13", "warn")
