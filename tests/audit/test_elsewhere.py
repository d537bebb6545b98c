"""Evidence that serves two visits is found through the index exactly as a comparison with all others does."""

import random
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.jobs import run_worker
from server.media.landmarks import Landmarker
from server.models.evidence import Evidence
from server.models.findings import Finding
from server.models.prints import EXACT_WITHIN, PicturePrint, SoundPrint
from server.models.visits import Visit
from server.workflows.inspection.files import compare_later
from server.workflows.reconciliation import reconcile_visit
from server.workflows.reconciliation.again import later_visits
from server.workflows.reconciliation.elsewhere import reuses
from server.workflows.reconciliation.heard_before import same_sounds
from sync.protocol import uuid7
from tests.builders import a_handset, a_visitor, now
from tests.media.speech import Sound, talk

WHOLE = (1 << 256) - 1


@pytest.fixture
def visits(app: Flask) -> tuple[UUID, UUID]:
    """Two visits of one visitor."""
    visitor = a_visitor()
    handset = a_handset(visitor)
    ids = uuid7(), uuid7()
    with transaction() as session:
        for visit_id in ids:
            session.add(
                Visit(
                    id=visit_id,
                    device_id=handset.device.id,
                    staff_id=visitor.id,
                    team=[visitor.id],
                    arrived_earliest=now(),
                    arrived_latest=now(),
                    arrived_method="anchored",
                    seen_seq=0,
                    first_received_at=now(),
                    evidence_due_at=now() + timedelta(days=3),
                    state="reported",
                )
            )
    return ids


def a_picture(visit_id: UUID, looks: int, *, at: datetime | None = None, state: str = "verified") -> UUID:
    """A photo of this visit that looks like these 256 bits, captured within a second of `at`."""
    at = at or now()
    with transaction() as session:
        visit = session.get_one(Visit, visit_id)
        one = Evidence(
            id=uuid7(),
            visit_id=visit_id,
            device_id=visit.device_id,
            kind="photo",
            state=state,
            sha256=random.randbytes(32),
            captured_from_earliest=at,
            captured_from_latest=at,
            captured_until_earliest=at,
            captured_until_latest=at + timedelta(seconds=1),
        )
        session.add(one)
        session.flush()
        session.add(PicturePrint(evidence_id=one.id, bits=f"{looks:0256b}"))
    return one.id


def a_recording(visit_id: UUID, sound: Sound, *, at: datetime | None = None) -> UUID:
    """A recording of this visit, inspected as the worker does."""
    evidence_id = a_picture(visit_id, 0, at=at)
    landmarker = Landmarker()
    landmarker.hear(sound)
    found = landmarker.finish()
    with transaction() as session:
        session.add(SoundPrint(evidence_id=evidence_id, keys=found.rare, landmarks=found.to_bytes()))
        session.execute(sa.delete(PicturePrint).where(PicturePrint.evidence_id == evidence_id))
    return evidence_id


def differing(looks: int, chance: random.Random, *, bits: int) -> int:
    """The same picture with this many bits flipped, wherever they fall."""
    for bit in chance.sample(range(256), bits):
        looks ^= 1 << bit
    return looks


def test_near_pictures_are_exactly_those_that_a_scan_of_all_finds(visits: tuple[UUID, UUID]) -> None:
    chance = random.Random(5)
    mine, theirs = visits
    yesterday = now() - timedelta(days=1)
    looks = [chance.getrandbits(256) for _ in range(3)]
    pictures = {a_picture(mine, one): one for one in looks}
    others = {
        a_picture(theirs, other, at=yesterday): other
        for one in looks
        for other in [differing(one, chance, bits=bits) for bits in (0, 1, 8, 16, 30, 31, 31, 31, 32, 33, 60)]
        + [chance.getrandbits(256) for _ in range(20)]
    }

    found = {(one.evidence_id, one.other_evidence_id, one.distance) for one in reuses(mine, distance=31)}

    expected = {
        (one, other, (looks ^ others[other]).bit_count())
        for one, looks in pictures.items()
        for other in others
        if (looks ^ others[other]).bit_count() <= 31
    }
    assert found == expected
    assert len(expected) == 24


def test_the_worst_spread_of_31_bits_is_found(visits: tuple[UUID, UUID]) -> None:
    mine, theirs = visits
    spread = sum(3 << (16 * band) for band in range(15)) | 1 << 240
    assert spread.bit_count() == EXACT_WITHIN
    a_picture(mine, WHOLE)
    twin = a_picture(theirs, WHOLE ^ spread, at=now() - timedelta(days=1))

    assert [one.other_evidence_id for one in reuses(mine, distance=EXACT_WITHIN)] == [twin]


