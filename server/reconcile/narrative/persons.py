"""Who was met?

Somebody who is only talked about was not: what the debtor says of a wife, a neighbour of the debtor. Whoever
acts in the account, is asked something or introduces themselves, was.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from server.reconcile.narrative.absences import absences_in
from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.voices import RELATION, RELATIVES, WE_ASK, Voice, Voiced, debtors_in
from server.reconcile.narrative.words import WORDS, finder, pattern

_PHONE: Final = finder("absent", "telephone")
_UNMET_BEFORE: Final = re.compile(f"(?:{pattern(WORDS['debtor']['unmet_before'])})了?$")
_UNMET_AFTER: Final = re.compile(pattern(WORDS["debtor"]["unmet_after"]))
_OWNERS: Final = pattern(WORDS["third_party"]["possessors"])
_ONE: Final = r"(?:[一两三四五几]?[个位家户名对])?(?:[^，与和的]{1,5}的|[\d一二三四五六七八九十多]+岁)?"
_MET_BEFORE: Final = re.compile(
    f"(?:{pattern(WORDS['third_party']['met_before'])}|(?<![未没不难])见)了?(?:{_OWNERS})?{_ONE}$"
)
_NOT_MET_BEFORE: Final = re.compile(
    f"(?:{pattern(WORDS['third_party']['unmet_before'])})(?:{_OWNERS})?{_ONE}$"
)
_ACTS: Final = re.compile(f".{{0,3}}?(?:{pattern(WORDS['third_party']['acts'])})")
_ACTS_OF_PRESENT: Final = re.compile(pattern(WORDS["third_party"]["acts_of_present"]))
_HABITS: Final = finder("debtor", "habits")
# What may stand between the beginning of a clause and the person who is its subject.
_OPENS: Final = re.compile(f"(?:{pattern(WORDS['third_party']['opens'])}|{_OWNERS}|\\s)*")
_NOT_HERE: Final = re.compile(
    "(?:也|均|都|又|还|已经?|则|刚|一直|早就?)*"
    f"(?:{pattern([*WORDS['third_party']['not_here'], *WORDS['absent']['words']])})"
)
_OUTSIDERS: Final = frozenset({"neighbour", "property", "landlord", "tenant", "colleague", "other", "friend"})
_IS_DEBTOR: Final = re.compile(
    "(?<![不非])(?:自称|确认|核实|证实|系|是|为)[其他她]?(?:就?是|系|为)?"
    f"(?:{pattern(['<debtor><not_kin>'])})"
)
# Named behind a word of speech, and there all the same: 自称债务人妻子, 问了对门邻居.
_INTRODUCED: Final = re.compile(
    f"(?:自称|[说称](?:自己|[他她其])?是|称系|^[^称说讲]{{0,4}}(?:询?问|咨询)[了过到]?)[是系为]?(?:{_OWNERS})?{_ONE}"
    f"(?:{pattern(WORDS['third_party']['opens'])})*$"
)
_WITH: Final = re.compile("[与和跟我带]$")
_BY_PHONE: Final = re.compile("(?:让|说|称|讲|表示|要求|答|约|回)")
_IS_DEAD: Final = re.compile("[^说称讲]{0,8}(?:去世|过世|离世|病故|病逝|身亡|死亡|已故|服刑|入狱|被羁押)")
_HEARS: Final = re.compile("反应|回应|响应|声音|没声")
_VERIFIED: Final = re.compile("(?:核对|核实|确认|经查|证实|辨认)[^，不非]{0,4}[系是为]$")
_NEXT_DOOR: Final = re.compile("(?:邻居家?|隔壁|对门|对面)的?[^，]{0,4}$")
_AT_ONCE: Final = re.compile("[就便](?:走|关|跑|躲|进|回|摔|骂|赶|跟|点头|同意)")
_LIVES: Final = re.compile("(?:一起|共同)?(?:同住|居住|生活|分居|离婚)")
_TOGETHER: Final = re.compile("(?:未|没).{0,3}?[与和跟同]$")
_MEET: Final = re.compile("接触|见面|见上面|碰面|谋面|取得|联系|面谈|谈上|说上")
AWAY_WITHIN: Final = 4  # characters from the debtor to the words that say the debtor is away
ADDRESSED_WITHIN: Final = 3  # characters behind a verb of asking


def persons_in(clauses: Sequence[Voiced]) -> tuple[Claim, ...]:
    """Find who was met (each once, where first named), that nobody was, and that the debtor was away."""
    away = tuple(absences_in(clauses))
    nobody = tuple(_nobody(clauses))
    covered = [range(one.start, one.end) for one in (*away, *nobody)]
    found = [*away, *nobody, *_debtor(clauses, covered), *_liable(clauses), *_others(clauses)]
    return tuple(found)


def _debtor(clauses: Sequence[Voiced], covered: Sequence[range]) -> Iterator[Claim]:
    is_told = False
    phoned = None
    for one in clauses:
        text, start = one.clause.text, one.clause.start
        was_told, is_told = is_told, one.voice == "other" and one.said_from is not None
        if _PHONE.search(text):
            phoned = one.clause.sentence
            continue
        for match in debtors_in(text):
            before, rest = text[: match.start()], text[match.end() :]
            is_act = before.endswith("被") or _AT_ONCE.match(rest)  # 问了一句债务人就走了
            if one.voice in ("other", "unknown") and one.is_said(match.start()) and not is_act:
                continue
            if one.clause.is_quoted or any(start + match.start() in span for span in covered):
                continue
            if _is_only_named(before, rest):
                continue
            if (was_told and _HABITS.match(rest)) or (
                phoned == one.clause.sentence and _BY_PHONE.match(rest)
            ):
                continue
            end = start + match.end()
            if any(0 <= span.start - end <= AWAY_WITHIN for span in covered):
                continue  # 债务人现在苏州打工: who is away was not met
            yield Claim("met", "debtor", start + match.start(), start + match.end())


def _is_only_named(before: str, rest: str) -> bool:
    """Whether the words around the debtor say of themselves that nobody met the debtor."""
    return (
        _UNMET_AFTER.match(rest) is not None
        or (_UNMET_BEFORE.search(before) is not None and not _VERIFIED.search(before))
        or (_LIVES.match(rest) is not None and before.endswith(("与", "和", "跟")))
        or _IS_DEAD.match(rest) is not None
        or (_TOGETHER.search(before) is not None and _MEET.match(rest) is not None)
    )


def _liable(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    for one in clauses:
        for match in finder("debtor", "liable").finditer(one.clause.text):
            rest = one.clause.text[match.end() :]
            if not one.is_said(match.start()) and _ACTS.match(rest) and not _UNMET_AFTER.match(rest):
                place = one.clause.start
                yield Claim("met", "liable_person", place + match.start(), place + match.end())


def _others(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    elders, others = [], []
    teller: Voice | None = None
    for one in clauses:
        text, start = one.clause.text, one.clause.start
        if _PHONE.search(text) or one.clause.is_quoted:
            continue
        last = None
        for match in RELATIVES.finditer(text):
            relation = RELATION[match.group()]
            is_same = last is not None and last[0] in _OUTSIDERS and last[1] == match.start()
            last = (relation, match.end())
            is_said = one.is_said(match.start()) and not (
                (one.voice != "debtor" and _INTRODUCED.search(text[: match.start()]))
                or _is_addressed(one, match.start())
            )
            if is_same or is_said or not _takes_part(text, match, relation, teller=teller):
                continue
            if relation == "elder" and _NEXT_DOOR.search(text[: match.start()]):
                relation = "neighbour"
            value = "third_party:other" if relation == "elder" else f"third_party:{relation}"
            claim = Claim("met", value, start + match.start(), start + match.end())
            (elders if relation == "elder" else others).append(claim)
        teller = one.voice if one.said_from is not None else None
    if not any(_IS_DEBTOR.search(one.clause.text) for one in clauses):
        others = others or elders
    yield from others


def _is_addressed(one: Voiced, place: int) -> bool:
    """Whether we turn to the person at a place: 请物业保安转交, 问了邻居."""
    asked = WE_ASK.match(one.clause.text)
    return one.voice == "us" and asked is not None and 0 <= place - asked.end() <= ADDRESSED_WITHIN


def _takes_part(text: str, match: re.Match[str], relation: str, *, teller: Voice | None) -> bool:
    """Whether somebody does something here. Behind what others tell (`teller`) it takes a plain act."""
    before, rest = text[: match.start()], text[match.end() :]
    if _NOT_MET_BEFORE.search(before) or _LIVES.match(rest):
        return False
    if relation == "colleague" and _WITH.search(before):
        return False  # ours
    is_subject = _OPENS.fullmatch(before) is not None
    if teller in ("debtor", "other") and (teller == "debtor" or not _MET_BEFORE.search(before)):
        return is_subject and _ACTS_OF_PRESENT.match(rest) is not None
    if is_subject and _NOT_HERE.match(rest):
        return False
    if _ACTS.match(rest) or _MET_BEFORE.search(before) or _INTRODUCED.search(before):
        return True
    is_colleague_of_ours = match.group() in ("同事", "领导", "员工") and not before.strip()
    return is_subject and not is_colleague_of_ours


def _nobody(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    for one in clauses:
        text = one.clause.text
        if finder("nobody", "not_with").search(text):
            continue
        for match in finder("nobody").finditer(text):
            if (one.voice != "us" and one.is_said(match.start())) or finder("nobody", "not_after").match(
                text[match.end() :]
            ):
                continue
            if one.names_subject and one.voice != "us" and _HEARS.search(match.group()):
                continue  # 债务人没反应
            place = one.clause.start
            yield Claim("met", "nobody", place + match.start(), place + match.end())
            break
