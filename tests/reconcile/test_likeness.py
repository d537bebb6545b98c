"""Accounts that were written before, and journeys that nobody can have made."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from server.reconcile.engine import reconcile
from server.reconcile.facts import EarlierAccount, Limits, Place, Stop, VisitFacts
from server.reconcile.finding import Finding
from server.reconcile.likeness import bare
from sync.clock import Interval, Method
from tests.reconcile.honest import AWAY, HOME, HONEST, TEN, at, with_account

LONG = (
    "债务人本人接待，我们先出示工作证，说明受银行委托，并告知录音。债务人表示今年生意不好，家里还有老人要照顾，"
    "希望银行能够考虑延期，我们说明须由银行决定，请其直接联系客服，债务人没有别的意见，谈话平和。"
)
OTHER = UUID(int=500)
FAR = Place(39.9087 + 1.0, 116.4605, accuracy_m=20)  # 111 km to the north


def found(facts: VisitFacts, check: str) -> list[Finding]:
    return [one for one in reconcile(facts, Limits()).findings if one.check == check]


def told(mine: str, earlier: str) -> VisitFacts:
    before = EarlierAccount(visit_id=OTHER, account_id=UUID(int=501), narrative=earlier)
    return replace(HONEST, **with_account(narrative=mine), earlier_accounts=(before,))


@pytest.mark.parametrize(
    ("mine", "earlier", "severity"),
    [
        (LONG, LONG, "serious"),
        (LONG + "3000元", LONG + "18,500元", "minor"),
        (LONG.replace("生意不好", "生意很差"), LONG, "minor"),
    ],
    ids=["copied", "other-numbers", "two-characters"],
)
def test_a_narrative_that_was_written_before_is_found(mine: str, earlier: str, severity: str) -> None:
    [repeated] = found(told(mine, earlier), "narrative-repeated")

    assert repeated.severity == severity
    assert repeated.observation["other_visit_id"] == str(OTHER)
    assert repeated.citation["other_account_id"] == str(UUID(int=501))


def test_likeness_begins_at_its_limits() -> None:
    limits = Limits()
    just_long = "安" * limits.alike_characters
    just_short = "安" * (limits.alike_characters - 1)
    changed = int(len(bare(LONG)) * (1 - limits.alike)) + 2
    unlike = "".join("甲乙丙丁戊己庚辛壬癸"[n % 10] for n in range(changed)) + LONG[changed:]

    assert found(told(just_long, just_long), "narrative-repeated")
    assert not found(told(just_short, just_short), "narrative-repeated")
    assert not found(told(unlike, LONG), "narrative-repeated")


def test_short_accounts_of_an_empty_home_are_alike_and_honest() -> None:
    words = "敲门无人应答，将函件投入信箱后拍照离开。"
    facts = replace(told(words, words), **with_account(narrative=words, met="nobody", outcome="not_home"))

    assert found(facts, "narrative-repeated") == []


def a_stop(place: Place, *, minutes_before: float, method: Method = "anchored") -> Stop:
    moment = TEN - timedelta(minutes=minutes_before)
    when = at(moment)
    return Stop(OTHER, place, Interval(when.earliest, when.latest, method))


def test_nobody_travels_a_hundred_kilometres_in_ten_minutes() -> None:
    facts = replace(HONEST, check_in=AWAY, stops=(a_stop(FAR, minutes_before=10),))

    [flown] = found(facts, "impossible-travel")

    assert flown.severity == "severe"
    assert flown.observation["other_visit_id"] == str(OTHER)


def test_of_two_impossible_places_the_right_one_is_only_noted() -> None:
    facts = replace(HONEST, stops=(a_stop(FAR, minutes_before=10),))

    assert [one.severity for one in found(facts, "impossible-travel")] == ["note"]


def test_two_right_places_that_nobody_reaches_in_time_are_no_mere_note() -> None:
    facts = replace(HONEST, stops=(replace(a_stop(FAR, minutes_before=10), address=FAR),))

    assert [one.severity for one in found(facts, "impossible-travel")] == ["serious"]


@pytest.mark.parametrize(
    "stop",
    [
        a_stop(FAR, minutes_before=30),
        a_stop(HOME, minutes_before=1),
        a_stop(FAR, minutes_before=10, method="wall"),
        a_stop(replace(FAR, mock=True), minutes_before=10),
        a_stop(replace(FAR, accuracy_m=120_000), minutes_before=10),
    ],
    ids=["by-fast-train", "same-place", "clock-unsure", "mock", "place-unsure"],
)
def test_a_journey_that_may_have_been_is_no_finding(stop: Stop) -> None:
    assert found(replace(HONEST, check_in=AWAY, stops=(stop,)), "impossible-travel") == []
