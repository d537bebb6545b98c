"""A bank checks a visit on its own machine: what is whole passes, and one altered bit is named."""

import base64
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Actor, Role
from server.database import transaction
from server.ledger.bundle import sentences, verify
from server.ledger.bundle_parts import NoBundle
from server.models.dispatch import Assignment
from server.models.findings import Finding
from server.signing import PERMIT, current_signer
from server.workflows.auditing import deciding
from sync.phone import claims_of
from sync.protocol import uuid7
from tests.builders import Cast, a_case, a_person, a_visitor, an_address, an_assignment, now
from tests.bundles import Parts, changed, put, rows
from tests.phones import a_phone, office

PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40


@pytest.fixture
def bundle(app: Flask, cast: Cast, tmp_path: Path) -> Path:
    """The bundle of a visit with a photo, an account and a confirmed finding, as an auditor saves it."""
    visitor = a_visitor()
    case = a_case()
    assignment = an_assignment(case, an_address(case), visitor)
    with transaction() as session:
        session.get_one(Assignment, assignment.id).permit = current_signer().seal(PERMIT, {"v": 1})
    phone = a_phone(visitor, tmp_path / "phone")
    with office(app) as http:
        phone.sync(http)
        permit_less = {"permit_id": None, "assignment_id": str(assignment.id), "position": None}
        visit_id = _visit(phone, permit_less, visitor.id)
        phone.sync(http)
    phone.close()
    _confirmed_finding(visit_id)
    answer = cast.person(Role.AUDITOR).get(f"/api/v1/visits/{visit_id}/bundle")
    assert answer.status_code == 200
    path = tmp_path / "visit.zip"
    path.write_bytes(answer.data)
    return path


def _visit(phone: Any, start: dict[str, Any], staff_id: Any) -> Any:
    visit_id = uuid7()
    phone.record(
        "visit.started", {"visit_id": str(visit_id), "team": [str(staff_id)], "checklist": {}, **start}
    )
    phone.capture(PHOTO, visit_id=visit_id, kind="photo", purpose="badge", mime="image/jpeg")
    phone.end_visit(visit_id, position=None)
    claims = claims_of(arrived_at=now(), left_at=now(), team=[staff_id], met="debtor", outcome="refused")
    phone.write_account(visit_id, claims=claims, narrative="已告知还款渠道。")
    return visit_id


def _confirmed_finding(visit_id: Any) -> None:
    with transaction() as session:
        finding = Finding(
            visit_id=visit_id, key="k", check="time.short", rule="C14", severity="serious", severity_rank=2,
            confidence=0.9, claim="left_at", observation={}, citation={}, found_at=now(),
        )  # fmt: skip
        session.add(finding)
    auditor = Actor(staff_id=a_person(Role.AUDITOR).id, roles=frozenset({Role.AUDITOR}))
    deciding.decide(finding.id, decision="confirmed", reason="heard it", actor=auditor, now=now())


def test_an_untouched_bundle_is_sound_and_says_what_was_checked(bundle: Path):
    report = verify(bundle)

    assert report.faults == []
    assert report.checked["items"] == 4
    assert report.checked["evidence"] == 1
    assert report.checked["finding records"] == 1
    assert report.checked["decision records"] == 1
    assert report.checked["access records"] >= 1  # the auditor's own look, which made the bundle
    assert report.checked["leaves"] >= 8
    assert report.checkpoint is not None
    assert list(sentences(report))[-1] == "Nothing was altered."


