"""Did the visitor leave out the purpose, or only keep the bank and the debt from a third party, as he must?

没说来意 is a statement that is missing, whoever was there. 没提银行 is what secrecy asks for before a
neighbour (the lexicon's `disclosure`), and a purpose left out before the debtor.
"""

import re
from typing import Final

LEFT_OUT: Final = ("conduct", "not_purpose_stated")
MUST_BE_TOLD: Final = frozenset({("met", "debtor"), ("met", "liable_person")})
_SECRET: Final = re.compile("银行|哪家|谁家|[卡债欠账贷款钱]|单位|公司|私事")
_PURPOSE: Final = re.compile(
    "来[意由历路头干做]|[干做][啥嘛么什]|[啥么乜咩]|何事|为[何啥]|什么[事的]|哪样|"
    "缘[由故]|[事因]由|由头|因由|原[因委]|目的|用意|意图|身份|名头|家门|是谁|事情"
)


def is_discretion(words: str) -> bool:
    """Whether words that leave out a purpose only keep a secret."""
    return _SECRET.search(words) is not None and _PURPOSE.search(words) is None
