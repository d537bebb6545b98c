"""Did the visitor leave out the purpose, or only keep the bank and the debt from a third party, as he must?

没说来意 is a statement that is missing, whoever was there. 没提银行 is what secrecy asks for before a
neighbour (the lexicon's `disclosure`), and a purpose left out before the debtor.
"""

import re
from collections.abc import Sequence
from typing import Final

from server.reconcile.narrative.claim import Claim

LEFT_OUT: Final = ("conduct", "not_purpose_stated")
WHO_MUST_BE_TOLD: Final = (("met", "debtor"), ("met", "liable_person"))
_SECRET: Final = re.compile("银行|哪家|谁家|[卡债欠账贷款钱]|单位|公司|私事")
_PURPOSE: Final = re.compile(
    "来[意由历路头干做]|[干做][啥嘛么什]|[啥么乜咩]|何事|为[何啥]|什么[事的]|哪样|"
    "缘[由故]|[事因]由|由头|因由|原[因委]|目的|用意|意图|身份|名头|家门|是谁|事情"
)


def without_discretion(claims: Sequence[Claim], text: str) -> Sequence[Claim]:
    """Return the claims without a purpose left out that is only a secret kept from a third party."""
    if any((one.kind, one.value) in WHO_MUST_BE_TOLD for one in claims):
        return claims
    return [one for one in claims if (one.kind, one.value) != LEFT_OUT or not _is_discretion(one.words(text))]


def _is_discretion(words: str) -> bool:
    return _SECRET.search(words) is not None and _PURPOSE.search(words) is None
