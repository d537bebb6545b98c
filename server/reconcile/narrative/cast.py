"""Who is 他 or 她: the debtor, or whoever was named last?

A pronoun is whoever was named last, unless it is of the other sex: behind 他妈 a 他 is the son. Where nobody
else was named it is the debtor. Names of kin tell the sex of their bearer, and mostly that of the debtor.
"""

import re
from collections.abc import Iterable
from itertools import chain
from typing import Final, Literal

from server.reconcile.narrative.words import WORDS, pattern

Sex = Literal["m", "f"]
Named = Sex | Literal["unnamed"] | None
_KIN: Final = ("spouse", "parent", "child", "sibling", "relative")
_NAMES: Final = {word: name for name, words in WORDS["relations"].items() for word in words}
RELATION: Final = _NAMES | {
    f"{whose}{word}": name
    for word, name in _NAMES.items()
    for whose in "他她其"
    if name in _KIN and word[0] not in "他她其之的"
}  # 他舅妈 is nobody's mother
COMPOSED: Final = {name: re.compile(pattern(phrases)) for name, phrases in WORDS["composed"].items()}
_KNOWN: Final = pattern([*RELATION, *chain.from_iterable(WORDS["composed"].values())])
RELATIVES: Final = re.compile(f"(?<![学师前])(?:{_KNOWN})")  # 学姐 is one of ours
_FEMALE: Final = "妻婆妈母娘姐妹嫂婶姑姨奶女媳太妇闺妪"
_MALE: Final = "夫公爸父爹哥弟兄叔伯舅爷男汉翁侄甥婿"
_WHOSE: Final = re.compile("[他她]")
_OWN: Final = re.compile("家|屋|本人")
_CLOCK: Final = r"(?:[上下]午|早上|晚上|中午)?(?:\d{1,2}:\d\d|[\d一二两三四五六七八九十]{1,2}点[^，。]{0,4}?)"
# A pronoun that opens its clause and acts in it; 他家 and 他妈 are somebody else.
_PRONOUN: Final = re.compile(
    rf"\s*(?:{_CLOCK})?(?:{pattern(WORDS['pronoun']['opens'])})*(?P<he>{pattern(WORDS['pronoun']['words'])})"
    rf"(?!{pattern(WORDS['pronoun']['possessed'])})"
)
# Whoever says so is no debtor: 她说她是债务人的老婆.
_IS_KIN: Final = re.compile(
    f"(?:[说讲称]|自称)?(?:自己|他|她)?是(?:{pattern(WORDS['debtor']['words'])}|[其他她])(?:的|家)?(?:亲)?(?:{_KNOWN})"
)
_SOMEBODY: Final = re.compile(f"(?:的|那|这|有|家)?(?:[一两几][个位名]|个|位)?(?:{_KNOWN})")  # 他一个朋友
ELDERS: Final = frozenset(WORDS["relations"]["elder"])
# What anybody old is called, when it says of nobody whose kin: 问了半天，伯伯才承认.
ADDRESSES: Final = frozenset(["伯伯", "叔叔", "老妹", "老弟", "小妹", "大婶", "大伯", "大姨", "大叔"])
# Kin, or, next door or by what they are doing, anybody old: 楼上倒垃圾的婆婆.
CIVIL: Final = frozenset(["婆婆", "公公", "奶奶", "爷爷", "嫂子", "大嫂", "婶子", "婶婶"])
# Somebody's children, unless they speak of father and mother.
CHILDREN: Final = frozenset(["小孩", "小孩子", "小娃", "小娃娃"])


def relation_of(word: str) -> str:
    """Return what somebody whom `RELATIVES` found is to the debtor."""
    return RELATION.get(word) or next(
        (name for name, one in COMPOSED.items() if one.fullmatch(word)), "other"
    )


def pronoun(text: str) -> re.Match[str] | None:
    """Find the pronoun that a clause opens with."""
    match = _PRONOUN.match(text)
    if not match or _SOMEBODY.match(text, match.end()) or _IS_KIN.match(text, match.end()):
        return None
    kin = RELATIVES.match(text, match.start("he"))
    return None if kin and kin.end() > match.end() else match


def sex_of(word: str) -> Sex | None:
    """Return the sex that a word of kin names with its last telling character: 姑父 is a man."""
    for char in reversed(word):
        if char in _FEMALE:
            return "f"
        if char in _MALE:
            return "m"
    return None


def sex_of_debtor(text: str, spouses: Iterable[str]) -> Sex | None:
    """Return the debtor's sex, when all that tells of it agrees."""
    told: set[Sex] = set()
    for match in _WHOSE.finditer(text):
        if _OWN.match(text, match.end()) or RELATIVES.match(text, match.end()):
            told.add("m" if match.group() == "他" else "f")
    for word in spouses:
        if (sex := sex_of(word)) is not None:
            told.add("f" if sex == "m" else "m")
    return told.pop() if len(told) == 1 else None


def sex_of_pronoun(word: str) -> Sex | None:
    """Return the sex a pronoun names, if it names one."""
    return "m" if word == "他" else "f" if word == "她" else None


def is_debtor(pronoun: str, named: Named, debtor: Sex | None) -> bool:
    """Whether a pronoun is the debtor, behind somebody else of a sex (`unnamed`: behind nobody else)."""
    if named == "unnamed":
        return True
    sex = sex_of_pronoun(pronoun)
    return sex is not None and named is not None and sex != named and debtor in (None, sex)
