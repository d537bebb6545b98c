"""What does somebody promise to pay, and until when?

A promise is a verb of paying in the debtor's words (or beside 承诺, 答应, …) with a sum or a day that the
text gives. Asking is not promising, neither is a promise of last time, a wish, or one with an if.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.clauses import is_supposed, negations
from server.reconcile.narrative.voices import Voiced
from server.reconcile.narrative.words import finder, looks_back

_HIDDEN: Final = finder("promise", "not_paying")
_PAYS: Final = finder("promise", "pays")
_CUES: Final = finder("promise", "cues")
_RECEIPT: Final = re.compile("(?:之?以?前)?(?:到账|到帐|到位|入账|入帐)")
_HE_SAYS: Final = re.compile(
    r"\s*(?:他|她|佢|对方|其|人家)?(?:本人|自己|就|也|又|还|口头|当场)*"
    r"(?:说(?!明(?![天年日早晚]))|讲(?!明)|称|表示|答应|承诺|(?<=佢)话)"
)
_INSTALMENT: Final = re.compile(
    "(?:先|再|各|是|为|给|说|就|另外|剩下的?|剩余|其余|余下的?|首期|首笔|第[一二三四][笔次期]|每个?月|每期|之?前|左右|\\s)*"
)
_MUTUAL: Final = re.compile("[与和跟同].*(?:约|说|谈|讲|商|敲|达成)|双方")
_WHOLE: Final = re.compile("全数|全部|全都|都|一起|整笔|这笔")
_AT_HAND: Final = re.compile("[能凑挤拿]|只有|手上|手里|手头|身上|兜里|卡里|最多|先")
_PAID_OFF: Final = re.compile("[清完全]|部分")
AFTER_PAYING: Final = 2  # characters that may stand behind a verb of paying without an object: 还上
_WHEN: Final = re.compile(
    "(?:第一笔|首笔|首期|第一期)?(?:还款)?(?:时间|日期|日|期限|于|在|就是|定在|为|是|之?以?前|左右|到账|去银行|到银行|去柜台|去存|去打|去转|去办|一早|\\s)*"
)
_ENDS: Final = re.compile(r"[。！？\n!?]")
# What is due is not promised: 账单12月5日到期应还5000.
_DUE: Final = re.compile("账单|到期|应还|需还|须还|最低还款额|截止|欠款总|逾期")
# A sentence that says no more than that nothing was settled: 没说死.
_LEFT_OPEN: Final = re.compile(
    r"\s*(?:但|不过|最后|最终|后来|结果|都|也|还|他|她|最后也)*(?:没定(?:下来|死)?|没说死|没敲定|没谈拢|没谈成|没应(?:下来?)?|定不下来|没讲死|没说定|未定|没准)\s*"
)
_TO_WHOM: Final = re.compile("你们|贵行|银行|行里|卡里|卡上|进去|过去|进卡|过来|上去")
_MONTHLY: Final = re.compile(r"每个?月|每月|一个月\s*$|月月|按月")
# The day that was named last is meant: 要等12月1号稿费。到时付1500.
_THEN: Final = re.compile("到时候?(?!看|再|说)|届时|(?:到)?(?:那|当)(?:天|日)(?!的)|到那个?时候")
THEN_WITHIN: Final = 30  # characters
PARTS: Final = ("amount", "date")
_ASKED_IN_FORMS: Final = {
    "amount": re.compile("金额|数额|多少|款额"),
    "date": re.compile("日期|时间|日$|期限|哪天"),
}
NOTHING: Final = "-"
FRAGMENTS: Final = 3  # how many short clauses before a promise may hold its sum


def promises_in(clauses: Sequence[Voiced], values: Sequence[Claim], day: date) -> Iterator[Claim]:
    """Find the promises, statement by statement: what semicolons part is one."""
    ordered = sorted(values, key=lambda one: one.start)
    statement: list[Voiced] = []
    for place, one in enumerate(clauses):
        statement.append(one)
        if _ENDS.search(one.clause.stop):
            behind = clauses[place + 1].clause.text if place + 1 < len(clauses) else ""
            if not _LEFT_OPEN.fullmatch(behind):
                yield from _of_statement(statement, ordered, day)
            statement = []
    yield from _of_statement(statement, ordered, day)
    if any(one.clause.head for one in clauses):
        yield from _filled_in(clauses, ordered, day)


def _filled_in(clauses: Sequence[Voiced], values: Sequence[Claim], day: date) -> Iterator[Claim]:
    """Find what a form asks line by line: 结论：承诺还款, 金额：3200元, 日期：7月31日."""
    promised: Voiced | None = None
    found: dict[str, str] = {}
    for one in clauses:
        parts = {kind: _within(one, values, kind, set()) for kind in PARTS}
        for kind, asked in _ASKED_IN_FORMS.items():
            if len(parts[kind]) == 1 and asked.search(one.clause.head):
                found[kind] = parts[kind][0].value
        is_bare = not any(parts.values()) and not one.clause.is_question
        if promised is None and is_bare and _cue(one.clause.text):
            promised, found = one, {}
        if promised and len(found) == len(PARTS) and found["date"] >= day.isoformat():
            yield Claim(
                "promise", f"{found['amount']}@{found['date']}", promised.clause.start, promised.clause.end
            )
            promised, found = None, {}


def _of_statement(clauses: Sequence[Voiced], values: Sequence[Claim], day: date) -> Iterator[Claim]:
    first = bisect_left(values, clauses[0].clause.start, key=lambda value: value.start) if clauses else 0
    if not clauses or first == len(values) or values[first].start >= clauses[-1].clause.end:
        return  # neither a sum nor a day
    has_cue = any(_cue(one.clause.head) or _cue(one.clause.text) for one in clauses)
    is_if = is_he = has_promised = False
    used: set[Claim] = set()
    for place, one in enumerate(clauses):
        text = one.clause.text
        is_if = is_if or is_supposed(text)
        is_he = is_he or _HE_SAYS.match(text) is not None
        cue = _cue(text)
        pay = None if _is_over(one, values, day) else _payment(text)
        if is_if or one.clause.is_question or _is_no_promise(one, pay):
            continue
        is_spoken = has_cue or is_he or one.voice in ("debtor", "other") or one.clause.is_quoted
        if pay is None and cue is None:
            bare = clauses[place : place + 2]
            amount, due = _instalment(bare, values, used, day) if has_promised else (None, None)
        else:
            amount = _amount(clauses, place, pay, values, used)
            due = _date(clauses, place, values, used, day)
            has_promised = has_promised or cue is not None
            is_whole = amount is not None and due is not None and "借" not in text
            is_bound = has_cue or (one.voice == "debtor" and _MONTHLY.search(text) is not None)
            if (due is None and not is_bound) or (pay is None and not is_whole):
                continue
        if amount is None and due is not None and pay is not None and place + 1 < len(clauses):
            amount = _amount_behind(clauses[place + 1], values, used)
        parts = [value for value in (amount, due) if value is not None]
        is_plain = len(parts) == len(PARTS) and not _DUE.search(text)
        if not parts or not (is_spoken or is_plain):
            continue
        used |= set(parts)
        verbs = [one.clause.start + place for found in (cue, pay) if found for place in found.span()]
        here = [value for value in parts if value.start >= clauses[0].clause.start]
        places = [*verbs, *(value.start for value in here), *(value.end for value in here)]
        promised = f"{amount.value if amount else NOTHING}@{due.value if due else NOTHING}"
        yield Claim("promise", promised, min(places), max(places))


def _cue(text: str) -> re.Match[str] | None:
    return next((one for one in _CUES.finditer(text) if not negations(text[: one.start()])), None)


def _payment(text: str) -> re.Match[str] | None:
    hidden = _HIDDEN.sub(lambda one: "□" * len(one.group()), text)
    return next((one for one in _PAYS.finditer(hidden) if not negations(hidden[: one.start()])), None)


def _is_over(one: Voiced, values: Sequence[Claim], day: date) -> bool:
    """Whether every day that a clause names is past: 11月20日还款500元."""
    days = _within(one, values, "date", set())
    return bool(days) and all(value.value < day.isoformat() for value in days)


def _is_no_promise(one: Voiced, pay: re.Match[str] | None) -> bool:
    """Whether the clause is our request, looks back, stays open, or is not the debtor's to say."""
    text = one.clause.text
    if finder("promise", "asked").search(text) and one.voice != "debtor":
        return True
    if looks_back(text) or finder("promise", "open").search(text):
        return True
    cue = _cue(text)
    if one.voice == "us" and (cue is None or (one.names_subject and not _MUTUAL.search(text))):
        return True
    return negations(text[: pay.start()] if pay else "") > 0


