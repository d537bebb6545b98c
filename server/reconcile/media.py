"""Are the pictures what the phone's camera took, and does one see by them what they are for?

Traces are no proof, and phones leave some themselves: a gallery that turns a picture writes a later time,
iPhones write `photoshop:DateCreated`, a camera names its own firmware. So only the name of an editor and a
history of edits weigh; the rest is noted for whoever looks at the picture anyway.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from server.reconcile.facts import EvidenceFact, Image, Limits, VisitFacts
from server.reconcile.finding import Finding, Severity, cite

STRONG: Final = {"editor-software": 0.8, "edit-history": 0.6}
WEAK: Final = {"changed-later": 0.3, "editor-block": 0.3}
# What a picture of this purpose is for, so that nobody is asked to show more: the rule that wants it seen.
SHOWS: Final = {"badge": "B8", "delivery": "H4", "letter": "H4"}


def media_edited(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Something other than a camera has written the picture (C17)."""
    for one in facts.evidence:
        traces = sorted(set(one.image.editing) & (STRONG.keys() | WEAK.keys())) if one.image else []
        if not one.is_here or not traces:
            continue
        strong = [STRONG[trace] for trace in traces if trace in STRONG]
        weak = [WEAK[trace] for trace in traces if trace in WEAK]
        severity: Severity = "serious" if strong else ("minor" if len(weak) > 1 else "note")
        yield Finding(
            check="media-edited",
            rule="C17",
            severity=severity,
            claim="",
            observation={
                "traces": traces,
                "software": one.image.software if one.image else None,
                "purpose": one.purpose,
            },
            citation=cite(one.id),
            confidence=max(strong) if strong else min(0.5, sum(weak)),
            about=str(one.id),
        )


def other_camera(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """One phone's photos name different cameras: one of them was taken with something else (C17).

    A picture that names none says nothing: many programs leave it out.
    """
    photos: dict[str, list[tuple[EvidenceFact, str]]] = {}
    for one in facts.evidence:
        if one.is_here and one.kind == "photo" and one.image and one.image.camera and one.device_id:
            photos.setdefault(str(one.device_id), []).append((one, one.image.camera))
    for taken in photos.values():
        cameras = Counter(camera for _, camera in taken)
        usual = min(cameras, key=lambda camera: (-cameras[camera], camera))
        if list(cameras.values()).count(cameras[usual]) > 1:
            usual = ""  # as many of each: nothing says which is the phone's own
        for one, camera in taken:
            if len(cameras) > 1 and camera != usual:
                yield Finding(
                    check="other-camera",
                    rule="C17",
                    severity="minor",
                    claim="",
                    observation={"camera": camera, "others": sorted(set(cameras) - {camera})},
                    citation=cite(one.id),
                    confidence=0.5,
                    about=str(one.id),
                )


def photo_unusable(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Nobody can see on it what it should show, and no other picture of that purpose is better (B8, H4).

    A door at night is dark, and no rule wants it seen.
    """
    for purpose, rule in SHOWS.items():
        shown = [
            one
            for one in facts.evidence
            if one.is_here and one.kind == "photo" and one.purpose == purpose and one.image is not None
        ]
        waited_for = any(
            one.purpose == purpose and (not one.is_here or one.image is None) for one in facts.evidence
        )
        faults = {one.id: _faults(one.image, limits) for one in shown if one.image is not None}
        if waited_for or not shown or any(not each for each in faults.values()):
            continue
        best = shown[0]
        yield Finding(
            check="photo-unusable",
            rule=rule,
            severity="minor",
            claim="",
            observation={"purpose": purpose, "why": faults[best.id], "pictures": len(shown)},
            citation=cite(best.id) | {"also": [str(one.id) for one in shown[1:]]},
            confidence=0.7,
            about=purpose,
        )


def _faults(image: Image, limits: Limits) -> list[str]:
    """Say why a person cannot be recognised by it; nothing where the inspection did not measure."""
    found = {
        "blurred": image.is_blurred,
        "dark": image.is_dark,
        "small": image.edge is not None and image.edge < limits.smallest_edge,
    }
    return [fault for fault, is_so in found.items() if is_so]
