"""In which encoding was this file written, and where do its lines end?

A byte order mark decides; else most of the text does: UTF-8, or GB18030, as Chinese Excel writes it. It is
decided once for the whole file. Bytes that do not decode become U+FFFD, which later faults the one row they
stand in. Lines are cut as bytes: neither encoding uses the line feed inside a character. No line longer than
the limit is held.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from server.intake.faults import FileFault

LONGEST_LINE_BYTES: Final = 64 * 1024
PROBE_BYTES: Final = 1024 * 1024
GB18030_MARK: Final = b"\x84\x31\x95\x33"
LOST: Final = "\ufffd"
SHORT_LEADS: Final = bytes(range(0xC2, 0xE0))
LONG_LEADS: Final = bytes(range(0xE0, 0xF5))
SHORT_PER_LONG: Final = 4
ENOUGH: Final = 1000
UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
WORKBOOK_MARKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How workbooks begin: .xlsx and .et are ZIP files, .xls is an OLE one. No line of text begins so."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, decoded, without its end. `text` is None when it was too long to be held."""

    number: int
    text: str | None


def detect(stream: BinaryIO) -> str:
    """Name the encoding and leave the stream after the byte order mark. The stream must be seekable."""
    head = stream.read(4)
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8"), (GB18030_MARK, "gb18030")):
        if head.startswith(mark):
            stream.seek(len(mark))
            return encoding
    if head.startswith(UTF16_MARKS):
        raise FileFault("The file is UTF-16. Save it as `CSV UTF-8` and send it again.")
    if head in WORKBOOK_MARKS:
        raise FileFault("The file is a workbook, no CSV file. Save its sheet as `CSV UTF-8` and send that.")
    stream.seek(0)
    encoding = _guess(stream)
    stream.seek(0)
    return encoding


def _guess(stream: BinaryIO) -> str:
    """Weigh the characters that UTF-8 finds against the places where it finds none, until there is enough.

    Text in GB18030 breaks UTF-8 at nearly every character. By chance it makes one of two bytes now and then,
    one of three hardly ever; so four short ones weigh as much as a long one. A file in UTF-8 stays so when a
    few of its bytes are damaged. A character cut by the end of a block goes on in the next.
    """
    skipping, marking = (codecs.getincrementaldecoder("utf-8")(errors) for errors in ("ignore", "replace"))
    short = long = damaged = 0
    is_more = True
    while is_more and short + long + damaged < ENOUGH:
        block = stream.read(PROBE_BYTES)
        is_more = bool(block)
        text = skipping.decode(block, final=not is_more)
        damaged += marking.decode(block, final=not is_more).count(LOST) - text.count(LOST)
        sound = text.encode()
        short += _count(SHORT_LEADS, sound)
        long += _count(LONG_LEADS, sound)
    return "utf-8" if not damaged or long + short // SHORT_PER_LONG > damaged else "gb18030"


def _count(these: bytes, text: bytes) -> int:
    return len(text) - len(text.translate(None, these))


def lines(stream: BinaryIO, *, encoding: str) -> Iterator[Line]:
    """Yield every line, numbered from 1."""
    number = 0
    while raw := stream.readline(LONGEST_LINE_BYTES):
        number += 1
        if len(raw) == LONGEST_LINE_BYTES and not raw.endswith(b"\n"):
            rest = stream.readline(LONGEST_LINE_BYTES)
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(LONGEST_LINE_BYTES)
            yield Line(number, None)
            continue
        yield Line(number, raw.decode(encoding, "replace").rstrip("\r\n"))