def _instalment(
    bare: Sequence[Voiced], values: Sequence[Claim], used: set[Claim], day: date
) -> tuple[Claim | None, Claim | None]:
    """Return what clauses behind a promise add to it that say no more than a sum and a day: 5日，2000元."""
    found: list[Claim] = []
    for one in bare:
        there = [*_within(one, values, "amount", used), *_within(one, values, "date", used)]
        if not there or not _INSTALMENT.fullmatch(_rest_of(one, there)):
            break
        found += there
        if any(value.kind == "amount" for value in there):
            break
    amounts = [value for value in found if value.kind == "amount"]
    days = [value for value in found if value.kind == "date"]
    due = days[0] if len(days) == 1 and days[0].value >= day.isoformat() else None
    if len(amounts) != 1 or len(days) > 1 or (due is None and "每" not in bare[0].clause.text):
        return None, None
    return amounts[0], due


def _rest_of(one: Voiced, values: Sequence[Claim]) -> str:
    """Return what a clause says besides its values."""
    rest, start = one.clause.text, one.clause.start
    for value in sorted(values, key=lambda value: -value.start):
        rest = rest[: value.start - start] + rest[value.end - start :]
    return rest.strip()


def _within(one: Voiced, values: Sequence[Claim], kind: str, used: set[Claim]) -> list[Claim]:
    first = bisect_left(values, one.clause.start, key=lambda value: value.start)
    until = bisect_left(values, one.clause.end, key=lambda value: value.start)
    return [value for value in values[first:until] if value.kind == kind and value not in used]


