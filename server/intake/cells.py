"""What does one cell mean? Text in, a value out, or a CellFault that says what to do.

Undoes what Excel does to data: spaces around it, `="001"`, full-width digits, thousands separators. What
Excel destroyed (scientific notation, rounded numbers, lost characters) is refused, never guessed.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from server.intake.faults import CellFault

Reader = Callable[[str], Any]
CHINA: Final = timezone(timedelta(hours=8))
NO_ADDRESS: Final = "Cannot be named in an address: between slashes something else than dots must stand."
MOST_FEN: Final = 10**15
_SPACES = " \t\r\n\v\f\u00a0\u3000\u200b\u200c\u200d\ufeff"
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_AS_TEXT = re.compile(r'^="(.*)"$', re.DOTALL)
_EXCEL_ERROR = re.compile(r"^(#(REF!|N/A|VALUE!|NAME\?|DIV/0!|NULL!|NUM!)|#{3,})$")
_SCIENTIFIC = re.compile(r"^\d+(\.\d+)?[eE]\+?\d+$")
_FRACTION = re.compile(r"^(\+?\d{7,15})\.0+$", re.ASCII)
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_AMOUNT = re.compile(r"^(-?)(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d{1,4}))?$", re.ASCII)
_DATE = re.compile(r"^(\d{4})([-/.年])(\d{1,2})[-/.月](\d{1,2})日?$", re.ASCII)
_COMPACT_DATE = re.compile(r"^(\d{4})(\d{2})(\d{2})$", re.ASCII)
_CLOCK = re.compile(r"^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?$", re.ASCII)
_CHINESE_ID = re.compile(r"^\d{17}[\dXx]$", re.ASCII)


def clean(raw: str) -> str:
    """Undo what spreadsheets wrap around a value. CellFault when characters were lost."""
    text = raw.strip(_SPACES)
    wrapped = _AS_TEXT.match(text)
    if wrapped:
        text = wrapped.group(1).strip(_SPACES)
    if "\ufffd" in text:
        raise CellFault("Has bytes that are not text in this file's encoding. Save as `CSV UTF-8`.")
    if _UNSTORABLE.search(text):
        raise CellFault("Has control characters or half of a character. Remove them.")
    if _EXCEL_ERROR.match(text):
        raise CellFault("Is an error shown by Excel instead of a value. Mend the cell and export again.")
    return text


def narrow(text: str) -> str:
    """Turn full-width letters, digits and signs into the ordinary ones."""
    return text.translate(_FULL_WIDTH)


def text_of(longest: int) -> Reader:
    """Read free text up to a length."""

    def read(text: str) -> str:
        if len(text) > longest:
            raise CellFault(f"Is longer than {longest} characters. Shorten it.")
        return text

    return read


def code_of(longest: int) -> Reader:
    """Read a reference or number that is text: leading zeros stay, scientific notation is refused."""

    def read(text: str) -> str:
        code = narrow(text)
        if len(code) > 1 and code.startswith("'"):
            code = code[1:]
        if _SCIENTIFIC.match(code) and ("." in code or "+" in code):
            raise CellFault(
                "Excel turned this number into scientific notation; digits are lost. "
                "Format the column as text and export again."
            )
        if len(code) > longest:
            raise CellFault(f"Is longer than {longest} characters. Shorten it.")
        return code

    return read


def stands_in_address(code: str) -> bool:
    """Whether a code can be named in a path: no part of it between slashes is empty or a dot or two."""
    return not {"", ".", ".."} & set(code.split("/"))


def code_in_address(longest: int) -> Reader:
    """Read a code that is named in the address of what it stands for."""
    read_code = code_of(longest)

    def read(text: str) -> str:
        code = read_code(text)
        if not stands_in_address(code):
            raise CellFault(NO_ADDRESS)
        return code

    return read


def phone_number(text: str) -> str:
    """Read a phone number; one that a spreadsheet took for a fraction loses the point and the zero."""
    return _FRACTION.sub(r"\1", code_of(64)(text))


def identity_number(text: str) -> str:
    """Read an identity number; refuse a Chinese one whose last digits Excel rounded away."""
    number = code_of(64)(text).replace(" ", "").upper()
    if _CHINESE_ID.match(number) and number.endswith("000") and not _has_check_digit(number):
        raise CellFault(
            "Excel rounded this number to fifteen digits. Format the column as text and export again."
        )
    return number


def _has_check_digit(number: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))
    return "10X98765432"[total % 11] == number[17]


def amount_fen(text: str) -> int:
    """Read an amount in yuan ("1,234.50", "¥1234.5", "1234元") as fen."""
    plain = re.sub("^(¥|￥|RMB|CNY)", "", narrow(text).replace(" ", "").removesuffix("元"))
    found = _AMOUNT.match(plain)
    if not found:
        raise CellFault("Must be an amount in yuan such as 1234.50 or 1,234.50.")
    yuan = found[2].replace(",", "").lstrip("0")[:20]
    fen = Decimal(f"{found[1]}{yuan or '0'}.{found[3] or '0'}") * 100
    if abs(fen) > MOST_FEN:
        raise CellFault("Is too large an amount. Is it in yuan?")
    if fen != fen.to_integral_value():
        raise CellFault("Has parts of a fen. Round it to two decimals.")
    return int(fen)


def amount_paid_fen(text: str) -> int:
    """Read an amount that is promised or paid: above zero."""
    fen = amount_fen(text)
    if fen <= 0:
        raise CellFault("Must be above zero. Correct an earlier row under that row's own reference.")
    return fen


def day(text: str) -> date:
    """Read 2026-01-05, 2026/1/5, 2026.1.5, 20260105 or 2026年1月5日; a midnight behind it is dropped."""
    plain = re.sub(r"[ T]0{1,2}:00(:00)?(\.0+)?$", "", narrow(text))
    found = _DATE.match(plain)
    parts = (found[1], found[3], found[4]) if found else None
    if parts is None and (compact := _COMPACT_DATE.match(plain)):
        parts = compact.groups()
    if parts is None:
        raise CellFault("Must be a date such as 2026-01-05, 2026/1/5 or 20260105.")
    try:
        found_day = date(*map(int, parts))
    except ValueError:
        raise CellFault("Is a date that does not exist. Correct it.") from None
    if not 1900 <= found_day.year <= 2200:
        raise CellFault("Is a date outside 1900-2200. Correct it.")
    return found_day


def instant(text: str) -> datetime:
    """Read a date with a time of day; without an offset it is China time."""
    plain = re.sub(r"\s*(?=[+-]\d{2}:?\d{2}$)", "", narrow(text).strip(), count=1)
    date_part, _, clock_part = plain.replace("T", " ").partition(" ")
    clock = _CLOCK.match(clock_part.strip())
    if clock is None:
        raise CellFault("Must be a date and a time such as 2026-01-05 14:30 (China time) or with an offset.")
    on = day(date_part)
    try:
        zone = CHINA if clock[4] is None else datetime.strptime(clock[4], "%z").tzinfo
        at = time(int(clock[1]), int(clock[2]), int(clock[3] or 0), tzinfo=zone)
        return datetime.combine(on, at).astimezone(UTC)
    except ValueError:
        raise CellFault("Is a time that does not exist. Correct it.") from None


def moment(text: str) -> datetime:
    """Read a date with a time of day, or a date alone: then the beginning of that day in China."""
    if ":" in narrow(text):
        return instant(text)
    return datetime.combine(day(text), time(0), CHINA).astimezone(UTC)


def yes_or_no(text: str) -> bool:
    """Read yes and no in the ways spreadsheets write them."""
    word = narrow(text).lower()
    if word in ("true", "yes", "y", "1", "是", "有", "√"):
        return True
    if word in ("false", "no", "n", "0", "否", "无", "×"):
        return False
    raise CellFault("Must be true or false (是 or 否).")


def whole_number(least: int, most: int) -> Reader:
    """Read a whole number of a range."""

    def read(text: str) -> int:
        plain = narrow(text)
        if not re.fullmatch(r"\d{1,9}", plain, re.ASCII) or not least <= int(plain) <= most:
            raise CellFault(f"Must be a whole number from {least} to {most}.")
        return int(plain)

    return read


def degrees(most: int) -> Reader:
    """Read a latitude (most 90) or longitude (most 180)."""

    def read(text: str) -> float:
        plain = narrow(text)
        if not re.fullmatch(r"-?\d{1,3}(\.\d{1,17})?", plain, re.ASCII) or abs(float(plain)) > most:
            raise CellFault(f"Must be decimal degrees from -{most} to {most}, such as 39.9087.")
        return float(plain)

    return read


def one_of(words: dict[str, str]) -> Reader:
    """Read one of some words; keys are what may be written (lower case), values what it means."""
    allowed = ", ".join(dict.fromkeys(words.values()))

    def read(text: str) -> str:
        meaning = words.get(narrow(text).lower())
        if meaning is None:
            raise CellFault(f"Must be one of: {allowed}.")
        return meaning

    return read


def several(read_one: Reader) -> Reader:
    """Read a list of words, separated by semicolons, commas or bars."""

    def read(text: str) -> list[str]:
        words = [word.strip() for word in re.split(r"[;;,,、|]", text)]
        return sorted({read_one(word) for word in words if word})

    return read
