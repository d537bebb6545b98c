"""Where do the sentences and clauses of a text begin and end, and what turns one round?

Widths are made equal character by character, so that places in the plain text are places in the original.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from server.reconcile.narrative.spelling import folded
from server.reconcile.narrative.words import WORDS

_SENTENCE: Final = re.compile(r"[。；！？\n]|[;!?]")
_HAN: Final = r"[\u4e00-\u9fff]"
# Spaces between words, and those before a time with its verb, part as commas do.
_CLAUSE: Final = re.compile(
    r"[，。；！？、：\n“”\"「」『』（）()【】|→…—]|[;!?]|(?<!\d)[,:]|[,:](?!\d)|(?<!\d)\.|\.(?!\d)"
    rf"|(?:(?<={_HAN})|(?<=:\d\d)) +(?={_HAN})|(?<={_HAN}|\d) +(?=\d{{1,2}}:\d\d{_HAN})"
    rf"|(?<={_HAN})(?<![到达离走抵撤开返间自从于约至]) +(?=\d{{1,2}}:\d\d +{_HAN})|(?<={_HAN})/(?={_HAN})"
)
_NOT_NEGATING: Final = re.compile("|".join(sorted(WORDS["negation"]["harmless"], key=len)[::-1]))
# Manners that are told with a denial and deny nothing: 头也不抬, 看都没看, 二话不说.
IDIOM: Final = re.compile("|".join(WORDS["negation"]["idioms"]))
_NEGATOR: Final = re.compile("|".join(map(re.escape, WORDS["negation"]["words"])))
# What begins anew, so that a denial before it denies something else: 没多说就把信塞进门缝.
_ANEW: Final = re.compile(
    "^.*(?<![没未不别])(?:就(?!是)|便(?!宜|条|利)|遂|于是|只好|只得|然后|随后|随即|后来|但是?|却|等(?![于级等候])|(?<![事提预])先(?!生)|所以|因此|后(?=留|放|贴|塞|投|置|交)|改为|改成|直接|也(?!没|未|不是))"
)
MOST_IN_ONE_BREATH: Final = 26  # characters
MOST_IN_A_CLAUSE: Final = 120
_NEXT: Final = re.compile(
    "(?<![跟与和同向对给把被让请要问骂叫将找见到的由点分半刻整钟一二三四五六七八九十\\d])(?:我们|他说|她说|他讲|她讲|他称|她称|我说|我问|我讲|我就|问他|问她|邻居[说讲称]"
    "|(?:债务人|持卡人|客户|本人)(?=自己|说|称|讲|表示|承认|承诺|答应|签|不在|开门|在家|当场))"
    "|(?:但是|不过|可是|只是|所以|因为|结果|然后|随后|接着|最后|后来|于是|而且|就是(?=今年|现在|眼下|手头|最近|没钱|暂时))"
)
_ASKS: Final = re.compile(r"(?:吗|行不行|好不好|成不成|可不可以|有没有用)\s*$")
LONGEST_HEAD: Final = 8  # characters of what a form asks
# Whoever stands before a colon speaks behind it: 持卡人：, 他说：.
_SPOKEN_HEAD: Final = re.compile(
    "(?:[说道称讲问答喊骂回话曰嚷我他她佢伊妻母父]|表示|答复|反馈|反映|介绍|透露|原话|(?:债|债务|欠款|持卡|借款|担保|保证|本)人|客户|CH|当事人|对方|原话|大意)\\s*$"
)
_OF_HIM: Final = re.compile(r"\s*[他她](?!的|人|家)")  # 他话不多：欠起的
DENIES_WITHIN: Final = 16  # characters; a denial reaches no further, also where nobody sets a comma
_SUPPOSED: Final = re.compile("|".join(WORDS["supposition"]["words"]))


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of a sentence: `text` stands at `start` of the account; `sentence` numbers its sentence.

    `stop` is the mark behind it. `head` is what a form asks before a colon (`is_head`): 证件 of 证件：已示.
    """

    text: str
    start: int
    sentence: int
    is_question: bool = False
    is_quoted: bool = False
    stop: str = ""
    head: str = ""
    is_head: bool = False

    @property
    def end(self) -> int:
        """Where the clause ends in the account."""
        return self.start + len(self.text)


def clauses_of(text: str) -> tuple[Clause, ...]:
    """Cut a plain text into its clauses; empty ones are left out."""
    found: list[Clause] = []
    sentence, start, quotes, head = 0, 0, 0, ""
    for match in (*_CLAUSE.finditer(text), None):
        end = len(text) if match is None else match.start()
        stop = match.group() if match else ""
        for begun, piece in _pieces(text[start:end], start):
            asks = stop in ("？", "?") or _ASKS.search(piece) is not None
            is_head = (
                stop in ("：", ":")
                and len(piece.strip()) <= LONGEST_HEAD
                and not _SPOKEN_HEAD.search(piece)
                and not _OF_HIM.match(piece)
            )
            head = "" if is_head else head
            found.append(
                Clause(piece, begun, sentence, asks, quotes > 0, stop, "" if quotes else head, is_head)
            )
            if is_head:
                head = piece.strip()
        if match is None:
            break
        quotes = _depth(stop, quotes)
        if _SENTENCE.match(stop):
            sentence += 1
            head = ""
        start = match.end()
    return tuple(found)


def _pieces(text: str, start: int) -> Iterator[tuple[int, str]]:
    """Cut what goes on and on without a comma where somebody else begins to act; leave out what is empty.

    No piece is longer than `MOST_IN_A_CLAUSE`: whoever looks back in a clause for each thing found in it does
    so within that.
    """
    cuts = [one.start() for one in _NEXT.finditer(text, 1)] if len(text) > MOST_IN_ONE_BREATH else []
    for begin, until in pairwise((0, *cuts, len(text))):
        for place in range(begin, until, MOST_IN_A_CLAUSE):
            piece = text[place : min(place + MOST_IN_A_CLAUSE, until)]
            if piece.strip():
                yield start + place, piece


def index_at(clauses: Sequence[Clause], place: int) -> int | None:
    """Return which clause a place of the text stands in; None between clauses."""
    found = bisect_right(clauses, place, key=lambda one: one.start) - 1
    return found if found >= 0 and place < clauses[found].end else None


def around(text: str, start: int, end: int, *, width: int = 16) -> tuple[str, str]:
    """Return the words right before and right after a place."""
    return text[max(0, start - width) : start], text[end : end + width]


def _depth(mark: str, quotes: int) -> int:
    """Return how many quotations are open after a mark."""
    if mark in "“「『":
        return quotes + 1
    if mark in "”」』":
        return max(0, quotes - 1)
    return 1 - min(quotes, 1) if mark == '"' else quotes


def negations(before: str) -> int:
    """How often the words before a statement turn it round. Twice (不是不) is neither yes nor no."""
    near = _ANEW.sub("", folded(before))[-DENIES_WITHIN:]
    return len(_NEGATOR.findall(_NOT_NEGATING.sub("", IDIOM.sub("", near))))


def is_supposed(before: str) -> bool:
    """Whether the words before a statement make it a mere case that might come: 如果, 除非, 能否."""
    return _SUPPOSED.search(before) is not None