def test_a_distance_at_which_the_index_would_miss_pictures_is_refused(app: Flask) -> None:
    with pytest.raises(ValueError, match="no band"):
        reuses(uuid7(), distance=EXACT_WITHIN + 1)


def test_only_verified_pictures_that_came_first_and_elsewhere_count(visits: tuple[UUID, UUID]) -> None:
    mine, theirs = visits
    looks = random.Random(1).getrandbits(256)
    a_picture(mine, looks)
    a_picture(mine, looks)
    a_picture(theirs, looks, at=now() + timedelta(hours=1))
    a_picture(theirs, looks, at=now() - timedelta(hours=1), state="mismatched")

    assert reuses(mine, distance=31) == ()


def test_the_look_up_goes_through_the_index(visits: tuple[UUID, UUID]) -> None:
    a_picture(visits[0], 5)

    db.session.execute(sa.text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(
        db.session.scalars(
            sa.text("EXPLAIN SELECT 1 FROM picture_prints WHERE bands && CAST(ARRAY[1, 2] AS integer[])")
        )
    )

    assert "ix_picture_prints_bands" in plan


def test_a_recording_of_yesterday_is_heard_in_today_s_and_where(visits: tuple[UUID, UUID]) -> None:
    mine, theirs = visits
    yesterday = now() - timedelta(days=1)
    once, another = talk(1, seconds=90), talk(2, seconds=90)
    original = a_recording(theirs, once, at=yesterday)
    a_recording(theirs, another, at=yesterday)
    again = a_recording(mine, once[20 * 16_000 + 123 :])

    (found,) = same_sounds(mine)

    assert (found.evidence_id, found.other_evidence_id, found.other_visit_id) == (again, original, theirs)
    assert found.other_at - found.at == pytest.approx(20, abs=0.2)
    assert found.seconds > 50
    assert found.confidence > 0.9


def test_the_first_of_two_equal_recordings_is_not_the_one_to_doubt(visits: tuple[UUID, UUID]) -> None:
    mine, theirs = visits
    a_recording(mine, talk(1, seconds=60), at=now() - timedelta(days=1))
    a_recording(theirs, talk(1, seconds=60))

    assert same_sounds(mine) == ()
    assert len(same_sounds(theirs)) == 1


# What was captured first may arrive last.


def findings_of(visit_id: UUID) -> list[str]:
    """The reuse findings of a visit, as they stand in the table."""
    query = sa.select(Finding.check).where(Finding.visit_id == visit_id, Finding.check.startswith("same-"))
    found = list(db.session.scalars(query.order_by(Finding.check)))
    db.session.rollback()
    return found


@pytest.mark.parametrize("kind", ["file", "picture", "recording"])
def test_a_later_visit_is_doubted_also_when_the_earlier_evidence_arrives_last(
    app: Flask, visits: tuple[UUID, UUID], kind: str
) -> None:
    mine, theirs = visits
    yesterday = now() - timedelta(days=1)
    looks, sound = random.Random(3).getrandbits(256), talk(1, seconds=60)

    def captured(visit_id: UUID, at: datetime) -> UUID:
        if kind == "recording":
            return a_recording(visit_id, sound, at=at)
        return a_picture(visit_id, looks, at=at)

    captured(mine, now())
    reconcile_visit(now=now(), visit_id=str(mine))
    assert findings_of(mine) == []
    late = captured(theirs, yesterday)
    with transaction() as session:
        evidence = session.get_one(Evidence, late)
        evidence.inspected_at = now()
        if kind == "file":
            other = sa.select(Evidence.sha256).where(Evidence.visit_id == mine)
            evidence.sha256 = session.scalar(other)
            session.execute(sa.delete(PicturePrint))
        session.flush()
        compare_later(evidence)
    run_worker(app, until_idle=True)

    assert findings_of(mine) == [f"same-{kind}"]
    assert findings_of(theirs) == []


def test_visits_whose_evidence_came_certainly_first_are_left_alone(visits: tuple[UUID, UUID]) -> None:
    mine, theirs = visits
    looks = random.Random(4).getrandbits(256)
    first = a_picture(theirs, looks, at=now() - timedelta(days=1))
    again = a_picture(mine, looks)
    unlike = a_picture(mine, looks ^ WHOLE)
    spoiled = a_picture(theirs, looks, state="mismatched")

    assert later_visits(first) == [mine]
    assert later_visits(again) == later_visits(unlike) == later_visits(spoiled) == []
