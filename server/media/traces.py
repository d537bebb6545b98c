"""Does a photo show that something other than a camera has written it?

Traces, not proof: a phone's own gallery leaves some, and whoever wants to deceive removes them. Each trace is
a word that a check can name.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from PIL import ExifTags, Image

EDITOR_SOFTWARE: Final = "editor-software"
CHANGED_LATER: Final = "changed-later"
EDITOR_BLOCK: Final = "editor-block"
EDIT_HISTORY: Final = "edit-history"

_EDITORS: Final = (
    "photoshop", "lightroom", "gimp", "snapseed", "picsart", "pixelmator", "affinity", "paint.net", "acdsee",
    "facetune", "meitu", "美图", "xingtu", "醒图", "faceapp", "canva", "photopea", "krita", "imagemagick",
)  # fmt: skip
# Not the whole namespace of Photoshop: untouched iPhone pictures carry `photoshop:DateCreated`.
_HISTORY: Final = (
    b"xmpMM:History", b"stEvt:action", b"photoshop:History", b"photoshop:DocumentAncestors",
    b"photoshop:TextLayers", b"crs:HasSettings", b"crs:RawFileName", b"crs:AlreadyApplied",
)  # fmt: skip
_BROKEN: Final = (ValueError, TypeError, KeyError, IndexError, SyntaxError, OverflowError)
_SAME_MOMENT: Final = timedelta(minutes=2)


def traces_of_editing(picture: Image.Image, exif: Image.Exif) -> list[str]:
    """Name the traces, in a fixed order."""
    software, make = (
        str(exif.get(tag) or "").lower() for tag in (ExifTags.Base.Software, ExifTags.Base.Make)
    )
    found = {
        # A camera may be called like its maker's editor (Meitu builds both): then it is the camera's word.
        EDITOR_SOFTWARE: any(name in software and name not in make for name in _EDITORS),
        CHANGED_LATER: _is_changed_later(exif),
        EDITOR_BLOCK: "photoshop" in picture.info or _has_adobe_resources(picture),
        EDIT_HISTORY: any(word in _xmp(picture.info) for word in _HISTORY),
    }
    return [trace for trace, is_there in found.items() if is_there]


def _is_changed_later(exif: Image.Exif) -> bool:
    """Whether the file says it was written minutes after the picture was taken."""
    try:
        taken = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        changed = exif.get(ExifTags.Base.DateTime)
        moments = [datetime.strptime(str(one).strip("\0 "), "%Y:%m:%d %H:%M:%S") for one in (taken, changed)]
    except _BROKEN:
        return False
    return moments[1] - moments[0] > _SAME_MOMENT


def _has_adobe_resources(picture: Image.Image) -> bool:
    """Whether a JPEG carries the block in which Adobe's programs keep their own settings (APP13)."""
    return any(marker == "APP13" for marker, _ in getattr(picture, "applist", []))


def _xmp(info: Mapping[Any, Any]) -> bytes:
    packet = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    return packet.encode("utf-8", "replace") if isinstance(packet, str) else bytes(packet)
