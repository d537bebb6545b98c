"""Admission: nothing a phone sends is an exception, and a name means the same bytes for ever."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.admission import admit, examine
from sync.envelope import DeviceKey, PublicKey
from sync.protocol import ITEM, Envelope, PushedItem, Signature
from tests.sync.made import DEVICE, an_item, pushed, sha

KEY = DeviceKey.generate()
PUBLIC = PublicKey.from_spki(KEY.spki, algorithm="ed25519")


def test_a_good_item_has_no_problem() -> None:
    item = an_item()

    candidate = examine(pushed(item, KEY), device_id=DEVICE, key=PUBLIC)

    assert (candidate.item, candidate.problem, candidate.flags) == (item, None, ())


def bare(payload: bytes, *, payload_type: str = ITEM, key: DeviceKey = KEY) -> PushedItem:
    return PushedItem(id=uuid4(), seq=1, prev=None, envelope=key.seal(payload_type, payload))


@pytest.mark.parametrize(
    ("sent", "slug"),
    [
        (bare(b"{}", payload_type="text/plain"), "payload-type-unknown"),
        (bare(b"{}", key=DeviceKey.generate()), "signature-wrong"),
        (PushedItem(uuid4(), 1, None, Envelope(ITEM, b"{}", ())), "signature-wrong"),
        (bare(b"\xff"), "item-unreadable"),
        (bare(b"{}"), "item-unreadable"),
        (pushed(an_item(device_id=uuid4()), KEY), "item-of-another-device"),
        (pushed(an_item(), KEY, id=uuid4()), "wrapper-mismatch"),
        (pushed(an_item(), KEY, seq=2), "wrapper-mismatch"),
        (pushed(an_item(), KEY, prev=sha("x")), "wrapper-mismatch"),
    ],
    ids=["type", "stranger", "unsigned", "noise", "empty", "device", "other-id", "other-seq", "other-prev"],
)
def test_what_is_wrong_with_an_item_becomes_its_problem(sent: PushedItem, slug: str) -> None:
    problem = examine(sent, device_id=DEVICE, key=PUBLIC).problem

    assert problem is not None and problem["slug"] == slug and problem["detail"]


@given(st.binary(max_size=100), st.text(max_size=20), st.binary(max_size=70))
def test_examining_noise_never_raises(payload: bytes, payload_type: str, sig: bytes) -> None:
    noise = PushedItem(uuid4(), 1, None, Envelope(payload_type, payload, (Signature("k", sig),)))

    assert examine(noise, device_id=DEVICE, key=PUBLIC).problem is not None


def test_names_are_new_then_repeats_then_conflicts_also_within_one_batch() -> None:
    item = an_item()
    same, other = pushed(item, KEY), pushed(an_item(item_id=item.item_id, seq=2), KEY)
    candidates = [examine(one, device_id=DEVICE, key=PUBLIC) for one in (same, same, other)]

    assert admit(candidates, {}) == ["new", "duplicate", "conflicting"]
    assert admit(candidates, {item.item_id: candidates[0].digest}) == [
        "duplicate",
        "duplicate",
        "conflicting",
    ]
    assert admit(candidates, {item.item_id: sha("x")}) == ["conflicting"] * 3