def test_it_is_checked_where_there_is_no_server_no_database_and_no_settings(bundle: Path):
    key = verify(bundle).server_key
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "verify", str(bundle), "--server-key", key],
        env={"PATH": "/nowhere", "DATABASE_URL": "postgresql://nobody@nowhere.invalid/none"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing was altered." in done.stdout


def _flip_payload(parts: Parts) -> None:
    items = rows(parts, "items.json")
    payload = bytearray(base64.b64decode(items[3]["envelope"]["payload"]))
    payload[-20] ^= 1
    items[3]["envelope"]["payload"] = base64.b64encode(payload).decode()
    put(parts, "items.json", items)


def _remove_item(parts: Parts) -> None:
    items = rows(parts, "items.json")
    del items[1]
    put(parts, "items.json", items)


def _backdate(parts: Parts) -> None:
    items = rows(parts, "items.json")
    items[0]["receipt"]["received_at"] = "2020-01-01T00:00:00.000000Z"
    put(parts, "items.json", items)


def _other_photo(parts: Parts) -> None:
    name = next(name for name in parts if name.startswith("media/"))
    parts[name] = parts[name][:-1] + b"x"


def _promise_of_other_photo(parts: Parts) -> None:
    evidence = rows(parts, "evidence.json")
    evidence[0]["sha256"] = "ab" * 32
    put(parts, "evidence.json", evidence)


def _hide_evidence(parts: Parts) -> None:
    put(parts, "evidence.json", [])


def _other_verdict(parts: Parts) -> None:
    decisions = rows(parts, "decisions.json")
    decisions[0]["text"] = decisions[0]["text"].replace('"allowed": true', '"allowed": false')
    put(parts, "decisions.json", decisions)


def _other_decision(parts: Parts) -> None:
    findings = rows(parts, "findings.json")
    findings[0]["text"] = findings[0]["text"].replace("confirmed", "dismissed")
    put(parts, "findings.json", findings)


def _other_head(parts: Parts) -> None:
    proofs = json.loads(parts["proofs.json"])
    origin, size, rest = proofs["checkpoint"].split("\n", 2)
    proofs["checkpoint"] = f"{origin}\n{int(size) + 1}\n{rest}"
    put(parts, "proofs.json", proofs)


def _other_leaf(parts: Parts) -> None:
    proofs = json.loads(parts["proofs.json"])
    proofs["leaves"][0]["record"] += "x"
    put(parts, "proofs.json", proofs)


def _other_path(parts: Parts) -> None:
    proofs = json.loads(parts["proofs.json"])
    proofs["leaves"][0]["path"][0] = "00" * 32
    put(parts, "proofs.json", proofs)


def _other_phone(parts: Parts) -> None:
    devices = rows(parts, "devices.json")
    devices[0]["public_key"] = base64.b64encode(current_signer().public_spki).decode()
    put(parts, "devices.json", devices)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_flip_payload, "the phone's signature does not verify: it was altered"),
        (_flip_payload, "the receipt is of other bytes"),
        (_remove_item, "is not what the manifest says: it was altered"),
        (_backdate, "the server's receipt does not verify"),
        (_other_photo, "the bytes are not those the phone captured"),
        (_promise_of_other_photo, "is not the file whose digest the phone signed"),
        (_hide_evidence, "was promised by the phone and is not listed"),
        (_other_verdict, "is not what was logged"),
        (_other_decision, "is not what was logged"),
        (_other_head, "is no head of the log: the log's signature does not verify"),
        (_other_leaf, "has a record that is not the one that was logged"),
        (_other_path, "is not in the log whose head is signed"),
        (_other_phone, "the phone's signature does not verify: it was altered"),
        (lambda parts: parts.pop("devices.json"), "is in the manifest but not in the bundle: it was removed"),
        (lambda parts: parts.update({"more.txt": b""}), "is not in the manifest: it was added"),
        (lambda parts: parts.update({"items.json": b"{"}), "is not what the manifest says: it was altered"),
    ],
)
def test_what_somebody_without_the_key_alters_is_named(bundle: Path, change: Any, what: str):
    report = verify(changed(bundle, change))

    assert what in {fault.what for fault in report.faults}


def test_the_altered_item_is_named_exactly_and_the_others_are_not(bundle: Path):
    with zipfile.ZipFile(bundle) as archive:
        item_id = json.loads(archive.read("items.json"))[3]["item_id"]

    report = verify(changed(bundle, _flip_payload))

    assert {fault.part for fault in report.faults if fault.part.startswith("item ")} == {f"item {item_id}"}


