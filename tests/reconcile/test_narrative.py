"""Who was met and what was done and said, as a narrative claims it, and what it leaves open."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.reconcile.narrative import Kind, read_narrative
from server.reconcile.narrative.amounts import SUM
from server.reconcile.narrative.clauses import MOST_IN_A_CLAUSE, clauses_of
from server.reconcile.narrative.naming import named
from server.reconcile.narrative.spelling import SLIPS, plain
from server.reconcile.narrative.times import TIME
from server.reconcile.narrative.words import CLASSES
from tests.reconcile.reading import TUESDAY, told


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("债务人承诺12月5日还5000元", "500000@2026-12-05"),
        ("债务人说明天打五千块", "500000@2026-11-25"),
        ("债务人保证下周三之前还清", "-@2026-12-02"),
        ("债务人愿意每月还1000元", "100000@-"),
        ("持卡人：下周三，5000，承诺。", "500000@2026-12-02"),
        ("七天内还1300元，债务人口头同意。", "130000@2026-12-01"),
        ("债务人一句“明天打三百过去”就关门", "30000@2026-11-25"),
        ("债务人说要等12月1号发奖金。到时付一千五", "150000@2026-12-01"),
        ("12月3日他哥给债务人三千，到时候全数存进去", "300000@2026-12-03"),
        ("谈拢：12月10日先来3000", "300000@2026-12-10"),
        ("上回不是说了15号吗？债务人说12月15日给一千", "100000@2026-12-15"),
        ("四万一的账，债务人说12月5日还4000", "400000@2026-12-05"),
    ],
)
def test_a_promise_has_its_sum_and_its_day(text: str, value: str) -> None:
    assert told(text, "promise") == [value]


@pytest.mark.parametrize(
    "text",
    [
        "我们要求其月底前还清18,000元",
        "债务人称如果能减免利息就一次还2万",
        "上次答应15号还2000元",
        "我方建议1月10日前还3000元，债务人没有答应",
        "债务人不承诺任何还款时间",
        "债务人希望3月底再还",
        "债务人说已在12月20日还了500元",
        "告诉债务人最迟12月10日要还860元",
        "债务人说12月10日要么还2000，要么还3000",
        "债务人说12月10日还两千。没说死。",
        "债务人12月3日拿两千工资",
        "起先说12月10日还1000，今天改口了",
        "能不能12月10日还1000？债务人不吭声",
    ],
)
def test_what_is_asked_supposed_past_or_wished_is_no_promise(text: str) -> None:
    assert told(text, "promise") == []


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("债务人本人开门", ["debtor"]),
        ("家中无人", ["nobody"]),
        ("其妻子开门，称本人不在家", ["third_party:spouse"]),
        ("敲门无人应，邻居说搬走了", ["nobody", "third_party:neighbour"]),
        ("担保人在家", ["liable_person"]),
        ("债务人说妻子上班去了", ["debtor"]),
        ("到债务人住处，找债务人本人", []),
        ("债务人的父亲住院", []),
        ("邻居称白天家里都没人", ["third_party:neighbour"]),
        ("电话里债务人说在外地", []),
        ("债务人称邻居都知道他欠钱", ["debtor"]),
    ],
)
def test_who_takes_part_was_met_and_who_is_talked_about_was_not(text: str, values: list[str]) -> None:
    assert told(text, "met") == values


@pytest.mark.parametrize(
    ("text", "is_away"),
    [
        ("其母称儿子出差了", True),
        ("未见到债务人", True),
        ("债务人否认自己不在家", False),
        ("债务人的父亲住院，债务人在陪护", False),
        ("债务人不在，不对，是在的", False),
        ("据邻居反映，债务人欠了不少钱，早就跑没影了", True),
        ("邻居说不认识，债务人自己开了门，早上刚回来", False),
        ("到点再去，人又不见了", True),
        ("人在走廊谈的", False),
        ("打电话过去，他说人在上海", True),
        ("债务人说朋友在上海，电话打不通", False),
        ("问其父人在哪，答在昆山", True),
        ("问其父人在哪，答在洗澡", False),
        ("站长说他请了病假", True),
        ("站长说自己请了病假", False),
        ("保安说他在车间，叫出来谈的", False),
        ("其妻说他在厂里，晚上才回来", True),
        ("母亲开门，债务人本人上山砍柴了", True),
        ("母亲开门，债务人本人上楼拿证件去了", False),
        ("妻子说他刚出门，正等着，债务人回来了", True),
        ("保安翻了考勤，说人今天没打卡", True),
        ("隔壁讲这屋空了大半年", True),
        ("班长说他请了三天事假", True),
        ("债务人请假在家办丧事", False),
        ("婆婆开门，债务人下地干活", True),
        ("婆婆开门，债务人下地刚回来", False),
        ("邻居问他家在几楼，没说", False),
        ("给他打电话，他说他在外地学习", True),
        ("妻子说他昨晚夜班，在补觉", False),
        ("哥哥说弟弟犯事进去了", True),
        ("问旁边人，说全家去海南过冬了", True),
        ("打听了一圈，都说他跑了", True),
        ("妻子说他在气头上，别理他", False),
        ("债务人都说他没钱了，跑了一趟白跑", False),
    ],
)
def test_only_the_debtor_is_absent(text: str, is_away: bool) -> None:
    assert bool(told(text, "absent")) is is_away


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("将函件投入信箱", "delivery", ["mailbox"]),
        ("从门缝塞入", "delivery", ["under_door"]),
        ("通知书交给债务人", "delivery", ["handed_to_debtor"]),
        ("密封信交由其妻子转交，妻子确认同住", "delivery", ["handed_to_third_party"]),
        ("同事把通知贴在门上", "delivery", ["posted"]),
        ("债务人签收通知书", "delivery", ["signed"]),
        ("债务人不签字", "delivery", ["unsigned"]),
        ("债务人拒收通知书", "delivery", ["refused"]),
        ("债务人给现金，我方拒收", "delivery", []),
        ("没有把信投进信箱", "delivery", []),
        ("门上贴了别家的催收单", "delivery", []),
        ("要求债务人签收", "delivery", []),
        ("出示工作证，告知录音", "conduct", ["identity_shown", "recording_announced"]),
        ("未出示证件", "conduct", ["not_identity_shown"]),
        ("债务人拒绝出示身份证", "conduct", []),
        ("债务人称没办过这张卡", "dispute", ["activation"]),
        ("债务人称非本人操作", "dispute", ["transaction"]),
        ("自称不是债务人", "dispute", ["identity"]),
        ("债务人对金额有异议", "dispute", ["amount"]),
        ("债务人没有对金额提出异议", "dispute", []),
        ("债务人没有否认", "dispute", []),
        ("债务人承认欠款", "debt", ["confirmed"]),
        ("债务人不是不认账", "debt", []),
        ("债务人拒绝还款", "outcome", ["refused"]),
        ("债务人并没有拒绝还款", "outcome", []),
        ("债务人讲“我不还”", "outcome", ["refused"]),
        ("债务人拒绝还违约金", "outcome", []),
        ("债务人把信退给了我们", "delivery", ["refused"]),
        ("债务人把现金退给了我们", "delivery", []),
        ("债务人当场收了函", "delivery", ["handed_to_debtor"]),
        ("其妻收了函", "delivery", ["handed_to_third_party"]),
        ("门卫不让进，信托他转交", "delivery", ["handed_to_third_party"]),
        ("债务人在，信托他转交", "delivery", []),
        ("敲门没人应，出门时证件落在车上", "conduct", ["not_identity_shown"]),
        ("一位老太太应门，自我介绍是债务人母亲", "conduct", []),
        ("前台姑娘说他在开会", "met", ["third_party:colleague"]),
        ("见债务人之弟", "met", ["third_party:sibling"]),
        ("未见债务人之弟", "met", []),
        ("家里住的是一位租客", "met", ["third_party:tenant"]),
        ("保证这个月底也就是30号还五千元", "date", ["2026-11-30"]),
        ("明后天再定时间", "date", []),
        ("债务人说先打600元，下周六到账", "promise", ["60000@2026-12-05"]),
        ("债务人说先打600元，下周六，再打500元", "promise", ["50000@2026-12-05"]),
        ("上午十点进门，十点廿五出门", "left", ["10:25|22:25"]),
    ],
)
def test_acts_disputes_and_manners_are_read_with_what_turns_them_round(
    text: str, kind: Kind, values: list[str]
) -> None:
    assert told(text, kind) == values


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("他要看工作证，取出来给他核对了。", "conduct", ["identity_shown"]),
        ("他要看工作证，我把账单取出来给他核对了。", "conduct", []),
        ("录音是开了，可忘了跟债务人讲。", "conduct", ["not_recording_announced"]),
        ("让先关录音，说关了才谈。", "conduct", []),
        ("“您要录音？”“我正要跟您说，我这里有录音。”", "conduct", ["recording_announced"]),
        ("债务人说：“我这边也要录音。”", "conduct", []),
        ("债务人来了。本金，对的；利息，不对。", "dispute", ["amount"]),
        ("债务人来了。上门，不对。", "dispute", []),
        ("跟债务人核了数，他说对得上。", "debt", ["confirmed"]),
        ("跟债务人约了时间，他说对得上。", "debt", []),
        ("问账对不对，债务人点头。", "debt", ["confirmed"]),
        ("问能不能先还两千，债务人点头。", "debt", []),
        ("债务人说如果银行能证明，他就认。", "debt", []),
        ("债务人说如果能缓缓更好，账他认。", "debt", ["confirmed"]),
        ("“四万二的账对吧？”“对。”", "debt", ["confirmed"]),
        ("问债务人签不签，他摇头。", "delivery", ["unsigned"]),
        ("问债务人吃没吃饭，他摇头。", "delivery", []),
        ("函伸过去，被他一脚踢出来。", "delivery", ["refused"]),
        ("椅子伸过去，被他一脚踢出来。", "delivery", []),
        ("让债务人在送达回证上签字，拒绝。", "delivery", ["unsigned"]),
        ("让债务人在送达回证上签了字。", "delivery", ["signed"]),
    ],
)
def test_a_short_clause_is_read_with_what_its_neighbour_names(
    text: str, kind: Kind, values: list[str]
) -> None:
    assert told(text, kind) == values


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("债务人头也不抬说认账。", "debt", ["confirmed"]),
        ("债务人说不认账。", "debt", []),
        ("明细函债务人看都没看就推回来。", "delivery", ["refused"]),
        ("明细函债务人没推回来。", "delivery", []),
        ("债务人说一万一的本金他没意见。", "debt", ["confirmed"]),
        ("债务人说万一本金对得上再说。", "debt", []),
        ("工作证还没来得及拿出来就借口接电话下楼了。", "conduct", ["not_identity_shown"]),
        ("电话里说明了来意。", "conduct", []),
        ("债务人要拿车抵，我们当场拒绝。", "outcome", []),
        ("我们要他拿车抵，他当场拒绝。", "outcome", ["refused"]),
        ("今儿个搁他家炕头唠了半天。", "delivery", []),
        ("函搁他家炕头，唠了半天。", "delivery", ["left_behind"]),
    ],
)
def test_an_idiom_denies_nothing_and_words_of_others_are_not_the_debtors(
    text: str, kind: Kind, values: list[str]
) -> None:
    assert told(text, kind) == values


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("证件：已示\n录音：忘了提", "conduct", ["identity_shown", "not_recording_announced"]),
        ("录音告知：无", "conduct", ["not_recording_announced"]),
        ("录音告知：是", "conduct", ["recording_announced"]),
        ("签收情况：未签", "delivery", ["unsigned"]),
        ("人员：持卡人、持卡人之母", "met", ["debtor", "third_party:parent"]),
        ("结论：承诺还款\n金额：3,200元\n日期：12月5日", "promise", ["320000@2026-12-05"]),
        ("是否出示证件：", "conduct", []),
        ("金额：3,200元\n日期：12月5日", "promise", []),
    ],
)
def test_a_form_is_read_with_what_it_asks(text: str, kind: Kind, values: list[str]) -> None:
    assert told(text, kind) == values


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("敲门，她开门说欠款她认。", "met", ["debtor"]),
        ("他妈开门，她说不知道。", "met", ["third_party:parent"]),
        ("问了路边修车师傅，他也不知道。", "met", ["third_party:other"]),
        ("债务人在家，把催收函给他，他收了。", "delivery", ["handed_to_debtor"]),
        ("他妈开门，把信交给她。", "delivery", ["handed_to_third_party"]),
        ("函件递给他，他不接。", "delivery", ["refused"]),
        ("把信放在她桌角。", "delivery", ["left_behind"]),
        ("老太太开门，说儿子出差了。", "met", ["third_party:parent"]),
        ("阿姨开门，说账是对的，欠着。", "met", ["debtor"]),
        ("一名男子应门，说我们找错人了。", "met", []),
        ("其母开门，儿子从里屋出来，说10号还500。", "met", ["third_party:parent", "debtor"]),
        ("我和师傅上楼，师傅出示了证件。", "met", []),
        ("他姐夫开门，里屋有人喊不在，债务人自己走了出来。", "absent", []),
        ("父亲在家，父亲知道儿子欠银行钱。", "debt", []),
    ],
)
def test_a_pronoun_and_a_word_of_kin_are_whoever_they_stand_for(
    text: str, kind: Kind, values: list[str]
) -> None:
    assert told(text, kind) == values


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("佢話條數係我欠嘅，我認", "debt", "confirmed"),
        ("債務人簽收", "delivery", "signed"),
        ("封信交咗畀佢阿妈", "delivery", "handed_to_third_party"),
        ("路音的事也跟他说了", "conduct", "recording_announced"),
        ("五人应门", "met", "nobody"),
    ],
)
def test_dialect_traditional_characters_and_slips_of_the_keys_are_read(
    text: str, kind: Kind, value: str
) -> None:
    assert value in told(text, kind)


def test_what_never_sets_a_comma_is_cut_so_that_reading_stays_linear() -> None:
    clauses = clauses_of("我" * 5_000)

    assert max(len(one.text) for one in clauses) == MOST_IN_A_CLAUSE
    assert "".join(one.text for one in clauses) == "我" * 5_000


@pytest.mark.parametrize(
    ("wanted", "written"), [(SUM, "500元"), (SUM, "¥ 500"), (TIME, "3点"), (TIME, "上午 3点")]
)
def test_sums_and_times_begin_with_their_first_sign_so_that_blanks_are_not_tried_again_and_again(
    wanted: re.Pattern[str], written: str
) -> None:
    found = wanted.search(" " * 50 + written)

    assert found is not None and found.start() == 50


def test_a_slip_is_as_wide_as_the_word_it_stands_for() -> None:
    assert {written: read for written, read in SLIPS.items() if len(written) != len(read)} == {}


@given(st.text(max_size=60) | st.sampled_from([*SLIPS, "我和师傅到的", "其母说儿子在家"]))
def test_every_spelling_and_every_name_keeps_its_place(text: str) -> None:
    assert len(named(plain(text))) == len(text)


def test_every_claim_keeps_its_place_in_the_text_as_it_was_written() -> None:
    text = "下午三点半到达，债务人承诺１２月５日还５０００元。"

    claims = {claim.kind: claim.words(text) for claim in read_narrative(text, TUESDAY)}

    assert claims["arrived"] == "下午三点半"
    assert (claims["date"], claims["amount"]) == ("１２月５日", "５０００元")
    assert claims["promise"] == "承诺１２月５日还５０００元"


PIECES = st.sampled_from(
    list("债务人我们妻子没不未还欠承诺签收到走点半元万千百十两三五号月日周底：，。“”()1290.-/ 　k")
)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=80).map("".join)))
def test_no_text_breaks_the_reader_and_every_claim_lies_within_it(text: str) -> None:
    claims = read_narrative(text, TUESDAY)

    assert all(0 <= claim.start < claim.end <= len(text) for claim in claims)
    assert list(claims) == sorted(claims, key=lambda one: (one.start, one.end, one.kind, one.value))


def test_no_word_of_a_class_is_two() -> None:
    """The reader looks at what a word may begin with: of `a|b` it would see the first only."""
    groups = re.compile(r"\[(?:[^\]\\]|\\.)*\]|\([^()]*\)")

    def outside(word: str) -> str:
        while (bare := groups.sub("", word)) != word:
            word = bare
        return word

    assert [word for words in CLASSES.values() for word in words if "|" in outside(word)] == []
