"""What did the inspection find in a visit's files, in the words of the checks?"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.models.casework import Incident
from server.models.evidence import Evidence
from server.models.people import Device
from server.models.quarantine import Correction
from server.models.visits import FieldReport, Visit
from server.reconcile.facts import EvidenceFact, GapExplained, Image, Place, Segment, Sound
from server.workflows.reconciliation.shown_clocks import Shown
from sync.clock import Interval


def evidence_fact(
    one: Evidence, heard: Mapping[UUID, tuple[Segment, ...]], shown: Mapping[UUID, Shown]
) -> EvidenceFact:
    """Return one file as the checks see it."""
    inspection = one.inspection or {}
    return EvidenceFact(
        id=one.id,
        kind=one.kind or "unknown",
        purpose=one.purpose or "other",
        state=one.state,
        captured_from=_captured(one.captured_from_earliest, one.captured_from_latest),
        captured_until=_captured(one.captured_until_earliest, one.captured_until_latest),
        place=read_place(one.position),
        image=_image(inspection.get("image")),
        sound=_sound(inspection.get("sound")),
        failed=inspection.get("failed"),
        transcript=heard.get(one.id),
        clock_showed=shown.get(one.id),
        device_id=one.device_id,
        is_inspected=one.inspection is not None,
    )


def read_place(position: Mapping[str, Any] | None) -> Place | None:
    """Return a position as a phone or a picture stated it."""
    if position is None:
        return None
    return Place(
        lat=position["lat"],
        lon=position["lon"],
        accuracy_m=position.get("accuracy_m") or 0.0,
        mock=bool(position.get("mock", False)),
    )


def surveyed(row: Any) -> Place | None:
    """Return an assigned place. GCJ-02 points are off by half a kilometre: they are no measure."""
    if row.latitude is None or row.datum != "WGS-84":
        return None
    return Place(row.latitude, row.longitude)


def gaps_explained(visit: Visit, *, team: Collection[UUID]) -> tuple[GapExplained, ...]:
    """Return what was said of pauses in this visit: by the phone itself, or as an incident with the recorder.

    `evidence_id` in the body names the file; without it, or with one that is no id, the whole visit is meant.
    Only the office and those who were there can say so (`team`: who was sent): any phone may name any visit.
    """
    theirs = sa.select(Device.id).where(Device.staff_id.in_({visit.staff_id, *visit.team, *team}))
    told = sa.select(FieldReport.body["evidence_id"].astext.label("evidence_id")).where(
        FieldReport.visit_id == visit.id,
        FieldReport.type == "gap.explained",
        sa.or_(FieldReport.device_id.in_(theirs), sa.exists().where(Correction.id == FieldReport.item_id)),
    )
    broken = sa.select(sa.null().label("evidence_id")).where(
        Incident.visit_id == visit.id,
        Incident.kind == "recorder_failure",
        sa.or_(Incident.raised_by_device.is_(None), Incident.raised_by_device.in_(theirs)),
    )
    named = db.session.scalars(sa.union_all(told, broken).limit(100)).all()
    return tuple(sorted((GapExplained(_id(one)) for one in named), key=lambda one: str(one.evidence_id)))


def _id(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None


def _captured(earliest: datetime | None, latest: datetime | None) -> Interval | None:
    if earliest is None or latest is None:
        return None
    return Interval(earliest=earliest, latest=latest, method="wall")


def _image(image: Mapping[str, Any] | None) -> Image | None:
    if image is None:
        return None
    named = [image.get(name) for name in ("make", "model")]
    taken_at, local, placed_at = (image.get(name) for name in ("taken_at", "taken_local", "gps_at"))
    edges = [edge for name in ("width", "height") if (edge := image.get(name)) is not None]
    return Image(
        taken_at=datetime.fromisoformat(taken_at) if taken_at else None,
        place=read_place(image.get("position")),
        placed_at=datetime.fromisoformat(placed_at) if placed_at else None,
        taken_local=datetime.fromisoformat(local) if local else None,
        camera=" ".join(filter(None, named)) or None,
        software=image.get("software"),
        editing=tuple(image.get("editing") or ()),
        is_blurred=bool(image.get("is_blurred")),
        is_dark=bool(image.get("is_dark")),
        edge=min(edges, default=None),
    )


def _sound(sound: Mapping[str, Any] | None) -> Sound | None:
    if sound is None:
        return None
    return Sound(
        duration_seconds=sound["duration_seconds"],
        speech_seconds=sound["speech_seconds"],
        gaps=_stretches(sound.get("gaps")),
        silence=_stretches(sound.get("silence")),
        clipped=sound.get("clipped_fraction") or 0.0,
        recorded_at=_made_at(sound.get("recorded_at")),
    )


def _stretches(found: Any) -> tuple[tuple[float, float], ...]:
    return tuple((start, until) for start, until in found or ())


def _made_at(text: str | None) -> datetime | None:
    """Return the time in a container, UTC where it names no offset; None for what is no time."""
    try:
        made = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return made if made.tzinfo else made.replace(tzinfo=UTC)
