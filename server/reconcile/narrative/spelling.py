"""How is a text spelled when it is read? Narrow digits, one character for its variants, no slips of the keys.

Every spelling is as wide as the one it stands for: places in the plain text are places in the original.
"""

import re
import tomllib
from importlib.resources import files
from typing import Final

SPELLINGS: Final = tomllib.loads(
    files("server.reconcile.narrative").joinpath("spelling.toml").read_text("utf-8")
)
_NARROW: Final = {code: code - 0xFEE0 for code in range(0xFF10, 0xFF5B)} | {
    ord("．"): ".",
    ord("￥"): "¥",
    ord("　"): " ",
}
_FOLDED: Final = str.maketrans(
    {char: read for read, written in SPELLINGS["characters"].items() for char in written}
)
SLIPS: Final[dict[str, str]] = {
    written: read for read, slips in SPELLINGS["slips"].items() for written in slips
}
_SLIP: Final = re.compile("|".join(map(re.escape, SLIPS)))


def folded(text: str) -> str:
    """Return the text with one character for all its variants: 佢 is 他."""
    return text.translate(_FOLDED)


def narrow(text: str) -> str:
    """Return the text with narrow digits and letters."""
    return text.translate(_NARROW)


def plain(text: str) -> str:
    """Return the text as it is read, every character in its place."""
    return _SLIP.sub(lambda one: SLIPS[one.group()], folded(narrow(text)))
