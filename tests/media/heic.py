"""Make a real HEIC photo in a test: Pillow's plugin only reads them, so the container is written here.

An HEVC intra picture from x265 (through PyAV) and an EXIF block, in the boxes of ISO/IEC 23008-12.
"""

import struct
from io import BytesIO
from typing import Any

import av
from PIL import Image


def make_heic(picture: Image.Image, *, exif: bytes) -> bytes:
    """Return a HEIC with this picture (even width and height) and this EXIF block ("Exif\\0\\0" + TIFF)."""
    configuration, coded = _hevc(picture)
    block = struct.pack(">I", 6) + exif
    head = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    draft = _meta(picture.size, configuration, at=(0, 0), sizes=(len(coded), len(block)))
    start = len(head) + len(draft) + 8
    meta = _meta(picture.size, configuration, at=(start, start + len(coded)), sizes=(len(coded), len(block)))
    return head + meta + _box(b"mdat", coded + block)


def _hevc(picture: Image.Image) -> tuple[bytes, bytes]:
    """Encode one intra picture; return its hvcC record and its length-prefixed units, cut out of an MP4."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream: Any = output.add_stream("libx265", rate=1, options={"x265-params": "keyint=1:log-level=none"})
        stream.width, stream.height, stream.pix_fmt = *picture.size, "yuv420p"
        stream.codec_context.codec_tag = "hvc1"
        output.mux(stream.encode(av.VideoFrame.from_image(picture)))
        output.mux(stream.encode(None))
    movie = file.getvalue()
    return _content(movie, b"hvcC"), _content(movie, b"mdat")


def _content(movie: bytes, kind: bytes) -> bytes:
    at = movie.index(kind)
    size = int.from_bytes(movie[at - 4 : at])
    return movie[at + 4 : at - 4 + size]


def _meta(
    size: tuple[int, int], configuration: bytes, *, at: tuple[int, int], sizes: tuple[int, int]
) -> bytes:
    entries = [
        _full(b"infe", 2, struct.pack(">HH", 1, 0) + b"hvc1\0"),
        _full(b"infe", 2, struct.pack(">HH", 2, 0) + b"Exif\0"),
    ]
    places = b"".join(struct.pack(">HHHII", item, 0, 1, at[item - 1], sizes[item - 1]) for item in (1, 2))
    properties = _box(b"hvcC", configuration) + _full(b"ispe", 0, struct.pack(">II", *size))
    association = _full(b"ipma", 0, struct.pack(">IHBBB", 1, 1, 2, 0x81, 2))
    parts = (
        _full(b"hdlr", 0, bytes(4) + b"pict" + bytes(13)),
        _full(b"pitm", 0, struct.pack(">H", 1)),
        _full(b"iloc", 0, b"\x44\0" + struct.pack(">H", 2) + places),
        _full(b"iinf", 0, struct.pack(">H", 2) + b"".join(entries)),
        _full(b"iref", 0, _box(b"cdsc", struct.pack(">HHH", 2, 1, 1))),
        _box(b"iprp", _box(b"ipco", properties) + association),
    )
    return _full(b"meta", 0, b"".join(parts))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _full(kind: bytes, version: int, content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24) + content)
