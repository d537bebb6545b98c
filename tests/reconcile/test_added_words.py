"""A client's words are looked for beside those that ship: they add, and take nothing away."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from server.reconcile.conduct import forbidden_in, topics
from server.reconcile.engine import reconcile
from server.reconcile.facts import Limits, Segment
from server.reconcile.narrative import added_claims, read_narrative
from server.reconcile.narrative.reading import read_account
from server.reconcile.wording import faults_of
from server.rules.added_words import LENGTHS, MOST_WORDS, AddedWords
from server.rules.pack import combine, named
from server.rules.pack_file import PackError, PackFile, read_pack
from tests.reconcile.honest import HONEST, TEN, a_photo, a_recording, with_account, with_evidence

HEAD = """
id = "client.words"
version = 1
layer = "client"
timezone = "Asia/Shanghai"
instrument = "service contract"
effective_from = 2026-01-01
"""


def a_table(**members: Any) -> str:
    """One table as an administrator writes it."""
    whole = {"topic": '"insult"', "article": '"annex 2"', "words": '["滚犊子"]'} | members
    return "[[lexicon]]\n" + "".join(f"{name} = {value}\n" for name, value in whole.items() if value)


def a_pack(*tables: str) -> PackFile:
    return read_pack(HEAD + "".join(tables or (a_table(),)), origin="overlay")


def checks_of(*added: AddedWords, narrative: str) -> list[str]:
    facts = replace(HONEST, lexicon=added, **with_account(narrative=narrative))
    return [one.check for one in reconcile(facts, Limits()).findings]


def test_an_added_word_is_found_with_the_rule_of_its_topic_and_its_place() -> None:
    narrative = "我方同事对债务人说滚犊子。"
    facts = replace(HONEST, lexicon=a_pack().lexicon, **with_account(narrative=narrative))

    (finding,) = reconcile(facts, Limits()).findings

    assert (finding.check, finding.rule) == ("wording-insult", topics()["insult"].rule)
    (place,) = finding.citation["places"]
    assert narrative[place["from"] : place["until"]] == "滚犊子"
    assert checks_of(narrative=narrative) == []


def test_an_added_word_is_excused_as_those_that_ship_are() -> None:
    assert checks_of(*a_pack().lexicon, narrative="债务人骂我滚犊子。") == []


def test_a_longer_word_hides_none_that_ships() -> None:
    longer = a_pack(a_table(topic='"smoking-and-drinking"', words='["就是个老赖呀"]')).lexicon
    text = "我说你就是个老赖呀。"

    found = {(place.topic.slug, place.word) for place in forbidden_in(text, "words", longer)}

    assert {slug for slug, _ in found} == {"insult", "smoking-and-drinking"}
    assert {slug for slug, _ in found} > {place.topic.slug for place in forbidden_in(text, "words")}


def test_the_same_words_of_the_same_topic_are_one_place() -> None:
    again = a_pack(a_table(words='["你个老赖"]')).lexicon

    places = list(forbidden_in("我说你个老赖。", "words", again))

    assert [(place.topic.slug, place.word) for place in places] == [("insult", "老赖")]


def test_a_spoken_word_is_heard_and_not_read() -> None:
    added = a_pack(a_table(words="", spoken='["滚犊子"]')).lexicon
    heard = a_recording(transcript=(Segment(10.0, 12.0, "你给我滚犊子", 0.9),))
    facts = replace(HONEST, lexicon=added, **with_evidence(a_photo(), heard))

    checks = {one.check: one for one in reconcile(facts, Limits()).findings}

    assert checks["heard-insult"].citation["second"] == 10.0
    assert checks_of(*added, narrative="我方同事对债务人说滚犊子。") == []


def test_a_claim_s_phrase_says_what_its_family_says() -> None:
    added = a_pack(a_table(topic="", claim='"delivery/mailbox"', words='["入了奶报箱"]')).lexicon
    text, day = "信函入了奶报箱。", TEN.date()

    assert [one.value for one in read_account(text, day, added) if one.kind == "delivery"] == ["mailbox"]
    assert [one for one in read_narrative(text, day) if one.kind == "delivery"] == []
    assert added_claims("信函没有入了奶报箱。", added) == ()


@pytest.mark.parametrize(
    ("on", "counts"),
    [
        (date(2026, 2, 28), False),
        (date(2026, 3, 1), True),
        (date(2026, 3, 31), True),
        (date(2026, 4, 1), False),
    ],
)
def test_words_count_on_their_days(on: date, counts: bool) -> None:
    words = a_pack(a_table(effective_from="2026-03-01", effective_to="2026-04-01"))

    assert bool(combine([*named("cn.law+cn.house"), words], on=on).lexicon) == counts


REFUSED = [
    (a_table(words='["滚"]'), "lexicon[0]: words[0]: must be a text of 2 to 40"),
    (a_table(words=f'["{"滚" * (LENGTHS[-1] + 1)}"]'), "lexicon[0]: words[0]"),
    (a_table(words='["滚犊子", "。。"]'), "lexicon[0]: words[1]: '。。' has to hold at least two letters"),
    (a_table(words='["滚犊子 "]'), "without blanks around it"),
    (a_table(words='["滚犊子", "滚犊子"]'), "words[1]: '滚犊子' stands there twice"),
    (a_table(words='"滚犊子"'), "words must be a list"),
    (a_table(words="[1]"), "words[0]"),
    (a_table(words="[]"), "adds no words"),
    (a_table(claim='"delivery/mailbox"'), "either a topic or a claim"),
    (a_table(topic=""), "either a topic or a claim"),
    (a_table(topic="", claim='"debt/confirmed"', spoken='["认了吧"]'), "spoken stands under a topic"),
    (a_table(article=""), "'article' is missing"),
    (a_table(unless_before='["被"]'), "'unless_before' is not known; words can be added"),
    (a_table(severity='"note"'), "'severity' is not known"),
    (a_table(effective_to="2025-12-31"), "effective_to 2025-12-31 is not after 2026-01-01"),
    (a_table(effective_from='"soon"'), "effective_from must be a TOML date"),
    (a_table() + a_table(words="[]"), "lexicon[1]: adds no words"),
    (
        a_table(words=str([f"骂人话{n}" for n in range(MOST_WORDS + 1)]).replace("'", '"')),
        f"more than {MOST_WORDS} words",
    ),
    ("lexicon = 3\n", "array of tables"),
]


@pytest.mark.parametrize(("tables", "why"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_what_is_no_addition_is_refused_with_its_place(tables: str, why: str) -> None:
    with pytest.raises(PackError) as refused:
        a_pack(tables)

    assert str(refused.value).startswith("overlay: lexicon") and why in str(refused.value)


def test_a_subject_that_does_not_ship_is_named_with_those_that_do() -> None:
    added = a_pack(
        a_table(topic='"rudeness"'), a_table(topic="", claim='"delivery/drone"'), a_table()
    ).lexicon

    topic, claim = faults_of(added)

    assert topic.startswith("lexicon[0]: there is no topic 'rudeness'") and "insult" in topic
    assert claim.startswith("lexicon[1]: there is no claim 'delivery/drone'") and "delivery/mailbox" in claim


def test_a_pack_needs_parameters_or_words() -> None:
    with pytest.raises(PackError, match="'parameters' is missing"):
        read_pack(HEAD, origin="overlay")