def _amount(
    clauses: Sequence[Voiced],
    place: int,
    pay: re.Match[str] | None,
    values: Sequence[Claim],
    used: set[Claim],
) -> Claim | None:
    one = clauses[place]
    here = _within(one, values, "amount", used)
    if pay is not None:
        after = [value for value in here if value.start >= one.clause.start + pay.start()]
        here = (
            after
            or [value for value in here if "将" in one.clause.text[: value.start - one.clause.start]]
            or here
        )
    if here:
        return here[0]
    following = (clauses[place + 1],) if place + 1 < len(clauses) else ()
    for near in (*following, *reversed(clauses[max(0, place - FRAGMENTS) : place])):
        there = _fragment(near, values, used)
        if there is not None and there.kind == "amount":
            return there
        if there is None and near not in following:
            break
    return _amount_told(clauses[place - 1 : place], one, pay, values, used)


def _amount_behind(one: Voiced, values: Sequence[Claim], used: set[Claim]) -> Claim | None:
    """Return the sum of the next clause, when that pays or promises no more: 后天去存，就存这一百."""
    if (
        (_payment(one.clause.text) or _cue(one.clause.text)) is None
        or _within(one, values, "date", used)
        or _is_no_promise(one, None)
    ):
        return None
    amounts = _within(one, values, "amount", used)
    return amounts[0] if len(amounts) == 1 else None


def _amount_told(
    before: Sequence[Voiced],
    one: Voiced,
    pay: re.Match[str] | None,
    values: Sequence[Claim],
    used: set[Claim],
) -> Claim | None:
    """Return the sum that the clause before says is at hand, when this one only says that it will be paid."""
    is_whole = pay is not None and _WHOLE.search(one.clause.text, 0, pay.start()) is not None
    if pay is None or not before or (not is_whole and _PAID_OFF.search(one.clause.text)):
        return None
    there = _within(before[0], values, "amount", used)
    is_at_hand = len(there) == 1 and (is_whole or _AT_HAND.search(before[0].clause.text) is not None)
    rest = _TO_WHOM.sub("", one.clause.text[pay.end() :])
    return there[0] if is_at_hand and len(rest) <= AFTER_PAYING else None


def _fragment(one: Voiced, values: Sequence[Claim], used: set[Claim]) -> Claim | None:
    """Return the only value of a clause that says nothing else: 下期7月3日."""
    there = [value for kind in ("amount", "date") for value in _within(one, values, kind, used)]
    is_bare = len(there) == 1 and there[0].end - there[0].start >= len(one.clause.text.strip()) - 2
    return there[0] if is_bare else None


def _date(
    clauses: Sequence[Voiced], place: int, values: Sequence[Claim], used: set[Claim], day: date
) -> Claim | None:
    """Return the day of this clause, or of the one before it when that says no more than when."""
    for near in range(place, max(-1, place - 1 - FRAGMENTS), -1):
        if near != place and _payment(clauses[near].clause.text) is not None:
            continue
        if near < place - 1 and _fragment(clauses[near + 1], values, used) is None:
            break
        there = [one for one in _within(clauses[near], values, "date", used) if one.value >= day.isoformat()]
        if there and not looks_back(_until(clauses[near], there[-1])):
            return there[-1]
    if _THEN.search(clauses[place].clause.text):
        start = clauses[place].clause.start
        first = bisect_left(values, start - THEN_WITHIN, key=lambda value: value.start)
        until = bisect_left(values, start, key=lambda value: value.start)
        earlier = [value for value in values[first:until] if value.kind == "date"]
        is_due = bool(earlier) and earlier[-1].value >= day.isoformat() and earlier[-1] not in used
        return earlier[-1] if is_due else None
    return _day_of_receipt(clauses[place + 1 : place + 2], values, used, day) or _day_behind(
        clauses[place + 1 : place + 3], values, used, day
    )


def _until(one: Voiced, value: Claim) -> str:
    return one.clause.text[: value.start - one.clause.start]


def _day_behind(
    following: Sequence[Voiced], values: Sequence[Claim], used: set[Claim], day: date
) -> Claim | None:
    """Return the day of the next clause when that is all it says, and no payment behind it may claim it."""
    if not following:
        return None
    days = _within(following[0], values, "date", used)
    is_anothers = any(_payment(one.clause.text) is not None for one in following[1:])
    is_all = len(days) == 1 and _WHEN.fullmatch(_rest_of(following[0], days)) is not None
    return days[0] if is_all and not is_anothers and days[0].value >= day.isoformat() else None


def _day_of_receipt(
    following: Sequence[Voiced], values: Sequence[Claim], used: set[Claim], day: date
) -> Claim | None:
    """Return the day of the next clause when all it says is that the money will be there: 下周六到账."""
    for one in following:
        for value in _within(one, values, "date", used):
            rest = one.clause.text[value.end - one.clause.start :]
            is_all = value.start - one.clause.start == len(one.clause.text) - len(one.clause.text.lstrip())
            if is_all and _RECEIPT.fullmatch(rest) and value.value >= day.isoformat():
                return value
    return None
