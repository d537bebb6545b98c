"""What pictures and recordings tell of themselves: on both sides of each threshold, and the honest phone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from server.reconcile.engine import reconcile
from server.reconcile.facts import EvidenceFact, GapExplained, Image, Limits, Sound
from server.reconcile.finding import Finding
from tests.reconcile.honest import (
    AWAY,
    BADGE,
    HOME,
    HONEST,
    OVERDUE,
    SOON,
    TEN,
    a_photo,
    a_recording,
    at,
    minutes,
    with_account,
    with_evidence,
)

PHONE, LENT = UUID(int=5), UUID(int=6)


def found(**changes: Any) -> list[tuple[str, str]]:
    """Check and severity of what the honest visit with these changes raises."""
    return [(one.check, one.severity) for one in findings(**changes)]


def findings(**changes: Any) -> tuple[Finding, ...]:
    return reconcile(replace(HONEST, **changes), Limits()).findings


def a_sound(seconds: float = 1190, **facts: Any) -> EvidenceFact:
    return a_recording(sound=Sound(seconds, 200, **facts))


EDITING = [
    ("an editor's name", ("editor-software",), [("media-edited", "serious")]),
    ("a history of edits", ("edit-history",), [("media-edited", "serious")]),
    ("turned in the gallery", ("changed-later",), [("media-edited", "note")]),
    ("two weak traces", ("changed-later", "editor-block"), [("media-edited", "minor")]),
    ("none", (), []),
    ("a trace of a later release", ("of-the-future",), []),
]


@pytest.mark.parametrize(
    ("traces", "expected"), [row[1:] for row in EDITING], ids=[row[0] for row in EDITING]
)
def test_only_strong_traces_of_editing_weigh(
    traces: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    photo = a_photo(image=Image(editing=traces, software="whatever"))

    assert found(**with_evidence(photo, a_recording())) == expected


def test_a_weak_trace_beside_a_strong_one_makes_it_no_less_sure() -> None:
    (one,) = findings(
        **with_evidence(a_photo(image=Image(editing=("editor-software", "changed-later"))), a_recording())
    )

    assert (one.severity, one.confidence) == ("serious", 0.8)
    assert one.observation["traces"] == ["changed-later", "editor-software"]


def test_a_picture_that_has_not_arrived_is_not_judged() -> None:
    photo = a_photo(state="uploading", image=Image(editing=("editor-software",)))

    assert found(**with_evidence(photo, a_recording())) == []


def test_the_picture_of_another_camera_is_cited() -> None:
    own = [a_photo(n, device_id=PHONE, image=Image(camera="HUAWEI ELE-AL00")) for n in (40, 41)]
    other = a_photo(42, device_id=PHONE, image=Image(camera="Apple iPhone 15"))

    (one,) = findings(**with_evidence(*own, other, a_recording()))

    assert (one.check, one.severity, one.citation["evidence_id"]) == ("other-camera", "minor", str(other.id))
    assert one.observation["others"] == ["HUAWEI ELE-AL00"]


@pytest.mark.parametrize(
    "photos",
    [
        [(PHONE, "HUAWEI ELE-AL00"), (LENT, "Apple iPhone 15")],
        [(PHONE, "HUAWEI ELE-AL00"), (PHONE, None)],
        [(PHONE, "HUAWEI ELE-AL00"), (PHONE, "HUAWEI ELE-AL00")],
    ],
    ids=["two phones", "a program that leaves it out", "one camera"],
)
def test_cameras_that_agree_or_say_nothing_are_no_finding(photos: list[tuple[UUID, str | None]]) -> None:
    taken = [
        a_photo(40 + n, device_id=phone, image=Image(camera=camera))
        for n, (phone, camera) in enumerate(photos)
    ]

    assert found(**with_evidence(*taken, a_recording())) == []


BAD = Image(is_dark=True, edge=900)


@pytest.mark.parametrize(
    ("badges", "expected"),
    [
        ([BAD], [("photo-unusable", "minor")]),
        ([Image(is_blurred=True, edge=900), BAD], [("photo-unusable", "minor")]),
        ([Image(edge=239)], [("photo-unusable", "minor")]),
        ([Image(edge=240)], []),
        ([BAD, Image(edge=900)], []),
        ([BAD, None], []),
    ],
    ids=["dark", "all bad", "one pixel short", "just large enough", "one is good", "one is not inspected"],
)
def test_a_badge_must_be_seen_on_one_picture(
    badges: list[Image | None], expected: list[tuple[str, str]]
) -> None:
    pictures = tuple(replace(BADGE, id=UUID(int=50 + n), image=image) for n, image in enumerate(badges))

    assert found(evidence=(*pictures, a_photo(), a_recording())) == expected


def test_a_dark_door_is_the_night() -> None:
    assert found(**with_evidence(a_photo(image=BAD), a_recording())) == []


GAPS = [
    ("a call of a minute", ((300.0, 360.0),), []),
    ("a little more", ((300.0, 360.5),), [("recording-gaps", "minor")]),
    ("two that sum up", ((300.0, 340.0), (500.0, 540.0)), [("recording-gaps", "minor")]),
    ("just under a fifth", ((300.0, 537.9),), [("recording-gaps", "minor")]),
    ("a fifth of it", ((300.0, 538.0),), [("recording-gaps", "serious")]),
]


@pytest.mark.parametrize(("gaps", "expected"), [row[1:] for row in GAPS], ids=[row[0] for row in GAPS])
def test_missing_stretches_count_beyond_a_call(
    gaps: tuple[tuple[float, float], ...], expected: list[tuple[str, str]]
) -> None:
    assert found(**with_evidence(a_photo(), a_sound(gaps=gaps))) == expected


def test_gaps_cite_the_longest_one_and_every_second() -> None:
    (one,) = findings(**with_evidence(a_photo(), a_sound(gaps=((10.0, 20.0), (300.0, 400.0)))))

    assert one.citation["second"] == 300.0
    assert one.citation["places"] == [{"second": 10.0, "until": 20.0}, {"second": 300.0, "until": 400.0}]


def test_an_explanation_covers_its_file_or_the_whole_visit() -> None:
    gaps = with_evidence(a_photo(), a_sound(gaps=((300.0, 600.0),)))
    named, whole, other = (GapExplained(one) for one in (a_recording().id, None, UUID(int=77)))

    assert found(**gaps, gaps_explained=(named,)) == found(**gaps, gaps_explained=(whole,)) == []
    assert found(**gaps, gaps_explained=(other,)) == [("recording-gaps", "serious")]


SILENCE = [
    ("five minutes", {"silence": ((0.0, 300.0),)}, [("recording-silent", "minor")]),
    ("a second less", {"silence": ((0.0, 299.0),)}, []),
    ("many short ones", {"silence": tuple((n * 100.0, n * 100.0 + 90) for n in range(10))}, []),
    ("a pause of the recorder", {"silence": ((0.0, 310.0),), "gaps": ((5.0, 62.0),)}, []),
]


@pytest.mark.parametrize(("sound", "expected"), [row[1:] for row in SILENCE], ids=[row[0] for row in SILENCE])
def test_a_long_silence_is_noted_where_somebody_was_met(
    sound: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert found(**with_evidence(a_photo(), a_sound(**sound))) == expected


def test_silence_where_nobody_was_met_is_what_there_is_to_hear() -> None:
    alone = with_account(narrative="家中无人。", met="nobody", outcome="not_home")

    assert found(**alone, **with_evidence(a_photo(), a_sound(silence=((0.0, 900.0),)))) == []


@pytest.mark.parametrize(("share", "checks"), [(0.049, []), (0.05, [("recording-clipped", "note")])])
def test_a_recording_at_full_scale_is_noted(share: float, checks: list[tuple[str, str]]) -> None:
    assert found(**with_evidence(a_photo(), a_sound(clipped=share))) == checks


MADE = [
    ("as it began", TEN, []),
    ("ten minutes before", SOON - minutes(10), []),
    ("eleven minutes before", SOON - minutes(11), [("recording-time-differs", "serious")]),
    ("the town's time, called UTC", TEN + timedelta(hours=8, minutes=5), []),
    ("yesterday", TEN - timedelta(days=1), [("recording-time-differs", "serious")]),
    ("a recorder without a clock", datetime(1904, 1, 1, tzinfo=UTC), []),
    ("a recorder after a flat battery", datetime(1970, 1, 1, tzinfo=UTC), []),
]


@pytest.mark.parametrize(("made", "expected"), [row[1:] for row in MADE], ids=[row[0] for row in MADE])
def test_a_file_s_own_time_is_held_against_its_capture(
    made: datetime, expected: list[tuple[str, str]]
) -> None:
    assert found(**with_evidence(a_photo(), a_sound(recorded_at=made))) == expected


@pytest.mark.parametrize(
    ("hour", "expected"),
    [(10, []), (9, [("photo-time-differs", "minor")])],
    ids=["town's time", "an hour off"],
)
def test_a_camera_without_an_offset_shows_the_town_s_time(hour: int, expected: list[tuple[str, str]]) -> None:
    photo = a_photo(image=Image(taken_local=datetime(2026, 11, 24, hour, 2)))

    assert found(**with_evidence(photo, a_recording())) == expected


def test_where_the_phone_was_counts_beside_where_the_picture_says() -> None:
    elsewhere = with_evidence(a_photo(place=AWAY), a_recording())
    both = with_evidence(a_photo(place=AWAY, image=Image(place=AWAY)), a_recording())
    mocked = with_evidence(a_photo(place=replace(AWAY, mock=True)), a_recording())

    assert found(**elsewhere) == [("photo-elsewhere", "serious")]
    assert found(**both) == [("photo-elsewhere", "severe")]
    assert found(**mocked) == found(**with_evidence(a_photo(place=HOME), a_recording())) == []


LOCAL = datetime(2026, 11, 24, 10, 2)  # SOON as the town's clocks show it
PLACED = [
    ("on the spot", {"taken_at": SOON, "placed_at": SOON}, ["photo-elsewhere"]),
    ("just now", {"taken_at": SOON, "placed_at": SOON - minutes(10)}, ["photo-elsewhere"]),
    ("in the office, before", {"taken_at": SOON, "placed_at": SOON - minutes(11)}, []),
    ("and no offset named", {"taken_local": LOCAL, "placed_at": SOON - minutes(11)}, []),
    ("nobody knows when", {"taken_at": SOON}, ["photo-elsewhere"]),
    ("the picture has no time", {"placed_at": SOON - minutes(90)}, ["photo-elsewhere"]),
    ("by the town's time", {"taken_at": SOON, "placed_at": SOON + timedelta(hours=8)}, ["photo-elsewhere"]),
    (
        "in a picture of yesterday",
        {"taken_at": SOON - timedelta(days=1), "placed_at": SOON - timedelta(days=1)},
        ["photo-elsewhere", "photo-time-differs"],
    ),
]


@pytest.mark.parametrize(("says", "expected"), [row[1:] for row in PLACED], ids=[row[0] for row in PLACED])
def test_a_place_that_is_older_than_its_picture_says_nothing(
    says: dict[str, Any], expected: list[str]
) -> None:
    photo = a_photo(image=Image(place=AWAY, **says))

    assert [check for check, _ in found(**with_evidence(photo, a_recording()))] == expected


def test_where_the_phone_was_counts_although_the_picture_s_place_is_old() -> None:
    old = Image(place=AWAY, taken_at=SOON, placed_at=SOON - minutes(60))

    assert found(**with_evidence(a_photo(place=AWAY, image=old), a_recording())) == [
        ("photo-elsewhere", "serious")
    ]


def a_part(n: int, start: float, seconds: float, speech: float = 100, **facts: Any) -> EvidenceFact:
    """A recording that begins so many minutes after the arrival."""
    begins = TEN + minutes(start)
    return a_photo(
        n,
        **{
            "when": begins,
            "kind": "audio",
            "purpose": "recording",
            "sound": Sound(seconds, speech),
            "captured_until": at(begins + timedelta(seconds=seconds)),
            **facts,
        },
    )


def of_recordings(*parts: EvidenceFact, **changes: Any) -> list[str]:
    return [check for check, _ in found(evidence=(BADGE, a_photo(), *parts), **changes)]


@pytest.mark.parametrize("speech", [0, 100])
@pytest.mark.parametrize(
    "on_its_way", [{"state": "uploading", "sound": None}, {"is_inspected": False, "sound": None}]
)
def test_a_recording_that_is_still_on_its_way_is_waited_for(
    speech: float, on_its_way: dict[str, Any]
) -> None:
    rest = a_part(21, 5, 900, **on_its_way)

    assert of_recordings(a_part(20, 0, 300, speech), rest) == []


def test_a_recording_that_did_not_come_in_time_is_waited_for_no_longer() -> None:
    rest = a_part(21, 5, 900, state="uploading", sound=None)

    assert "recording-too-short" in of_recordings(a_part(20, 0, 300), rest, **OVERDUE)


def test_a_video_without_sound_is_not_waited_for() -> None:
    mute = a_part(21, 5, 900, kind="video", sound=None)

    assert of_recordings(a_part(20, 0, 300), mute) == ["recording-too-short"]


def test_a_recording_that_was_explained_as_it_broke_off_is_incomplete_and_no_lie() -> None:
    whole, named, other = (GapExplained(one) for one in (None, UUID(int=20), UUID(int=77)))
    short: dict[str, Any] = with_evidence(a_photo(), a_recording(seconds=60, speech=20))
    mute: dict[str, Any] = with_evidence(a_photo(), a_recording(speech=0.4))

    for gap in (whole, named):
        assert found(**short, gaps_explained=(gap,)) == [("recording-too-short", "minor")]
        assert found(**mute, gaps_explained=(gap,)) == [("nobody-speaks", "minor")]
    assert found(**short, gaps_explained=(other,)) == [("recording-too-short", "serious")]
    assert found(**mute, gaps_explained=(other,)) == [("nobody-speaks", "severe")]


TOGETHER = [
    ("the same minutes twice", [(0, 600), (0, 600)], ["recording-too-short"]),
    ("one minute of them twice", [(0, 600), (9, 660)], []),
    ("one after the other", [(0, 600), (10, 600)], []),
    ("in both phones the whole time", [(0, 1190), (0.1, 1190)], []),
    ("the same minutes twice, and three more", [(0, 600), (0, 600), (12, 180)], ["recording-too-short"]),
    ("the same minutes twice, and seven more", [(0, 600), (0, 600), (12, 420)], []),
]


@pytest.mark.parametrize(
    ("parts", "expected"), [row[1:] for row in TOGETHER], ids=[row[0] for row in TOGETHER]
)
def test_recordings_of_the_same_minutes_cover_them_once(
    parts: list[tuple[float, float]], expected: list[str]
) -> None:
    recordings = (a_part(20 + n, start, seconds) for n, (start, seconds) in enumerate(parts))

    assert of_recordings(*recordings) == expected


def test_where_clocks_leave_open_whether_recordings_overlap_the_visitor_is_believed() -> None:
    unsure = at(TEN + minutes(5), doubt=timedelta(minutes=15))
    parts = [a_part(n, 0, 600, captured_from=unsure, captured_until=unsure) for n in (20, 21)]
    unplaced = [a_part(n, 0, 600, captured_from=None, captured_until=None) for n in (20, 21)]

    assert of_recordings(*parts) == []
    assert of_recordings(*unplaced) == []
