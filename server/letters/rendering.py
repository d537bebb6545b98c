"""What does the finished letter say?

Data goes into the approved words and nowhere else (H2, H22). Amounts and their day are those given, so that
call and letter say the same (C10). The pairing code is printed last, on the letter as on its envelope (H1).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from server.letters.placeholders import fill
from server.letters.template import Template

CODE_LETTERS: Final = "ABCDEFGHJKLMNPQRTUVWXY"
CODE_SIGNS: Final = f"{CODE_LETTERS}346789"
"""No sign that a hurried eye takes for another."""
HALF_LENGTH: Final = 4
SEAL: Final = "（催收章）"


@dataclass(frozen=True, slots=True)
class Merged:
    """The data of one letter. `outstanding_fen` is owed as the client said on `balance_as_of`."""

    case_reference: str
    recipient_name: str
    outstanding_fen: int
    balance_as_of: date
    pay_by: date | None
    client_name: str
    pairing_code: str


def render(template: Template, data: Merged) -> str:
    """Merge data into a sound template, changing no word of it (H22).

    KeyError("pay_by") when it names a day that was not given.
    """
    values = {
        "case_reference": data.case_reference,
        "recipient_name": data.recipient_name,
        "outstanding_amount": yuan(data.outstanding_fen),
        "balance_as_of": chinese_day(data.balance_as_of),
        "client_name": data.client_name,
        "agency_name": template.agency_name,
        "agency_phone": template.agency_phone,
        "seal": SEAL,
    }
    if data.pay_by is not None:
        values["pay_by"] = chinese_day(data.pay_by)
    return f"{fill(template.composed, values)}\n〔{data.pairing_code}〕\n"


def digest(text: str) -> bytes:
    """Return the SHA-256 of a letter's text, which the filed copy answers to (H4, H20)."""
    return hashlib.sha256(text.encode()).digest()


def yuan(fen: int) -> str:
    """1234500 -> 12,345.00元."""
    return f"{fen // 100:,}.{fen % 100:02}元"


def chinese_day(day: date) -> str:
    """2026-11-24 -> 2026年11月24日."""
    return f"{day.year}年{day.month}月{day.day}日"


def make_pairing_code(choose: Callable[[str], str]) -> str:
    """Return a code such as "KD7P-TXQ3" for letter and envelope (H1); `choose` picks one sign at random.

    Each half begins with a letter, so that no code is a number, nor what the lint takes for a card's end.
    """
    halves = (
        choose(CODE_LETTERS) + "".join(choose(CODE_SIGNS) for _ in range(HALF_LENGTH - 1)) for _ in range(2)
    )
    return "-".join(halves)