@pytest.mark.parametrize(
    ("part", "spoil"),
    [
        ("items.json", lambda row: _in_payload(row, b'"seq":', b'"sea":')),
        ("items.json", lambda row: _in_payload(row, b'"prev":"', b'"prev":"x')),
        ("items.json", lambda row: _in_payload(row, b'"type":', b'"tipe":')),
        ("items.json", lambda row: _in_payload(row, b'"evidence_id":', b'"evidence-id":')),
        ("items.json", lambda row: row.pop("device_id")),
        ("devices.json", lambda row: row.pop("device_id")),
        ("devices.json", lambda row: row.update(public_key="*")),
        ("evidence.json", lambda row: row.pop("evidence_id")),
        ("evidence.json", lambda row: row.pop("device_id")),
        ("evidence.json", lambda row: row.update(file=7)),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_the_rest_is_checked_all_the_same(
    bundle: Path, part: str, spoil: Any
):
    def change(parts: Parts) -> None:
        told = rows(parts, part)
        spoil(told[1 if part == "items.json" else 0])
        put(parts, part, told)

    report = verify(changed(bundle, change))

    assert {fault.part.partition(" ")[0] for fault in report.faults} & {"item", "device", "evidence"}
    assert report.checked["items"] == 4
    assert report.checked["finding records"] == report.checked["decision records"] == 1


def _in_payload(row: dict[str, Any], there: bytes, instead: bytes) -> None:
    payload = base64.b64decode(row["envelope"]["payload"])
    assert there in payload
    row["envelope"]["payload"] = base64.b64encode(payload.replace(there, instead)).decode()


def test_a_bundle_signed_by_another_server_is_named_where_the_key_is_known(bundle: Path):
    report = verify(bundle, server_key="0" * 16)

    assert any("not with 0000000000000000" in fault.what for fault in report.faults)


def test_every_flipped_bit_of_every_part_is_noticed(bundle: Path):
    """One bit a part, at a place that moves: the manifest alone would name each."""
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
    for place, name in enumerate(names):

        def flip(parts: Parts, name: str = name, place: int = place) -> None:
            content = bytearray(parts[name])
            content[(len(content) // 3 + place) % len(content)] ^= 4
            parts[name] = bytes(content)

        altered = changed(bundle, flip)
        try:
            report = verify(altered)
        except NoBundle:
            continue
        assert not report.is_sound, name


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, part in members:
        yield (*path, key)
        yield from places_in(part, (*path, key))


def test_whatever_stands_in_a_part_is_said_not_to_fit_and_never_a_fault_of_the_program(bundle: Path):
    """As of a bundle that somebody wrote by hand, and signed with a key of their own."""
    with zipfile.ZipFile(bundle) as archive:
        told = {name: archive.read(name) for name in archive.namelist() if name.endswith(".json")}
    odd = cycle([None, "zz", "", -1, 2**70, [], {}, [1], [{}], [[]], {"a": 1}, True, 0.5, "中", "a" * 5000])
    for name, raw in told.items():
        places = list(places_in(json.loads(raw)))
        for place in Random(1).sample(places, min(len(places), 120)):

            def spoil(parts: Parts, name: str = name, place: tuple[Any, ...] = place) -> None:
                value = holder = json.loads(told[name])
                for key in place[:-1]:
                    holder = holder[key]
                holder[place[-1]] = next(odd)
                parts[name] = json.dumps(value).encode()

            try:
                report = verify(changed(bundle, spoil))
            except NoBundle:
                assert name == "manifest.json"
                continue
            assert not report.is_sound, (name, place)


def test_a_bundle_without_a_manifest_says_so_and_no_more(bundle: Path):
    def take_out(parts: Parts) -> None:
        del parts["manifest.json"]

    with pytest.raises(NoBundle, match=r"^there is no manifest in it$"):
        verify(changed(bundle, take_out))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all" * 100])
def test_a_file_that_is_no_bundle_is_said_to_be_none(tmp_path: Path, content: bytes):
    path = tmp_path / "some.zip"
    path.write_bytes(content)

    with pytest.raises(NoBundle):
        verify(path)


def test_a_truncated_bundle_is_said_to_be_none(bundle: Path):
    content = bundle.read_bytes()
    bundle.write_bytes(content[: len(content) // 2])

    with pytest.raises(NoBundle):
        verify(bundle)


def test_making_a_bundle_is_a_look_that_is_logged(app: Flask, bundle: Path):
    with transaction() as session:
        looks = session.execute(
            sa.text("SELECT count(*) FROM access_log WHERE action = 'visit.bundle'")
        ).scalar_one()

    assert looks == 1


def test_there_is_no_bundle_of_an_unknown_visit(app: Flask, cast: Cast):
    answer = cast.person(Role.AUDITOR).get("/api/v1/visits/01890000-0000-7000-8000-000000000000/bundle")

    assert answer.status_code == 404


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bundle_that_was_packed_again_and_spoiled_is_no_fault_of_the_program(bundle: Path, packing: int):
    with zipfile.ZipFile(bundle) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    packed = bundle.with_name("packed.zip")
    with zipfile.ZipFile(packed, "w", packing) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert verify(packed).is_sound
    sound = packed.read_bytes()

    for place in range(30, len(sound), max(1, len(sound) // 200)):
        packed.write_bytes(sound[:place] + bytes([sound[place] ^ 0xFF]) + sound[place + 1 :])
        try:
            report = verify(packed)
        except NoBundle:
            continue
        assert list(sentences(report))
