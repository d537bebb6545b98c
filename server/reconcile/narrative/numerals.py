"""Which number do these digits and characters mean?

Reads Arabic digits, Chinese numerals (also the banker's), and mixes of both as people write them: 2万3 is
23,000 and 五千六 is 5,600. What names no single number (几百, 一两千, 三千多) is None.
"""

import re
from decimal import Decimal
from typing import Final

DIGITS: Final = {
    **{char: n for n, char in enumerate("零一二三四五六七八九")},
    **{char: n for n, char in enumerate("〇壹贰叁肆伍陆柒捌玖")},
    "两": 2,
    "俩": 2,
}
UNITS: Final = {
    "十": 10,
    "拾": 10,
    "百": 100,
    "佰": 100,
    "千": 1_000,
    "仟": 1_000,
    "k": 1_000,
    "K": 1_000,
    "万": 10_000,
    "萬": 10_000,
    "w": 10_000,
    "W": 10_000,
    "亿": 100_000_000,
}
DIGIT: Final = "[一二三四五六七八九]"
"""As a pattern: one of the nine that people write in sums and days."""
_UNIT: Final = "十拾百佰千仟万萬亿"
CHINESE: Final = "".join(DIGITS) + _UNIT
NUMBER: Final = (
    rf"(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+)(?:\.\d+)?|(?<![kKwW])[{_UNIT}]|(?<![kKwW\d])[{CHINESE}]"
)
NUMERAL: Final = rf"(?:{NUMBER}|(?<=\d)[kKwW](?![a-zA-Z]))+"
_TOKEN: Final = re.compile(r"[\d,]+(?:\.\d+)?|.")
_SHORT: Final = re.compile("[千万][一二两三四五六七八九]")  # 千五, 万二
MYRIAD: Final = 10_000


def read_number(text: str) -> Decimal | None:
    """Return the number a numeral means; None when it means no single one."""
    text = text.replace("廿", "二十").replace("卅", "三十")
    if len(text) > 1 and all(char in DIGITS for char in text):
        return Decimal("".join(str(DIGITS[char]) for char in text))
    if _SHORT.fullmatch(text):
        text = "一" + text
    total = section = Decimal(0)
    digit: Decimal | None = None
    last, after_zero = 1, False
    for token in _TOKEN.findall(text):
        if token in UNITS:
            unit = UNITS[token]
            if digit is None and unit != 10 and not (unit >= MYRIAD and section):
                return None
            if section and last <= unit < MYRIAD:
                return None  # 三百五百
            value = Decimal(1) if digit is None else digit
            if unit >= MYRIAD:
                total += (section + (0 if digit is None else digit)) * unit
                section = Decimal(0)
            else:
                section += value * unit
            digit, last, after_zero = None, unit, False
        elif token in DIGITS and DIGITS[token] == 0:
            after_zero = True
        elif digit is not None:
            return None  # two digits side by side: 一两千
        else:
            digit = Decimal(DIGITS[token]) if token in DIGITS else Decimal(token.replace(",", ""))
    rest = digit or Decimal(0)
    if digit is not None and last >= 100 and not after_zero and digit < 10 and digit == int(digit):
        rest = digit * last / 10  # 三万五, 2万3
    return total + section + rest


def read_whole(text: str) -> int | None:
    """Return a numeral as a whole number, None when it is none."""
    number = read_number(text)
    return int(number) if number is not None and number == number.to_integral_value() else None
