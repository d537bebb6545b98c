"""When, where and by what device does a photo say it was taken? Values are claims, broken ones left out."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from PIL import ExifTags, Image

_TEXT_LIMIT = 200
_BROKEN = (ValueError, TypeError, ZeroDivisionError, OverflowError, IndexError, KeyError, SyntaxError)


def read_exif(exif: Image.Exif) -> dict[str, Any]:
    """Return the ImageFacts fields that EXIF tells, leaving out what is absent or unreadable."""
    detail = _directory(exif, ExifTags.IFD.Exif)
    gps = _directory(exif, ExifTags.IFD.GPSInfo)
    found = {
        "make": _text(exif.get(ExifTags.Base.Make)),
        "model": _text(exif.get(ExifTags.Base.Model)),
        "software": _text(exif.get(ExifTags.Base.Software)),
        "position": _position(gps),
        "gps_at": _gps_time(gps),
        **_taken(exif, detail),
    }
    return {name: value for name, value in found.items() if value is not None}


def _directory(exif: Image.Exif, which: int) -> Mapping[int, Any]:
    try:
        return exif.get_ifd(which)
    except _BROKEN:
        return {}


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    return value.replace("\0", "").strip()[:_TEXT_LIMIT] or None


def _taken(exif: Image.Exif, detail: Mapping[int, Any]) -> dict[str, str]:
    tags = ExifTags.Base
    written = _text(detail.get(tags.DateTimeOriginal)) or _text(exif.get(tags.DateTime))
    if written is None:
        return {}
    try:
        local = datetime.strptime(written, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return {}
    found = {"taken_local": local.isoformat()}
    offset = _text(detail.get(tags.OffsetTimeOriginal)) or _text(detail.get(tags.OffsetTime))
    try:
        taken_at = datetime.strptime(f"{written} {offset}", "%Y:%m:%d %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return found
    return {**found, "utc_offset": str(offset), "taken_at": taken_at.isoformat()}


def _position(gps: Mapping[int, Any]) -> dict[str, float | None] | None:
    tags = ExifTags.GPS
    try:
        latitude = _angle(gps[tags.GPSLatitude], negative=gps.get(tags.GPSLatitudeRef) == "S")
        longitude = _angle(gps[tags.GPSLongitude], negative=gps.get(tags.GPSLongitudeRef) == "W")
    except _BROKEN:
        return None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or (latitude, longitude) == (0.0, 0.0):
        return None
    return {"lat": latitude, "lon": longitude, "accuracy_m": _accuracy(gps)}


def _accuracy(gps: Mapping[int, Any]) -> float | None:
    try:
        accuracy = float(gps[ExifTags.GPS.GPSHPositioningError])
    except _BROKEN:
        return None
    return accuracy if math.isfinite(accuracy) and accuracy >= 0 else None


def _angle(parts: Any, *, negative: bool) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    angle = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(angle):
        raise ValueError("an angle that is no number")
    return round(-angle if negative else angle, 7)


def _gps_time(gps: Mapping[int, Any]) -> str | None:
    try:
        day = datetime.strptime(str(gps[ExifTags.GPS.GPSDateStamp]), "%Y:%m:%d").replace(tzinfo=UTC)
        hour, minute, second = (int(float(part)) for part in gps[ExifTags.GPS.GPSTimeStamp])
        return day.replace(hour=hour, minute=minute, second=second).isoformat()
    except _BROKEN:
        return None
