"""Before the door: each rule, at its boundaries. Ids name the rule."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from server.rules.calendar import Calendar
from server.rules.engine import judge
from server.rules.facts import CaseFacts, ContactFact, HoldFact, MemberFact, Span, Training, WantedVisit
from server.rules.verdict import Reason
from tests.rules.builders import (
    CALENDAR,
    HOUSE,
    LEAD,
    NOW,
    QUALIFIED,
    SECOND,
    THIRD,
    a_case,
    a_member,
    a_request,
    a_visit,
    an_address,
    arrived,
    china,
    reserved,
    some_facts,
)

NDA = (Training("nda"),)
ENTRY = UUID(int=300)


def only(wanted: WantedVisit, facts: CaseFacts) -> Reason:
    """Return the one reason of a verdict."""
    reasons = judge(wanted, facts, HOUSE).reasons
    assert len(reasons) == 1, [(reason.rule, reason.slug) for reason in reasons]
    return reasons[0]


def rules_of(wanted: WantedVisit, facts: CaseFacts) -> list[str]:
    return sorted(judge(wanted, facts, HOUSE).rules)


def test_an_ordinary_visit_is_allowed_without_any_reason():
    verdict = judge(a_visit(), some_facts(), HOUSE)

    assert verdict.allowed
    assert verdict.reasons == ()
    assert verdict.allowed_from == china("2026-11-24 10:00")
    assert verdict.pack == "cn.house@2"


@pytest.mark.parametrize(
    ("start", "end", "rules"),
    [
        pytest.param("2026-11-24 08:00:00", "2026-11-24 09:00:00", [], id="T1 opens on the second"),
        pytest.param("2026-11-24 07:59:59", "2026-11-24 09:00:00", ["T1"], id="T1 one second early"),
        pytest.param("2026-11-24 19:00:00", "2026-11-24 21:00:00", [], id="T1 closes on the second"),
        pytest.param("2026-11-24 19:00:00", "2026-11-24 21:00:01", ["T1"], id="T1 one second late"),
        pytest.param("2026-11-24 20:00:00", "2026-11-24 20:30:00", [], id="T2 latest start"),
        pytest.param("2026-11-24 20:00:01", "2026-11-24 20:30:00", ["T2"], id="T2 one second later"),
        pytest.param("2026-11-24 22:00:00", "2026-11-24 23:00:00", ["T1", "T2"], id="T1 T2 at night"),
        pytest.param("2026-11-24 08:00:00", "2026-11-25 09:00:00", ["T1"], id="T1 through the night"),
        pytest.param("2026-11-28 10:00:00", "2026-11-28 11:00:00", [], id="A12 ordinary Saturday"),
        pytest.param("2026-09-30 20:00:00", "2026-09-30 21:00:00", [], id="A12 the evening before"),
        pytest.param("2026-10-01 08:00:00", "2026-10-01 09:00:00", ["A12"], id="A12 first day"),
        pytest.param("2026-10-04 10:00:00", "2026-10-04 11:00:00", ["A12"], id="A12 a Sunday of the break"),
        pytest.param("2026-10-07 20:00:00", "2026-10-07 21:00:00", ["A12"], id="A12 last evening"),
        pytest.param("2026-10-08 08:00:00", "2026-10-08 09:00:00", [], id="A12 the day after"),
        pytest.param("2026-10-10 10:00:00", "2026-10-10 11:00:00", [], id="A12 make-up Saturday"),
        pytest.param("2026-12-31 20:00:00", "2026-12-31 21:00:00", [], id="X6 last published evening"),
        pytest.param("2027-01-04 10:00:00", "2027-01-04 11:00:00", ["X6"], id="X6 unpublished year"),
    ],
)
def test_hours_and_days(start: str, end: str, rules: list[str]):
    facts = some_facts(
        judged_at=china("2026-09-01 10:00"),
        case=a_case(balance_as_of=date(2026, 9, 1)),
        call_days=(date(2026, 3, 2), date(2026, 3, 3)),
        letters_received_on=(date(2026, 3, 4),),
    )

    assert rules_of(a_visit(start, end=end), facts) == rules


@pytest.mark.parametrize(
    ("start", "allowed_from"),
    [
        pytest.param("2026-11-24 06:00", "2026-11-24 08:00", id="T1 waits for the morning"),
        pytest.param("2026-11-24 20:30", "2026-11-25 08:00", id="T1 T2 wait for the next morning"),
        pytest.param("2026-10-01 10:00", "2026-10-08 08:00", id="A12 waits for the whole break"),
        pytest.param("2027-02-01 10:00", None, id="X6 waits for a person"),
    ],
)
def test_the_verdict_says_when_hours_and_days_would_allow_it(start: str, allowed_from: str | None):
    facts = some_facts(judged_at=china("2026-09-01 10:00"), case=a_case(balance_as_of=date(2026, 9, 1)))

    verdict = judge(a_visit(start), facts, HOUSE)

    assert not verdict.allowed
    assert verdict.allowed_from == (allowed_from and china(allowed_from))


def test_a_provisional_holiday_bans_and_a_provisional_workday_permits_nothing():
    provisional = Calendar(
        published=CALENDAR.published,
        holidays={**CALENDAR.holidays, date(2027, 2, 6): "Spring Festival"},
        makeup=CALENDAR.makeup,
    )

    assert "A12" in rules_of(a_visit("2027-02-06 10:00"), some_facts(calendar=provisional))
    assert "X6" in rules_of(a_visit("2027-02-05 10:00"), some_facts(calendar=provisional))


@pytest.mark.parametrize(
    ("facts", "wanted", "rules"),
    [
        pytest.param({"reservations": reserved("2026-11-24 08:00")}, {}, [], id="A3 second of a day"),
        pytest.param(
            {"reservations": reserved("2026-11-24 08:00", "2026-11-24 14:00")}, {}, ["A3"], id="A3 third"
        ),
        pytest.param(
            {"reservations": reserved("2026-11-24 08:00"), "arrivals": arrived("2026-11-24 00:00:00")},
            {},
            ["A3"],
            id="A3 an arrival at local midnight belongs to the day",
        ),
        pytest.param(
            {"reservations": reserved("2026-11-24 08:00"), "arrivals": arrived("2026-11-23 23:59:59")},
            {},
            [],
            id="A3 yesterday does not count",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-23 09:00"),),
            },
            {},
            ["A3"],
            id="A3 evidence must be named",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-23 09:00"),),
            },
            {"evidence_entry_id": ENTRY},
            [],
            id="A3 third with the debtor's request",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-24 09:10", channel="visit", visit_on=date(2026, 11, 24)),),
            },
            {"evidence_entry_id": ENTRY},
            [],
            id="A3 third as agreed return",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-23 09:00", used_by=UUID(int=1)),),
            },
            {"evidence_entry_id": ENTRY},
            ["A3"],
            id="A3 evidence serves once",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-23 09:00", visit_on=date(2026, 11, 25)),),
            },
            {"evidence_entry_id": ENTRY},
            ["A3"],
            id="A3 evidence names another day",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-17 23:59"),),
            },
            {"evidence_entry_id": ENTRY},
            [],
            id="A3 evidence of seven days ago",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-16 23:59"),),
            },
            {"evidence_entry_id": ENTRY},
            ["A3"],
            id="A3 evidence of eight days ago",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 08:30", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-23 09:00"),),
            },
            {"evidence_entry_id": ENTRY},
            ["A3"],
            id="A3 never a fourth",
        ),
        pytest.param(
            {"case": a_case(daily_visit_cap=1), "reservations": reserved("2026-11-24 08:00")},
            {},
            ["A2"],
            id="A2 own cap of one",
        ),
        pytest.param({"case": a_case(daily_visit_cap=0)}, {}, ["A2"], id="A2 own cap of none"),
    ],
)
def test_daily_budget(facts: dict[str, Any], wanted: dict[str, Any], rules: list[str]):
    assert rules_of(a_visit(**wanted), some_facts(**facts)) == rules


def test_a_reservation_whose_visit_began_is_counted_once():
    begun = arrived("2026-11-24 08:10")[0]
    plan = reserved("2026-11-24 08:00")[0]
    facts = some_facts(
        reservations=(plan,), arrivals=(type(begun)(begun.visit_id, begun.at, plan.assignment_id),)
    )

    assert judge(a_visit(), facts, HOUSE).allowed


def test_the_budget_says_the_next_day_and_the_evidence_that_would_serve():
    facts = some_facts(
        reservations=reserved("2026-11-24 08:00", "2026-11-24 14:00", "2026-11-25 09:00", "2026-11-25 15:00"),
        requests=(a_request("2026-11-23 09:00"),),
    )

    verdict = judge(a_visit(), facts, HOUSE)

    assert verdict.reasons[0].facts["usable_evidence"] == [str(ENTRY)]
    assert (
        verdict.reasons[0].quotation
        == "每日外访次数不宜超过2次,但如遇客户主动请求或回访情况,此限制可酌情调整"
    )
    assert verdict.allowed_from == china("2026-11-26 08:00")


@pytest.mark.parametrize(
    ("last", "wanted", "more", "rules"),
    [
        pytest.param("2026-11-17 10:00:00", "2026-11-24 10:00:00", {}, [], id="A9 exactly 7x24 h"),
        pytest.param("2026-11-17 10:00:01", "2026-11-24 10:00:00", {}, ["A9"], id="A9 one second less"),
        pytest.param("2026-11-30 10:00:00", "2026-11-24 10:00:00", {}, ["A9"], id="A9 before a planned one"),
        pytest.param("2026-12-01 10:00:00", "2026-11-24 10:00:00", {}, [], id="A9 7x24 h ahead"),
        pytest.param(
            "2026-11-23 10:00:00",
            "2026-11-24 10:00:00",
            {"requests": (a_request("2026-11-23 18:00"),)},
            [],
            id="A9 the debtor asked",
        ),
        pytest.param(
            "2026-11-23 10:00:00",
            "2026-11-24 10:00:00",
            {"requests": (a_request("2026-11-23 10:30", channel="visit"),)},
            ["A9"],
            id="A9 an agreed return is not the debtor's own request",
        ),
    ],
)
def test_hardship_weekly_cap(last: str, wanted: str, more: dict[str, Any], rules: list[str]):
    facts = some_facts(case=a_case(hardship=("pregnancy",)), reservations=reserved(last), **more)

    assert rules_of(a_visit(wanted, evidence_entry_id=ENTRY), facts) == rules


def test_hardship_is_allowed_again_seven_times_24_hours_after_the_last_arrival():
    facts = some_facts(case=a_case(hardship=("serious_illness",)), arrivals=arrived("2026-11-23 09:30:15"))

    verdict = judge(a_visit(), facts, HOUSE)

    assert verdict.allowed_from == china("2026-11-30 09:30:15")
    assert verdict.reasons[0].to_json()["allowed_from"] == "2026-11-30T01:30:15Z"
    assert verdict.reasons[0].facts["last_arrival"] == "2026-11-23T01:30:15Z"
    assert verdict.reasons[0].quotation == "外访次数应限制在每周不超过一次"


@pytest.mark.parametrize(
    ("team", "hardship", "rules", "severity"),
    [
        pytest.param((LEAD,), (), ["X4"], "warn", id="X4 alone"),
        pytest.param((LEAD, SECOND, THIRD), (), ["A10"], "approval", id="A10 three"),
        pytest.param((LEAD, SECOND), ("pregnancy",), [], "", id="A10 two at hardship"),
        pytest.param((LEAD, SECOND, THIRD), ("pregnancy",), ["A10"], "block", id="A10 three at hardship"),
        pytest.param((SECOND, THIRD), (), ["X1"], "block", id="X1 lead not in team"),
        pytest.param((), (), ["X1"], "block", id="X1 nobody"),
    ],
)
def test_team_size(team: tuple[UUID, ...], hardship: tuple[str, ...], rules: list[str], severity: str):
    verdict = judge(a_visit(team=team), some_facts(case=a_case(hardship=hardship)), HOUSE)

    assert sorted(verdict.rules) == rules
    assert {reason.severity for reason in verdict.reasons} == ({severity} if severity else set())
    assert verdict.allowed == (severity in ("", "warn"))
    assert verdict.needs_approval == (severity == "approval")


@pytest.mark.parametrize(
    ("member", "rules"),
    [
        pytest.param(a_member(has_device=False), ["X5"], id="X5 lead without phone"),
        pytest.param(a_member(left_at=NOW), ["G15"], id="G15 left"),
        pytest.param(
            a_member(taken=(Span("assignment", china("2026-11-24 10:59:59"), china("2026-11-24 12:00")),)),
            ["X2"],
            id="X2 overlaps by a second",
        ),
        pytest.param(
            a_member(taken=(Span("assignment", china("2026-11-24 11:00"), china("2026-11-24 12:00")),)),
            [],
            id="X2 begins when the other ends",
        ),
        pytest.param(
            a_member(taken=(Span("leave", china("2026-11-24 00:00"), china("2026-11-25 00:00")),)),
            ["X3"],
            id="X3 on leave",
        ),
        pytest.param(
            a_member(taken=(Span("training", china("2026-11-24 10:30"), china("2026-11-24 18:00")),)),
            ["G6"],
            id="G6 in training",
        ),
        pytest.param(a_member(training=QUALIFIED[1:]), ["G5"], id="G5 no exam"),
        pytest.param(
            a_member(training=(Training("onboarding_exam", 79), *QUALIFIED[1:])), ["G22"], id="G22 79 points"
        ),
        pytest.param(
            a_member(training=(Training("onboarding_exam", 80), *QUALIFIED[1:])), [], id="G22 80 points"
        ),
        pytest.param(
            a_member(
                training=(Training("onboarding_exam", 60), Training("onboarding_exam", 80, 2), *QUALIFIED[1:])
            ),
            [],
            id="G22 resit",
        ),
        pytest.param(
            a_member(training=(Training("onboarding_exam", 95, 3), *QUALIFIED[1:])),
            ["G22"],
            id="G22 no second resit",
        ),
        pytest.param(
            a_member(training=(QUALIFIED[0], *QUALIFIED[2:])), ["G10"], id="G10 law and conduct missing"
        ),
        pytest.param(
            a_member(training=(*QUALIFIED[:2], *QUALIFIED[3:])), ["G17"], id="G17 internship missing"
        ),
        pytest.param(a_member(training=QUALIFIED[:3]), ["G18"], id="G18 nda missing"),
        pytest.param(
            a_member(training=(*QUALIFIED[:3], Training("nda", obtained_on=date(2026, 11, 25)))),
            ["G18"],
            id="G18 nda dated after the visit",
        ),
    ],
)
def test_the_lead(member: MemberFact, rules: list[str]):
    assert rules_of(a_visit(), some_facts(team=(member, a_member(SECOND)))) == rules


@pytest.mark.parametrize(
    ("team", "rules"),
    [
        pytest.param((a_member(), a_member(SECOND, training=NDA)), [], id="G5 trainee as second"),
        pytest.param((a_member(), a_member(SECOND, has_device=False)), [], id="X5 second without phone"),
        pytest.param(
            (a_member(), a_member(SECOND, training=())),
            ["G10", "G17", "G18", "G5"],
            id="G18 trainee without nda",
        ),
        pytest.param(
            (a_member(training=NDA), a_member(SECOND, training=NDA)),
            ["G10", "G17", "G5"],
            id="G5 two trainees alone",
        ),
        pytest.param((a_member(training=NDA), a_member(SECOND)), ["G10", "G17", "G5"], id="G5 trainee leads"),
        pytest.param((a_member(),), ["G15"], id="G15 unknown member"),
    ],
)
def test_trainees(team: tuple[MemberFact, ...], rules: list[str]):
    assert rules_of(a_visit(), some_facts(team=team)) == rules


def test_two_trainees_beside_a_qualified_lead_are_one_too_many():
    team = (a_member(), a_member(SECOND, training=NDA), a_member(THIRD, training=NDA))

    verdict = judge(a_visit(team=(LEAD, SECOND, THIRD)), some_facts(team=team), HOUSE)

    assert {reason.facts["staff_id"] for reason in verdict.blocking} == {str(SECOND), str(THIRD)}


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


def test_every_reason_is_given_at_once():
    facts = some_facts(
        case=a_case(hardship=("pregnancy",), balance_as_of=None),
        address=an_address(status="unverified"),
        holds=(HoldFact(UUID(int=6), "do_not_collect", "debtor", NOW),),
        arrivals=arrived("2026-09-30 09:00", "2026-10-01 09:00", "2026-10-01 09:30"),
        team=(a_member(has_device=False), a_member(SECOND)),
    )

    verdict = judge(a_visit("2026-10-01 22:00"), facts, HOUSE)

    assert verdict.rules >= {"A3", "A5", "A7", "A9", "A12", "C4", "T1", "T2", "X5"}
    assert verdict.reasons[: len(verdict.blocking)] == verdict.blocking
    assert not verdict.needs_approval
