"""The office's rescue key reaches its phones, signed, and what they lock with it only this office opens."""

import base64
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask

from server.signing import Signer, current_signer
from sync.envelope import PublicKey
from sync.phone import Phone
from sync.protocol import PushedItem
from sync.rescue import FileStream, RescueFault, check_bundle, open_bundle
from tests.builders import a_visitor
from tests.phones import a_phone, office


@pytest.fixture
def phone(app: Flask, tmp_path: Path) -> Iterator[Phone]:
    handset = a_phone(a_visitor(), tmp_path / "phone")
    yield handset
    handset.close()


def test_a_phone_that_pulled_once_can_lock_for_this_office(app: Flask, phone: Phone, tmp_path: Path) -> None:
    with office(app) as http:
        phone.sync(http)
    item = phone.record("incident.raised", {"kind": "other", "text": "狗"})
    photo = phone.capture(b"jpeg", visit_id=uuid4(), kind="photo", purpose="door", mime="image/jpeg")
    key = PublicKey.from_spki(phone.key.spki, algorithm="ed25519")

    (path,) = phone.export_rescue(tmp_path)

    with path.open("rb") as source:
        bundle = open_bundle(source, openers=[current_signer().rescue], key_of=lambda device_id: key)
        found = {
            one.file.evidence_id if isinstance(one, FileStream) else one.id: one for one in bundle.contents()
        }
    assert next(iter(found)) == item and photo in found and isinstance(found[item], PushedItem)
    other = Signer.from_seed(b"\x09" * 32, secret=b"").rescue
    with path.open("rb") as source, pytest.raises(RescueFault, match="another office"):
        check_bundle(source, openers=[other], key_of=lambda device_id: key)


def test_the_key_stays_the_same_and_is_not_the_signing_key(app: Flask) -> None:
    signer = current_signer()
    again = Signer.from_seed(signer.key.private_bytes_raw(), secret=signer.secret)

    assert again.rescue.public == signer.rescue.public
    assert signer.rescue.public.raw != signer.key.public_key().public_bytes_raw()
    assert base64.b64encode(signer.rescue.public.raw).decode() not in repr(signer)
