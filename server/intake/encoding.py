"""In which encoding was this file written, and where do its lines end?

A byte order mark decides; else UTF-8 if the text reads as such, else GB18030, as Chinese Excel writes it.
Bytes that do not decode become U+FFFD, which later faults the one row they stand in. Lines are cut as
bytes: neither encoding uses the line feed inside a character. No line longer than the limit is held.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from server.intake.faults import FileFault

LONGEST_LINE_BYTES: Final = 64 * 1024
PROBE_BYTES: Final = 1024 * 1024
GB18030_MARK: Final = b"\x84\x31\x95\x33"
UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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
    stream.seek(0)
    encoding = _guess(stream)
    stream.seek(0)
    return encoding


def _guess(stream: BinaryIO) -> str:
    """Judge the first block that is not plain ASCII; a character cut by the block's end is no evidence."""
    while block := stream.read(PROBE_BYTES):
        if block.isascii():
            continue
        more = stream.read(3)
        try:
            codecs.getincrementaldecoder("utf-8")("strict").decode(block + more, final=len(more) < 3)
        except UnicodeDecodeError:
            return "gb18030"
        return "utf-8"
    return "utf-8"


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
