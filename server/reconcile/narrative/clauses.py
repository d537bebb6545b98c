"""Where do the sentences and clauses of a text begin and end, and what turns one round?

Widths are made equal character by character, so that places in the plain text are places in the original.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from server.reconcile.narrative.words import WORDS

_NARROW: Final = {code: code - 0xFEE0 for code in range(0xFF10, 0xFF5B)} | {
    ord("．"): ".",
    ord("￥"): "¥",
    ord("　"): " ",
}
_SENTENCE: Final = re.compile(r"[。；！？\n]|[;!?]")
_HAN: Final = r"[\u4e00-\u9fff]"
# Spaces between words, and those before a time with its verb, part as commas do.
_CLAUSE: Final = re.compile(
    r"[，。；！？、：\n“”\"「」『』（）()【】|→…—]|[;!?]|(?<!\d)[,:]|[,:](?!\d)|(?<!\d)\.|\.(?!\d)"
    rf"|(?:(?<={_HAN})|(?<=:\d\d)) +(?={_HAN})|(?<={_HAN}) +(?=\d{{1,2}}:\d\d{_HAN})|(?<={_HAN})/(?={_HAN})"
)
_NOT_NEGATING: Final = re.compile("|".join(sorted(WORDS["negation"]["harmless"], key=len)[::-1]))
_NEGATOR: Final = re.compile("|".join(map(re.escape, WORDS["negation"]["words"])))
# What begins anew, so that a denial before it denies something else: 没多说就把信塞进门缝.
_ANEW: Final = re.compile(
    "^.*(?<![没未不别])(?:就(?!是)|便(?!宜|条|利)|遂|于是|只好|只得|然后|随后|随即|后来|但是?|却|等(?![于级等候])|先(?!生)|所以|因此|改为|改成|直接|也(?!没|未|不是))"
)
MOST_IN_ONE_BREATH: Final = 26  # characters
_NEXT: Final = re.compile(
    "(?<![跟与和同向对给把被让请要问骂叫将找见到的由])(?:我们|他说|她说|他讲|她讲|他称|她称|然后|随后|接着|最后|后来|于是|邻居[说讲称]"
    "|(?:债务人|持卡人|客户|本人)(?=自己|说|称|讲|表示|承认|承诺|答应|签|不在|开门|在家|当场))"
)
_ASKS: Final = re.compile(r"(?:吗|行不行|好不好|成不成|可不可以|有没有用)\s*$")
DENIES_WITHIN: Final = 16  # characters; a denial reaches no further, also where nobody sets a comma
_SUPPOSED: Final = re.compile("|".join(WORDS["supposition"]["words"]))


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of a sentence: `text` stands at `start` of the account; `sentence` numbers its sentence."""

    text: str
    start: int
    sentence: int
    is_question: bool = False
    is_quoted: bool = False

    @property
    def end(self) -> int:
        """Where the clause ends in the account."""
        return self.start + len(self.text)


def plain(text: str) -> str:
    """Return the text with narrow digits and letters, every character in its place."""
    return text.translate(_NARROW)


def clauses_of(text: str) -> tuple[Clause, ...]:
    """Cut a plain text into its clauses; empty ones are left out."""
    found: list[Clause] = []
    sentence, start, quotes = 0, 0, 0
    for match in (*_CLAUSE.finditer(text), None):
        end = len(text) if match is None else match.start()
        for begun, piece in _pieces(text[start:end], start):
            asks = (match is not None and match.group() in "？?") or _ASKS.search(piece) is not None
            found.append(Clause(piece, begun, sentence, is_question=asks, is_quoted=quotes > 0))
        if match is None:
            break
        quotes = _depth(match.group(), quotes)
        if _SENTENCE.match(match.group()):
            sentence += 1
        start = match.end()
    return tuple(found)


def _pieces(text: str, start: int) -> Iterator[tuple[int, str]]:
    """Cut what goes on and on without a comma where somebody else begins to act; leave out what is empty."""
    cuts = [one.start() for one in _NEXT.finditer(text, 1)] if len(text) > MOST_IN_ONE_BREATH else []
    for begin, end in pairwise((0, *cuts, len(text))):
        if text[begin:end].strip():
            yield start + begin, text[begin:end]


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
    near = _ANEW.sub("", before)[-DENIES_WITHIN:]
    return len(_NEGATOR.findall(_NOT_NEGATING.sub("", near)))


def is_supposed(before: str) -> bool:
    """Whether the words before a statement make it a mere case that might come: 如果, 除非, 能否."""
    return _SUPPOSED.search(before) is not None
