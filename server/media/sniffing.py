"""What kind of file do the first bytes say it is, whatever its label says?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """A file format: the type we name it by, the labels honest for it, and FFmpeg's reader if any."""

    mime: str
    honest: frozenset[str]
    reader: str | None = None


def _family(mime: str, *others: str, reader: str | None = None) -> Family:
    return Family(mime=mime, honest=frozenset({mime, *others}), reader=reader)


JPEG = _family("image/jpeg", "image/jpg", "image/pjpeg")
PNG = _family("image/png", "image/x-png")
WEBP = _family("image/webp")
HEIC = _family("image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence")
PDF = _family("application/pdf")
WAV = _family("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", reader="wav")
OGG = _family("audio/ogg", "application/ogg", "audio/opus", "video/ogg", reader="ogg")
WEBM = _family("audio/webm", "video/webm", "audio/x-matroska", "video/x-matroska", reader="matroska")
MP4 = _family(
    "audio/mp4",
    "audio/m4a",
    "audio/x-m4a",
    "audio/aac",
    "video/mp4",
    "video/quicktime",
    "audio/3gpp",
    "video/3gpp",
    reader="mov",
)
AMR = _family("audio/amr", "audio/3gpp", reader="amr")
MP3 = _family("audio/mpeg", "audio/mp3", reader="mp3")

IMAGES = frozenset({JPEG, PNG, WEBP, HEIC})
FAMILIES_OF_SOUND = {family.mime: family for family in (WAV, OGG, WEBM, MP4, AMR, MP3)}
SNIFF_BYTES = 64
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_UNLABELLED = {"", "application/octet-stream", "binary/octet-stream"}
_STARTS = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"%PDF-", PDF),
    (b"OggS", OGG),
    (b"\x1a\x45\xdf\xa3", WEBM),
    (b"#!AMR", AMR),
    (b"ID3", MP3),
)


def sniff(head: bytes) -> Family | None:
    """Name the format that these first bytes (SNIFF_BYTES are enough) belong to."""
    for start, family in _STARTS:
        if head.startswith(start):
            return family
    if head[:4] == b"RIFF":
        return {b"WEBP": WEBP, b"WAVE": WAV}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return HEIC if head[8:12] in _HEIF_BRANDS else MP4
    return None


def is_mislabelled(claimed_mime: str, family: Family | None) -> bool:
    """Whether the label names another format than the bytes. No label is not a wrong one."""
    label = claimed_mime.split(";")[0].strip().lower()
    return label not in _UNLABELLED and (family is None or label not in family.honest)
