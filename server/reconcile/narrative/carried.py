"""What does a short clause say of what its neighbour names: yes, no, shown, told?

全程录音，开头就讲过 is one act in two clauses; “账单46,200元对不对？”“对” is one answer.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import is_supposed, negations
from server.reconcile.narrative.deliveries import WISHED
from server.reconcile.narrative.voices import Voiced
from server.reconcile.narrative.words import pattern

_YES: Final = re.compile(
    r"\s*(?:他|她)?(?:点头)?[说讲答]?(?:嗯|哦|是|唉|哎)*(?:对(?:的|头|呢|啊|嘛|着呢)*(?:对的?)*|没错|错不了"
    "|差不离|差不多|属实|是这么多|是这个数|欠(?:了|着|的|噻|嘛)*|认(?:的|噻|嘛|了)*|没问题|没(?:话|得)说(?:的)?"
    r"|没(?:什么|啥|得)?(?:意见|异议|二话|好说|可说|话说)(?:的)?|无话可说|无异议|是我的|清楚的?|知道的?|晓得的?|记得的?)[吧啊呀呢嘛噻]*\s*"
)
_SURE: Final = re.compile(rf"[^，。没无不]{{0,6}}(?:{pattern(['<certain>'])})[了的呢啊嘛]?\s*")
_OF_CARD_HOLDER: Final = re.compile("持卡人|卡主")
# A nod or no more than 是 says yes to what was asked last, and that may be anything.
_BARE_YES: Final = re.compile(
    r"\s*(?:他|她|债务人|持卡人|客户|对方)?(?:(?:也|就|都|只|直|连连)*点(?:了)?点?头|(?:就)?[说讲答回称](?:了句|了声)?是[的啊呀嘛]{0,2}|是[的啊呀嘛]{0,2})\s*"
)
_NOT_TO_DEBT: Final = re.compile(
    "还款|[先能再]还|还多少|[签录拿垫凑]|号|月|同意|证|本人|姓|住|地址|电话|单位|持卡人"
)
BARELY_WITHIN: Final = 2  # clauses
_SETTLED: Final = re.compile("[结还付]清|还完|销户")
_OF_DEBT: Final = re.compile("账|卡|欠|[万千百]|\\d{3}|元|本金|金额|数")
# What a clause may only name, and the words of its neighbour that say what became of it.
_TOPICS: Final = {
    "identity_shown": (
        re.compile(pattern(["<badge>"])),
        re.compile(pattern(["<shown>", "<show>", "<let_see>"])),
    ),
    "recording_announced": (re.compile(pattern(["<record>"])), re.compile(pattern(["<tell>"]))),
    "purpose_stated": (
        re.compile(pattern(["<what_for>"])),
        re.compile(pattern(["<said_out>"])),
    ),
}
_TELLS: Final = re.compile(
    f"(?:{pattern(['<tell>'])})(?:了|过|一声|一句|一下|好|清楚|在先|他|她|对方|债务人|持卡人|客户){{0,3}}$"
)
_RECORDING: Final = re.compile(
    "(?:会|要|在|需|将|开着?|全程|现场|有|正)[^，。；没不]{0,4}(?:录音|录像|录着|录)"
)
_WE_RECORD: Final = re.compile(
    "(?:我们?|咱们?)?(?:这边|这里|这儿|这次|这回|这|现场|今天|全程|本次|整个|谈话|对话|交流|过程|都|是|得|需要|跟您说|提醒您|按规定|按要求|规定)+[^，。；没不也]{0,3}(?:录着|在录|有录|会录|要录|录音|录像)"
)
# What else may be shown, told, or who else may record.
_ANOTHER_THING: Final = re.compile(
    f"(?:{pattern(['<paper>'])})|账单|明细|短信|流水|截图|凭证|病历|先关|关了|关掉|停录|录我|[他她]也?[要在]?录|身份证(?!明)|补[说讲戴报亮]|说话|开口"
)
_TOLD_TO: Final = re.compile("[跟和同对向给与让请](?:债务人|持卡人|客户|对方|借款人|其)")
_TO_THEM: Final = re.compile("(?:[跟和同对向]|告诉|提醒|告知)[您你]")
_ASKED_FOR: Final = re.compile("要求|下次|准备|打算|上次|须|应当")
_IDLE: Final = re.compile("问我们?|[他她]问|要求我")
_THEY: Final = re.compile(r"\s*(?:他|她|对方|人家)")
CARRIED_WITHIN: Final = 16  # characters
REPLIES_WITHIN: Final = 3  # clauses
_SUM_TOPIC: Final = re.compile(
    rf"\s*(?:对|关于|至于|说到|讲到)?(?:{pattern(['<interest>', '<sums>'])})(?:部分|方面|这块|嘛|呢)?\s*"
)
_DOUBT: Final = re.compile(
    r"\s*(?:他|她|就|却|则)?(?:不对|不认|不服|有问题|有异议|有出入|对不上|太高|太多|离谱|乱来|算错)"
)
_NO_DOUBT: Final = re.compile(
    rf"\s*(?:他|她|就|也|都|倒|则|点头|[说讲答称])*(?:{pattern(['<no_doubt>'])})[的了呢啊]?\s*"
)


def carried_in(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    """Find what a short clause says of the card, the recording or the sum that its neighbour only names.

    全程录音，开头就讲过; 他要看证件，给他看了; 先跟他讲好，这边要录音.
    """
    yield from _replies(clauses)
    yield from _in_our_words(clauses)
    for before, one in pairwise(clauses):
        if before.clause.sentence != one.clause.sentence or one.clause.is_question:
            continue
        yield from _said_of_topic(before, one)
        yield from _topic_of_said(before, one)
        yield from _said_of_sum(before, one)


def _in_our_words(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    for one in clauses:
        is_ours = one.clause.is_quoted and one.voice in ("us", "unknown") and not one.clause.is_question
        if is_ours and (found := _WE_RECORD.match(one.clause.text)):
            yield Claim("conduct", "recording_announced", one.clause.start, one.clause.start + found.end())


def _said_of_sum(before: Voiced, one: Voiced) -> Iterator[Claim]:
    """Find the answer to a sum that stands alone before it: 本金，对的；利息，不对."""
    if not _SUM_TOPIC.fullmatch(before.clause.text) or one.voice == "us":
        return
    if _DOUBT.match(one.clause.text):
        yield Claim("dispute", "amount", one.clause.start, one.clause.end)
    elif _NO_DOUBT.fullmatch(one.clause.text):
        yield Claim("debt", "confirmed", one.clause.start, one.clause.end)


def _said_of_topic(before: Voiced, one: Voiced) -> Iterator[Claim]:
    text = one.clause.text
    is_anothers = one.names_subject and one.voice != "us" and not _TOLD_TO.search(text)
    is_theirs = one.clause.is_quoted or is_anothers or _THEY.match(text)
    if is_theirs or len(text) > CARRIED_WITHIN or _ANOTHER_THING.search(before.clause.text + text):
        return
    for value, (topic, acts) in _TOPICS.items():
        done = [] if topic.search(text) else list(acts.finditer(text))
        if not done or not topic.search(before.clause.text) or _IDLE.search(before.clause.text):
            continue
        if WISHED.search(text, 0, done[-1].start()) or is_supposed(text):
            continue
        turns = negations(text[: done[-1].start()])
        found = value if turns == 0 else f"not_{value}"
        yield Claim("conduct", found, one.clause.start, one.clause.end)


def _topic_of_said(before: Voiced, one: Voiced) -> Iterator[Claim]:
    text = one.clause.text
    if not _TELLS.search(before.clause.text) or _ours_in_doubt(before) or len(text) > CARRIED_WITHIN:
        return
    topic = _RECORDING.search(text)
    if topic and not negations(before.clause.text) and not negations(text[: topic.start()]):
        yield Claim("conduct", "recording_announced", one.clause.start, one.clause.end)


def _ours_in_doubt(one: Voiced) -> bool:
    """Whether a clause may tell of what somebody else says or asks for."""
    text = one.clause.text
    is_answer = one.clause.is_quoted and not _TO_THEM.search(text)
    return one.voice not in ("us", "unknown") or is_answer or bool(_ASKED_FOR.search(text))


def _replies(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    """Find the bare yes to a sum or a debt that was spoken of right before: “账单46,200元对不对？”“对”."""
    for place, one in enumerate(clauses):
        before = clauses[max(0, place - REPLIES_WITHIN) : place]
        is_theirs = one.voice == "debtor" or (one.clause.is_quoted and _is_answer(one, before))
        if not before or not is_theirs or one.clause.is_question or not _is_yes(one.clause.text, before):
            continue
        asked = _OF_CARD_HOLDER.sub("", "".join(other.clause.text for other in before))
        if _OF_DEBT.search(asked) and not _SETTLED.search(asked):
            yield Claim("debt", "confirmed", one.clause.start, one.clause.end)


def _is_answer(one: Voiced, before: Sequence[Voiced]) -> bool:
    """Whether a quotation of nobody's follows right on a question about a debt."""
    is_asked = bool(before) and before[-1].clause.is_question and before[-1].clause.is_quoted
    return one.voice == "unknown" and is_asked and _OF_DEBT.search(before[-1].clause.text) is not None


def _is_yes(text: str, before: Sequence[Voiced]) -> bool:
    if any(one_of.fullmatch(text) for one_of in (_YES, _SURE, _NO_DOUBT)):
        return True
    nearest = "".join(other.clause.text for other in before[-BARELY_WITHIN:])
    return _BARE_YES.fullmatch(text) is not None and _NOT_TO_DEBT.search(nearest) is None
