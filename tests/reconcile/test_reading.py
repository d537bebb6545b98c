"""What a written account claims when the lists and the tagger are held against each other."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from server.reconcile.narrative import Claim, Kind, added_claims, read_narrative
from server.reconcile.narrative.reading import BARS, read_account, weighed
from server.reconcile.narrative.tagger import (
    LONE_VALUES,
    Marks,
    own_model,
)
from server.rules.added_words import AddedWords

TUESDAY = date(2026, 11, 24)
A_LITTLE = 0.01


def marks(text: str, **likely: tuple[str, float]) -> Marks:
    """Marks of a text: each named one as likely as told at its words, everything else not at all."""
    seen = {mark: np.zeros(len(text), np.float32) for mark in own_model().marks}
    for mark, (words, how) in likely.items():
        kind, _, value = mark.partition("__")
        start = text.index(words)
        seen[kind][start : start + len(words)] = how
        if value:
            seen[f"{kind}={value.replace('third_party_', 'third_party:')}"][:] = 1
    return Marks(seen)


def told(claims: tuple[Claim, ...]) -> list[str]:
    return [f"{one.kind}={one.value}" for one in claims]


def read(text: str, listed: Sequence[Claim], seen: Marks) -> tuple[Claim, ...]:
    return weighed(text, listed, seen, TUESDAY)


def listed(text: str, kind: Kind, value: str, words: str) -> Claim:
    start = text.index(words)
    return Claim(kind, value, start, start + len(words))


FACTS: list[tuple[Kind, str]] = [
    ("met", "third_party_spouse"),
    ("absent", "debtor"),
    ("delivery", "mailbox"),
    ("dispute", "paid"),
    ("conduct", "identity_shown"),
    ("debt", "confirmed"),
    ("outcome", "refused"),
]


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize(("kind", "value"), FACTS)
def test_a_fact_is_read_where_the_tagger_is_sure_enough_of_it(
    kind: Kind, value: str, is_listed: bool
) -> None:
    text, mark = "甲乙丙丁。", kind if kind in LONE_VALUES else f"{kind}__{value}"
    own = [listed(text, kind, value.replace("third_party_", "third_party:"), "乙丙")] if is_listed else []
    bar = BARS[kind]

    sure = read(text, own, marks(text, **{mark: ("乙丙", bar + A_LITTLE)}))
    unsure = read(text, own, marks(text, **{mark: ("乙丙", bar - A_LITTLE)}))

    assert [(one.kind, one.words(text)) for one in sure] == [(kind, "乙丙")]
    assert unsure == ()


def test_a_debtor_is_there_or_away_whichever_is_likelier() -> None:
    text = "本人不在。"

    away = marks(text, met__debtor=("本人", 0.9), absent=("不在", 0.97))
    there = marks(text, met__debtor=("本人", 0.98), absent=("不在", 0.97))

    assert told(read(text, (), away)) == ["absent=debtor"]
    assert told(read(text, (), there)) == ["met=debtor"]


@pytest.mark.parametrize(("again", "start"), [(0.99, 5), (0.95, 1), (0.9, 1)])
def test_a_fact_is_told_once_where_it_is_likeliest_or_else_first(again: float, start: int) -> None:
    text = "他妻开门。妻说不知。"
    seen = marks(text, met__third_party_spouse=("妻", 0.95))
    seen.likely["met"][text.rindex("妻")] = again

    (claim,) = read(text, (), seen)

    assert (claim.value, claim.start) == ("third_party:spouse", start)


@pytest.mark.parametrize("kind", ["arrived", "left", "time"])
def test_the_minute_is_the_grammars_and_its_part_in_the_visit_the_taggers(kind: Kind) -> None:
    text = "本人在家，10:05。"
    own = listed(text, "time", "10:05", "10:05")

    weighted = read(text, (own,), marks(text, **{kind: ("10:05", BARS[kind] + A_LITTLE)}))

    assert told(weighted) == [f"{kind}=10:05"]


def test_a_clock_time_that_nobody_takes_for_one_is_silence() -> None:
    text = "比分10:05。"
    own = listed(text, "time", "10:05", "10:05")

    assert read(text, (own,), marks(text)) == ()


def test_a_time_that_the_lists_overlook_is_read_by_its_grammar_where_the_tagger_sees_one() -> None:
    text = "甲，下午三点半。"

    assert told(read(text, (), marks(text, left=("下午三点半", 0.95)))) == ["left=15:30"]


@pytest.mark.parametrize("words", ["两千多", "将近三万", "三百到五百"])
def test_an_open_sum_stays_open_however_sure_the_tagger_is(words: str) -> None:
    text = f"甲借{words}元。"

    assert read(text, (), marks(text, amount=(words, 0.99))) == ()


def a_promise(text: str, *words: str, amount: str = "两千元", due: str = "月底") -> list[str]:
    """The promises that are read where only the tagger sees one, of this sum until this day."""
    values = tuple(one for one in read_narrative(text, TUESDAY) if one.kind in ("amount", "date"))
    return the_promises(text, values, *words, amount=amount, due=due)


def the_promises(
    text: str, listed: Sequence[Claim], *words: str, amount: str | None = None, due: str | None = None
) -> list[str]:
    """The promises that are read where the tagger sees these words, this sum and this day of one."""
    seen = marks(text, amount=("元", 0.95))
    for kind, said in (("amount", amount), ("date", due)):
        if said is None:
            continue
        start = text.index(said)
        for mark in (kind, f"promised_{kind}"):
            seen.likely[mark][start : start + len(said)] = 0.95
    for word in words:
        start = text.index(word)
        seen.likely["promise"][start : start + len(word)] = 0.95
    return [one.value for one in read(text, listed, seen) if one.kind == "promise"]


def test_a_promise_that_only_the_tagger_sees_names_the_sum_and_day_of_its_sentence() -> None:
    assert a_promise("欠三万元。他点头，月底给两千元。剩的八千元再讲。", "给") == ["200000@2026-11-30"]


def test_what_is_promised_is_the_taggers_word_before_the_lists() -> None:
    text = "他应承，上回的八千元不算，月底给两千元。"
    own = (*read_narrative(text, TUESDAY), listed(text, "promise", "800000@2026-11-30", "应承"))

    assert the_promises(text, own, "应承", amount="两千元", due="月底") == ["200000@2026-11-30"]


def test_where_the_tagger_sees_a_promise_but_not_what_it_names_it_is_the_lists_word() -> None:
    text = "他应承，月底给两千元。"
    own = (listed(text, "promise", "200000@2026-11-30", "应承"),)

    assert the_promises(text, own, "应承") == ["200000@2026-11-30"]
    assert the_promises(text, own) == []


def test_two_words_that_promise_one_sum_are_one_promise() -> None:
    assert a_promise("他应承，月底给两千元。", "应承", "给") == ["200000@2026-11-30"]


def promised_parts(text: str, *words: str, **likely: float) -> list[str]:
    """The promises that these words make of the sums and days of a text, each as likely promised as told."""
    values = tuple(one for one in read_narrative(text, TUESDAY) if one.kind in ("amount", "date"))
    seen = marks(text)
    for one in values:
        seen.likely[one.kind][one.start : one.end] = 0.95
        seen.likely[f"promised_{one.kind}"][one.start : one.end] = likely.get(one.kind, 0.95)
    for word in words:
        start = text.index(word)
        seen.likely["promise"][start : start + len(word)] = 0.95
    return [one.value for one in read(text, values, seen) if one.kind == "promise"]


def test_a_word_that_promises_but_a_day_and_the_next_that_promises_but_a_sum_promise_one_thing() -> None:
    text = "说好12月5号前后，他自己讲一定想办法凑给2000元，12月31号再给1000元。"

    assert promised_parts(text, "说好", "凑给", "再给") == ["200000@2026-12-05", "100000@2026-12-31"]


@pytest.mark.parametrize(("likely", "value"), [(0.15, "200000@2026-12-20"), (0.05, "200000@-")])
def test_what_a_promise_lacks_is_the_only_day_of_its_sentence_where_that_is_a_little_likely(
    likely: float, value: str
) -> None:
    assert promised_parts("12月20日发薪，给2000元。", "给", date=likely) == [value]


def test_a_little_likely_is_not_enough_where_two_days_are_named() -> None:
    assert promised_parts("12月1日来过，12月20日发薪，给2000元。", "给", date=0.15) == ["200000@-"]


@pytest.mark.parametrize("then", ["到时", "那天", "当天就"])
def test_a_day_of_which_a_promise_says_then_is_the_promised_one(then: str) -> None:
    assert promised_parts(f"12月20日发薪，{then}给2000元。", "给", date=0) == ["200000@2026-12-20"]


@pytest.mark.parametrize(
    ("likely", "values"), [(0.95, ["2027-02-05", "200000@2027-02-05"]), (0.0, ["200000@-"])]
)
def test_a_festival_is_a_day_where_somebody_promises_to_pay_on_it(likely: float, values: list[str]) -> None:
    text = "除夕给2000元。"
    own = [one for one in read_narrative(text, TUESDAY) if one.kind in ("amount", "date")]
    seen = marks(text, promise=("给", 0.95))
    for one in own:
        seen.likely[one.kind][one.start : one.end] = 0.95
        seen.likely[f"promised_{one.kind}"][one.start : one.end] = 0.95 if one.kind == "amount" else likely

    assert [one.value for one in read(text, own, seen) if one.kind != "amount"] == values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0915登楼。", "09:15"),
        ("1036：通话。", "10:36"),
        ("8.45才到。", "08:45|20:45"),
        ("约了两点。", "02:00|14:00"),
    ],
)
def test_bare_figures_are_a_clock_time_where_the_tagger_sees_one(text: str, value: str) -> None:
    words = text[:4] if text[0].isdigit() else "两点"

    assert told(read(text, (), marks(text, time=(words, 0.95)))) == [f"time={value}"]
    assert read(text, (), marks(text)) == ()


@pytest.mark.parametrize(
    ("text", "words", "due"),
    [
        ("讲好了，这月28他给两千元。", "28", "2026-11-28"),
        ("写了12.20，给两千元。", "12.20", "2026-12-20"),
        ("写了二十五，给两千元。", "二十五", "2026-11-25"),
        ("12月15号、25，给两千元。", "25", "2026-12-25"),
        ("12月25号、15，给两千元。", "15", "2027-01-15"),
        ("欠20、25，给两千元。", "25", "2026-11-25"),
        ("12月5号不行，28、30，给两千元。", "30", "2026-11-30"),
    ],
)
def test_a_day_without_its_word_is_one_where_the_tagger_sees_it_promised(
    text: str, words: str, due: str
) -> None:
    listed_values = tuple(one for one in read_narrative(text, TUESDAY) if one.kind in ("amount", "date"))
    seen = marks(text, date=(words, 0.95), promise=("给", 0.95))
    seen.likely["promised_date"][text.index(words) : text.index(words) + len(words)] = 0.95
    seen.likely["promised_amount"][text.index("两千") : text.index("两千") + 3] = 0.95
    seen.likely["amount"][text.index("两千") : text.index("两千") + 3] = 0.95

    assert f"promise=200000@{due}" in told(read(text, listed_values, seen))
    assert f"date={due}" not in told(read(text, listed_values, marks(text)))


def test_a_question_promises_nothing() -> None:
    assert a_promise("月底给两千元？做梦。", "给") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("月底给两千元？做梦。", "200000@2026-11-30"),
        ("11月20日给两千元，一直没入。", "200000@2026-11-20"),
    ],
)
def test_what_was_asked_or_is_past_is_no_promise_though_the_lists_read_one(text: str, value: str) -> None:
    assert the_promises(text, (listed(text, "promise", value, "给"),), "给") == []


def test_what_goes_together_is_the_lists_word_where_they_name_all_that_is_promised() -> None:
    text = "儿子答应12月4日替父还1500元，女儿答应12月9日再还500元。"
    values = tuple(one for one in read_narrative(text, TUESDAY) if one.kind in ("amount", "date"))
    seen = marks(text, amount=("1500元", 0.95))
    for one in values:
        for mark in (one.kind, f"promised_{one.kind}"):
            seen.likely[mark][one.start : one.end] = 0.95
    for word in ("替父还", "再还"):
        start = text.index(word)
        seen.likely["promise"][start : start + len(word)] = 0.95

    promises = [one.value for one in read(text, read_narrative(text, TUESDAY), seen) if one.kind == "promise"]

    assert promises == ["150000@2026-12-04", "50000@2026-12-09"]


def test_what_should_have_been_paid_before_the_visit_is_no_promise_of_it() -> None:
    assert a_promise("11月20日给两千元，一直没入。", "给", due="11月20日") == []


@pytest.mark.parametrize(("words", "is_about"), [("大概八千", True), ("八千左右", True), ("八千", False)])
def test_a_sum_that_only_the_tagger_sees_keeps_its_about(words: str, is_about: bool) -> None:
    text = f"甲{words}。"

    (claim,) = read(text, (), marks(text, amount=("八千", 0.99)))

    assert (claim.value, claim.is_approximate) == ("800000", is_about)


def test_a_number_of_times_is_no_sum_however_sure_the_tagger_is() -> None:
    text = "说了八百遍。"

    assert read(text, (), marks(text, amount=("八百", 0.99))) == ()


@pytest.mark.parametrize("text", ["手机13800138000。", "合同号20210001。", "欠了上万。", "尾号6688。"])
def test_the_number_of_a_contract_a_phone_or_a_card_is_no_sum_however_sure_the_tagger_is(text: str) -> None:
    assert read(text, (), marks(text, amount=(text[2:-1], 0.99))) == ()


def test_a_promise_without_any_sum_or_day_is_none() -> None:
    text = "他答应过几天给。"

    assert read(text, (), marks(text, promise=("答应", 0.99))) == ()


def test_a_clients_own_phrase_is_read_whatever_the_tagger_thinks() -> None:
    added = (AddedWords("1", "a client's", "7", TUESDAY, claim="delivery/mailbox", words=("照章处置",)),)
    text = "照章处置。"

    assert told(read_account(text, TUESDAY)) == []
    assert told(read_account(text, TUESDAY, added)) == ["delivery=mailbox"]
    assert told(read_account("信投入信箱。照章处置。", TUESDAY, added)) == ["delivery=mailbox"]


def test_a_clients_own_phrase_is_its_own_where_the_lists_read_it_too() -> None:
    added = (AddedWords("1", "a client's", "7", TUESDAY, claim="delivery/mailbox", words=("投入信箱",)),)
    text = "信投入信箱。"

    assert told(read_narrative(text, TUESDAY)) == ["delivery=mailbox"]
    assert told(added_claims(text, added)) == ["delivery=mailbox"]
    assert told(read_account(text, TUESDAY, added)) == ["delivery=mailbox"]


@pytest.mark.parametrize("text", ["", " ", "\n", "。", "🙂", "x" * 30, "他" * 3000, "\x00"])
def test_any_text_is_read_and_each_claim_lies_in_it(text: str) -> None:
    assert all(0 <= one.start < one.end <= len(text) for one in read_account(text, TUESDAY))


def test_what_is_said_plainly_is_read_as_a_person_reads_it() -> None:
    text = "14:20到，其母开门，说儿子去广东打工了。函交其母转交，她签了字。14:35离开。"

    assert told(read_account(text, TUESDAY)) == [
        "arrived=14:20",
        "met=third_party:parent",
        "absent=debtor",
        "delivery=handed_to_third_party",
        "delivery=signed",
        "left=14:35",
    ]


def test_what_stands_in_a_later_portion_is_read_at_its_place() -> None:
    text = "天气很好。" * 500 + "其妻开门，称本人外出打工。"

    (wife,) = (one for one in read_account(text, TUESDAY) if one.kind == "met")

    assert (wife.value, text[wife.start :].lstrip("其")) == ("third_party:spouse", "妻开门，称本人外出打工。")
