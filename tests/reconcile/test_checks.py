"""Each check, as a table: what it must find, and the honest noise it must not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from server.reconcile.engine import reconcile
from server.reconcile.facts import AccountFact, Image, Limits, Place, Reuse, SameSound
from server.reconcile.place import metres_between
from server.rules.verdict import Reason, a_reason
from tests.reconcile.honest import (
    ANNA,
    AWAY,
    BADGE,
    BO,
    EVE,
    HOME,
    HONEST,
    NOISE,
    OVERDUE,
    SOON,
    TEN,
    a_photo,
    a_recording,
    an_account,
    at,
    minutes,
    with_account,
    with_evidence,
)


def checks_of(**changes: Any) -> list[str]:
    """Names of the checks that find something in the honest visit with these changes."""
    return [finding.check for finding in reconcile(replace(HONEST, **changes), Limits()).findings]


def test_an_honest_visit_has_no_finding_and_its_claims_are_supported() -> None:
    report = reconcile(HONEST, Limits())

    assert report.findings == ()
    marks = {one.claim: one.mark for one in report.claims}
    assert marks["arrived_at"] == marks["left_at"] == marks["team_present"] == marks["met"] == "supported"
    assert marks["promise"] == "silent"


HANDED_OVER = with_account(letters=[{"template": "t", "delivery": "handed_to_debtor", "recipient": "debtor"}])
FABRICATIONS = [
    (
        "promised-missing",
        "evidence-missing",
        with_evidence(a_recording(), a_photo(state="expected")) | OVERDUE,
    ),
    ("digest", "digest-mismatch", with_evidence(a_recording(), a_photo(state="mismatched"))),
    ("unreadable", "evidence-unreadable", with_evidence(a_recording(), a_photo(failed="truncated"))),
    ("no-recording", "evidence-not-taken", with_evidence(a_photo()) | OVERDUE),
    ("letter-without-photo", "evidence-not-taken", HANDED_OVER | OVERDUE),
    (
        "captured-before",
        "captured-outside-visit",
        with_evidence(a_recording(), a_photo(when=TEN - minutes(30))),
    ),
    (
        "captured-after",
        "captured-outside-visit",
        with_evidence(a_recording(), a_photo(when=TEN + minutes(50))),
    ),
    (
        "scanned-before-there-was-anything-to-sign",
        "captured-outside-visit",
        with_evidence(a_recording(), a_photo(kind="scan", purpose="letter", when=TEN - minutes(30))),
    ),
    (
        "photo-of-yesterday",
        "photo-time-differs",
        with_evidence(a_recording(), a_photo(image=Image(taken_at=TEN - timedelta(days=1)))),
    ),
    (
        "photo-of-yesterday-whatever-the-clock-showed",
        "photo-time-differs",
        with_evidence(
            a_recording(),
            a_photo(
                image=Image(taken_at=TEN - timedelta(days=1)),
                clock_showed=(SOON - timedelta(hours=8), SOON - timedelta(hours=8)),
            ),
        ),
    ),
    (
        "a-kilometre-away-by-a-coarse-fix",
        "check-in-elsewhere",
        {"check_in": Place(HOME.lat, HOME.lon + 0.0117, accuracy_m=120)},
    ),
    ("claims-to-come-earlier", "stay-differs", with_account(arrived_at=TEN - minutes(45))),
    ("claims-to-stay-longer", "stay-differs", with_account(left_at=TEN + minutes(90))),
    ("short-recording", "recording-too-short", with_evidence(a_photo(), a_recording(seconds=60, speech=20))),
    (
        "short-recording-without-a-check-out",
        "recording-too-short",
        {**with_evidence(a_photo(), a_recording(seconds=60, speech=20)), "departure": None},
    ),
    (
        "short-recording-by-clocks-that-are-sure-to-minutes",
        "recording-too-short",
        {
            **with_evidence(a_photo(), a_recording(seconds=60, speech=20)),
            "arrival": at(TEN, doubt=minutes(2.6)),
            "departure": at(TEN + minutes(20), doubt=minutes(2.6)),
        },
    ),
    ("silence", "nobody-speaks", with_evidence(a_photo(), a_recording(speech=0.4))),
    ("elsewhere", "check-in-elsewhere", {"check_in": AWAY}),
    ("mock", "mock-location", {"check_in": replace(NOISE, mock=True)}),
    (
        "photo-elsewhere",
        "photo-elsewhere",
        with_evidence(a_recording(), a_photo(image=Image(place=AWAY))),
    ),
    ("one-stayed-home", "team-differs", {"present_team": frozenset({ANNA})}),
    ("a-third-came", "team-differs", {"present_team": frozenset({ANNA, BO, EVE})}),
    ("account-names-others", "team-differs", with_account(team=[ANNA, EVE])),
    (
        "same-file",
        "same-file",
        {"reuses": (Reuse(UUID(int=10), UUID(int=77), UUID(int=78), None),)},
    ),
    (
        "same-picture",
        "same-picture",
        {"reuses": (Reuse(UUID(int=10), UUID(int=77), UUID(int=78), 12),)},
    ),
    (
        "same-recording",
        "same-recording",
        {"same_sounds": (SameSound(UUID(int=11), UUID(int=77), UUID(int=78), 30.0, 4.0, 60.0, 0.9),)},
    ),
    (
        "outside-hours",
        "visit-window",
        {"broken_rules": (a_reason("T1", "visit-window", "block", certainty="certain"),)},
    ),
    ("knew-of-the-hold", "visited-under-hold", {"flags": frozenset({"after_hold"})}),
    ("forked", "chain-fork", {"flags": frozenset({"chain_fork"})}),
    (
        "handed-to-nobody",
        "delivery-contradicts",
        with_account(
            met="nobody",
            letters=[{"template": "t", "delivery": "handed_to_debtor", "recipient": "debtor"}],
        ),
    ),
    (
        "late-account",
        "account-late",
        {"account_due_at": TEN + minutes(30)},
    ),
    (
        "no-account",
        "account-missing",
        {"account": None, "revisions": (), "account_due_at": TEN + minutes(30)},
    ),
]


@pytest.mark.parametrize(
    ("check", "changes"), [row[1:] for row in FABRICATIONS], ids=[row[0] for row in FABRICATIONS]
)
def test_a_fabrication_is_found(check: str, changes: dict[str, Any]) -> None:
    assert check in checks_of(**changes)


NOTHING_TO_CITE = {"account-missing", "chain-fork", "visited-under-hold"}  # absent, or only flagged here


@pytest.mark.parametrize("changes", [row[2] for row in FABRICATIONS], ids=[row[0] for row in FABRICATIONS])
def test_every_finding_says_what_to_look_at(changes: dict[str, Any]) -> None:
    step_items = {"check_in": UUID(int=91), "check_out": UUID(int=92)}

    findings = reconcile(replace(HONEST, step_items=step_items, **changes), Limits()).findings

    assert {one.check for one in findings if not one.citation} <= NOTHING_TO_CITE
    for one in findings:
        if one.claim in ("arrived_at", "left_at") and "evidence_id" not in one.citation:
            assert one.citation["item_id"] == str(
                step_items["check_in" if one.claim == "arrived_at" else "check_out"]
            )


HONEST_NOISE = [
    (
        "an-account-lies-at-the-desk",
        {
            "account": None,
            "revisions": (),
            "account_due_at": TEN + minutes(90),
            "accounts_aside": (TEN + minutes(80),),
        },
    ),
    (
        "rounded-times-where-no-clock-measured-the-stay",
        {
            **with_evidence(a_photo(), a_recording()),
            **with_account(left_at=TEN + minutes(28)),
            "departure": None,
        },
    ),
    # About 300 m east of HOME by a fix between towers: one in a hundred of them is so far off.
    ("coarse-fix", {"check_in": Place(HOME.lat, HOME.lon + 0.00351, accuracy_m=120)}),
    (
        "photo-says-what-the-wrong-clock-showed",
        with_evidence(
            a_recording(),
            a_photo(
                image=Image(taken_at=SOON - timedelta(hours=8)),
                clock_showed=(SOON - timedelta(hours=8), SOON - timedelta(hours=8)),
            ),
        ),
    ),
    ("recorded-by-a-team-mate-s-phone-that-is-still-offline", with_evidence(a_photo())),
    ("photographed-by-a-team-mate-s-phone-that-is-still-offline", HANDED_OVER),
    ("still-uploading", with_evidence(a_recording(), a_photo(state="uploading"))),
    ("gps-drift", {"check_in": Place(39.9120, 116.4640, accuracy_m=400)}),
    ("no-position", {"check_in": None, "check_out": None}),
    ("no-address-point", {"address": None, "check_in": AWAY}),
    (
        "clock-unsure",
        with_evidence(a_recording(), a_photo(captured_from=at(TEN - minutes(30), doubt=minutes(60)))),
    ),
    ("captured-on-the-stairs", with_evidence(a_recording(), a_photo(when=TEN - minutes(4)))),
    ("rounded-times", with_account(arrived_at=TEN - minutes(5), left_at=TEN + minutes(25))),
    (
        "short-visit-by-clocks-that-are-sure-to-minutes",
        {
            **with_evidence(a_photo(when=TEN), a_recording(seconds=100, speech=60)),
            **with_account(left_at=TEN + minutes(6)),
            "arrival": at(TEN, doubt=minutes(2.6)),
            "departure": at(TEN + minutes(2), doubt=minutes(2.6)),
        },
    ),
    (
        "claims-more-than-clocks-that-are-sure-to-minutes",
        {
            **with_evidence(a_photo(when=TEN), a_recording(seconds=100, speech=60)),
            **with_account(left_at=TEN + minutes(14)),
            "arrival": at(TEN, doubt=minutes(2.6)),
            "departure": at(TEN + minutes(2), doubt=minutes(2.6)),
        },
    ),
    ("paused-recorder", with_evidence(a_photo(), a_recording(seconds=1000))),
    (
        "nobody-home",
        with_account(narrative="家中无人。", met="nobody", outcome="not_home")
        | with_evidence(a_photo(), a_recording(90, 0)),
    ),
    ("photo-without-exif", with_evidence(a_recording(), a_photo(image=Image()))),
    (
        "badge-in-the-office",
        {"evidence": (replace(BADGE, image=Image(place=AWAY)), a_photo(), a_recording())},
    ),
    (
        "signed-copy-scanned-in-the-office",
        with_evidence(
            a_recording(),
            a_photo(),
            a_photo(12, kind="scan", purpose="letter", when=TEN + timedelta(hours=2), place=AWAY),
        ),
    ),
    ("similar-not-same", {"reuses": (Reuse(UUID(int=10), UUID(int=77), UUID(int=78), 60),)}),
    ("account-on-time", {"account_due_at": TEN + timedelta(hours=30)}),
    ("evidence-not-inspected", with_evidence(a_photo(), a_recording(sound=None))),
]


@pytest.mark.parametrize("changes", [row[1] for row in HONEST_NOISE], ids=[row[0] for row in HONEST_NOISE])
def test_honest_noise_is_no_finding(changes: dict[str, Any]) -> None:
    assert checks_of(**changes) == []


WORDING = [
    ("你就是个老赖，快还钱。", "wording-insult"),
    ("我告诉他不还就让他坐牢。", "wording-authorities"),
    ("已收取现金五千元。", "wording-cash"),
    ("当场答应减免利息。", "wording-waiver"),
    ("债务人不在，已告知邻居其欠款。", "wording-disclosure"),
    ("要求父母还款。", "wording-third-party-pays"),
    ("称其为失信被执行人。", "wording-labelling"),
    # The debtor spoke last in the sentence, but is the one it is done to.
    ("债务人称房贷压力很大，对其称已列为黑名单人员。", "wording-labelling"),
    ("债务人说账单有问题，金额不对，说他是穷鬼。", "wording-personal-attack"),
    ("债务人不认罚息，称店铺已经关了，拿出合成照片给他看。", "wording-indecent"),
    ("债务人承认欠款，已告知还款渠道，收了现金三百元。", "wording-cash"),
]


@pytest.mark.parametrize(("narrative", "check"), WORDING, ids=[row[1] for row in WORDING])
def test_prohibited_wording_is_cited(narrative: str, check: str) -> None:
    report = reconcile(replace(HONEST, **with_account(narrative=narrative)), Limits())

    found = {finding.check: finding for finding in report.findings}
    assert check in found
    for place in found[check].citation["places"]:
        assert narrative[place["from"] : place["until"]] == place["word"]


@pytest.mark.parametrize(
    "narrative",
    [
        "债务人要给现金，我方拒绝收取现金，请其到银行柜面缴款。",
        "未向邻居透露任何信息，没有告知邻居。",
        "债务人说要报警，我方随即离开。",
        "不得答应减免，已说明须银行批准。",
        "对方威胁我们，我们离开。",
        "按约于十点到达，债务人确认欠款并承诺月底还款。",
        "债务人称老板不讲理，骂他是废物。",
        "债务人称法院判过了，说他是失信被执行人。",
        "债务人称卖了旧车，收了现金三百元。",
        "债务人称卖了旧车，要我们收现金。已告知还款渠道。",
        "",
    ],
)
def test_innocent_wording_is_no_finding(narrative: str) -> None:
    assert checks_of(**with_account(narrative=narrative)) == []


def test_an_amendment_that_reverses_a_claim_is_noted() -> None:
    first = an_account(met="nobody", outcome="not_home")
    second = an_account(n=31, parent=30)

    report = reconcile(replace(HONEST, account=second, revisions=(first, second)), Limits())

    assert [(one.check, one.severity) for one in report.findings] == [("amendment-reverses", "note")]
    assert set(report.findings[0].observation["changed"]) == {"met", "outcome"}


def test_a_second_account_that_amends_none_is_held_against_the_first() -> None:
    first = an_account(met="nobody", outcome="not_home")
    second = replace(an_account(n=31), received_at=first.received_at + minutes(5))

    report = reconcile(replace(HONEST, account=second, revisions=(second, first)), Limits())

    assert [(one.check, one.severity) for one in report.findings] == [("amendment-reverses", "note")]
    assert report.findings[0].citation == {"account_id": str(second.id)}
    assert report.findings[0].observation["before"] == {"met": "nobody", "outcome": "not_home"}


def test_a_forbidden_word_that_was_written_once_is_not_amended_away() -> None:
    first = an_account(narrative="债务人承认欠款，我们收了现金三百元。")
    second = replace(an_account(n=31, parent=30), received_at=first.received_at + minutes(5))
    third = replace(
        an_account(narrative="我们收了现金。", n=32, parent=31), received_at=first.received_at + minutes(9)
    )

    def cash(*revisions: AccountFact) -> tuple[str, float, str, str]:
        facts = replace(HONEST, account=revisions[-1], revisions=revisions)
        [one] = [one for one in reconcile(facts, Limits()).findings if one.check == "wording-cash"]
        return one.key, one.confidence, one.severity, one.citation["account_id"]

    assert cash(first) == ("wording-cash", 0.8, "severe", str(first.id))
    assert cash(first, second) == ("wording-cash", 0.5, "serious", str(first.id))
    assert cash(first, second, third) == ("wording-cash", 0.8, "severe", str(third.id))


def test_a_possible_breach_weighs_less_than_a_certain_one() -> None:
    certain = a_reason("T1", "visit-window", "block", certainty="certain")
    possible = a_reason("T1", "visit-window", "block", certainty="possible")

    severities = [
        reconcile(replace(HONEST, broken_rules=(reason,)), Limits()).findings[0].severity
        for reason in (certain, possible)
    ]

    assert severities == ["severe", "minor"]


@pytest.mark.parametrize(
    ("facts", "distance", "severity"),
    [
        ({"kind": "scan"}, 12, "minor"),
        ({"purpose": "letter"}, 12, "minor"),
        ({"kind": "signature", "purpose": "signature"}, 12, "minor"),
        ({"purpose": "delivery"}, 12, "severe"),
        ({"kind": "scan"}, None, "severe"),
    ],
    ids=["scan", "letter", "signature", "door with an envelope", "the same bytes"],
)
def test_letters_of_one_template_look_alike_and_are_no_proof(
    facts: dict[str, Any], distance: int | None, severity: str
) -> None:
    paper = a_photo(**facts)
    reuse = Reuse(paper.id, UUID(int=77), UUID(int=78), distance)

    report = reconcile(replace(HONEST, reuses=(reuse,), **with_evidence(a_recording(), paper)), Limits())

    assert [one.severity for one in report.findings if one.check.startswith("same-")] == [severity]


def test_what_only_the_phone_s_own_clock_says_is_never_certain() -> None:
    by_its_clock = replace(at(TEN + timedelta(hours=8), doubt=minutes(10)), method="wall")
    outside = a_reason("T1", "visit-window", "block", certainty="certain", moment="arrival")
    left_late = a_reason("T1", "visit-window", "block", certainty="certain", moment="departure")
    no_matter_when = a_reason("X4", "exam-not-taken", "block")

    def severities(reason: Reason, **changes: Any) -> list[str]:
        facts = replace(HONEST, broken_rules=(reason,), account=None, revisions=(), evidence=(), **changes)
        return [one.severity for one in reconcile(facts, Limits()).findings]

    assert severities(outside, arrival=by_its_clock) == ["minor"]
    assert severities(left_late, arrival=by_its_clock) == ["severe"]
    assert severities(left_late, departure=by_its_clock) == ["minor"]
    assert severities(no_matter_when, arrival=by_its_clock, departure=by_its_clock) == ["severe"]


def test_a_stay_that_differs_from_a_clock_nobody_vouches_for_weighs_little() -> None:
    by_its_clock = replace(at(TEN + timedelta(hours=8), doubt=minutes(10)), method="wall")
    facts = replace(HONEST, arrival=by_its_clock, departure=None, evidence=())

    found = [one for one in reconcile(facts, Limits()).findings if one.check == "stay-differs"]

    assert [(one.severity, one.confidence) for one in found] == [("minor", 0.3)]


def test_a_hold_that_had_not_reached_the_phone_is_only_a_note() -> None:
    report = reconcile(replace(HONEST, flags=frozenset({"hold_not_delivered"})), Limits())

    assert [(one.check, one.severity) for one in report.findings] == [("visited-under-hold", "note")]


def test_the_order_of_the_facts_does_not_matter_and_the_worst_comes_first() -> None:
    changes: dict[str, Any] = {
        "evidence": (BADGE, a_recording(seconds=60, speech=0), a_photo(state="mismatched")),
        "check_in": AWAY,
        "present_team": frozenset({ANNA}),
    }
    forwards = reconcile(replace(HONEST, **changes), Limits())
    backwards = reconcile(
        replace(HONEST, **{**changes, "evidence": tuple(reversed(changes["evidence"]))}), Limits()
    )

    assert forwards == backwards
    ranks = [finding.rank for finding in forwards.findings]
    assert ranks == sorted(ranks, reverse=True) and len(ranks) >= 4
    assert len({finding.key for finding in forwards.findings}) == len(forwards.findings)


def test_distance_is_geodesic() -> None:
    assert metres_between(HOME, AWAY) == pytest.approx(1495, abs=10)
