"""What a letter may not say or show, and the innocent sentences beside it."""

import pytest

from server.letters.lint import library, lint, topics
from server.rules.catalogue import quotation_of
from tests.letters.builders import PHONE

FORBIDDEN = [
    ("您这个无赖", "H17", "无赖"),
    ("您恶意拖欠款项", "H17", "恶意拖欠"),
    ("您显然不愿还款", "H17", "显然"),
    ("依据《刑法》有关规定", "B21", "刑法"),
    ("依据刑　法有关规定", "B21", "刑法"),
    ("我们将报 警处理", "B21", "报警"),
    ("涉嫌信用卡诈骗", "B21", "信用卡诈骗"),
    ("移送公安机关", "B36", "公安"),
    ("将向法院提交材料", "B36", "法院"),
    ("列为失信被执行人", "B19", "失信被执行人"),
    ("逾期不还，后果自负", "B30", "后果自负"),
    ("我们会联系您的家人", "B30", "联系您的家人"),
    ("随附律师函一份", "B31", "律师函"),
    ("本院通知您", "B12", "本院"),
    ("本月还款可减免利息", "B13", "减免"),
    ("请将现金交给来访人员", "B15", "现金交"),
    ("欠款应由家属偿还", "B28", "由家属偿还"),
    ("《中华人民共和国民法典》第六百七十五条规定", "B17", "《中华人民共和国民法典》第六百七十五条"),
    ("卡号6222021234567890", "H3", "6222021234567890"),
    ("卡号6222 0212 3456 7890", "H3", "6222 0212 3456 7890"),
    ("卡号６２２２０２１２３４５６７８９０", "H3", "６２２２０２１２３４５６７８９０"),
    ("身份证11010119900307001X", "H3", "11010119900307001X"),
    ("编号12345678", "H3", "12345678"),
    ("卡号6222********7890", "H3", "********7890"),
    ("卡片尾号7890", "H3", "尾号7890"),
    ("请联系13812345678", "I1", "13812345678"),
    ("请联系138-1234-5678", "I1", "138-1234-5678"),
]


@pytest.mark.parametrize(("text", "rule", "words"), FORBIDDEN)
def test_forbidden_places_are_found_with_rule_words_and_quotation(text: str, rule: str, words: str) -> None:
    hits = lint(text, kind="notice", known=[PHONE])

    assert [(hit.rule, hit.text) for hit in hits] == [(rule, words)]
    assert hits[0].quotation == quotation_of(rule) and hits[0].advice


@pytest.mark.parametrize(
    "text",
    [
        "依法维护双方的合法权益。",
        "如有异议，可通过法律途径解决。",
        "您的账户已逾期，请核对。",
        "谨防骗子，请只向官方渠道还款。",
        "截至2026-11-24 10:00，尚欠12,345.00元。",
        "截至2026年11月24日，尚欠¥1234567890.00。",
        "尚欠123456789.00元。",
        "编号1234567",
        "卡号6222 **** **** ****",
        "卡号****",
        f"电话{PHONE}",
        "逾期可能影响您的个人信用。",
        *library(),
    ],
)
def test_innocent_sentences_pass(text: str) -> None:
    assert lint(text, kind="notice", known=[PHONE]) == ()


def test_a_library_sentence_that_was_altered_is_no_quotation() -> None:
    altered = library()[0].replace("全面履行", "立即履行")

    assert [hit.rule for hit in lint(altered, kind="notice")] == ["B17"]


def test_a_span_points_into_the_text_as_given() -> None:
    text = "依据刑　法规定"

    (hit,) = lint(text, kind="notice")

    assert text[hit.start : hit.end] == "刑　法"


def test_every_number_is_hidden_that_is_not_known_and_a_known_one_is_not_a_part_of_another() -> None:
    assert lint("编号20260001", kind="notice", known=["20260001"]) == ()
    assert [hit.text for hit in lint("编号202600019", kind="notice", known=["20260001"])] == ["202600019"]


@pytest.mark.parametrize("word", ["欠款", "信用卡", "持卡人", "逾期", "催收", "100元"])
def test_only_a_slip_may_not_name_what_it_is_about(word: str) -> None:
    assert {hit.rule for hit in lint(f"关于{word}", kind="callback_slip")} == {"H7"}
    assert lint(f"关于{word}", kind="notice") == ()


@pytest.mark.parametrize(
    ("phone", "rules"), [(PHONE, []), ("13812345678", ["I1"]), ("+86 138 1234 5678", ["I1"])]
)
def test_the_agencys_phone_is_nobodys_mobile(phone: str, rules: list[str]) -> None:
    assert [hit.rule for hit in lint(phone, kind="notice", is_contact=True)] == rules


@pytest.mark.parametrize("topic", topics(), ids=lambda topic: topic.slug)
def test_every_word_of_the_lexicon_is_found_alone(topic) -> None:
    kind = topic.kinds[0] if topic.kinds else "notice"
    missed = [word for word in topic.words if not lint(f"甲{word}乙", kind=kind)]

    assert missed == []
