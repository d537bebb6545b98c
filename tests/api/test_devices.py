"""Enrolling phones: one code, one phone, proof of possession, and no harm in a lost answer."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server.authority import Role
from server.database import db, transaction
from server.models.people import Device, EnrolmentCode, Staff, Token
from server.workflows.devices import proof_message
from sync.connection import Reason, SyncFault
from sync.envelope import Algorithm, DeviceKey
from sync.phone import Phone
from tests.builders import Cast, a_handset, a_person, a_visitor
from tests.phones import Watch, office


def a_code(cast: Cast, staff: Staff) -> str:
    answer = cast.person(Role.DISPATCHER).post("/api/v1/enrolment-codes", json={"staff_id": str(staff.id)})
    assert answer.status_code == 201
    return answer.get_json()["code"]


def request_for(code: str, key: DeviceKey, /, **changed: Any) -> dict[str, Any]:
    proof = key.sign(proof_message(code, key.spki))
    body = {
        "code": code,
        "public_key": base64.b64encode(key.spki).decode(),
        "algorithm": key.algorithm,
        "proof": base64.b64encode(proof).decode(),
    }
    return {**body, **changed}


def enrol(phone: FlaskClient, body: dict[str, Any]) -> TestResponse:
    return phone.post("/api/v1/devices", json=body)


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_a_code_and_a_key_make_a_phone_that_may_sync(
    cast: Cast, stranger: FlaskClient, algorithm: Algorithm
) -> None:
    visitor = a_visitor()

    answer = enrol(stranger, request_for(a_code(cast, visitor), DeviceKey.generate(algorithm)))

    assert answer.status_code == 201
    assert answer.get_json()["staff_id"] == str(visitor.id)
    headers = {"Authorization": f"Bearer {answer.get_json()['token']}"}
    assert stranger.get("/api/v1/sync/pull", headers=headers).status_code == 200


def test_a_lost_answer_is_asked_for_again_and_names_the_same_phone(cast: Cast, stranger: FlaskClient) -> None:
    body = request_for(a_code(cast, a_visitor()), DeviceKey.generate())

    first, again = enrol(stranger, body), enrol(stranger, body)

    assert again.status_code == 201
    assert again.get_json()["device_id"] == first.get_json()["device_id"]
    assert again.get_json()["token"] != first.get_json()["token"]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Device)) == 1


def test_a_code_serves_one_phone(cast: Cast, stranger: FlaskClient) -> None:
    code = a_code(cast, a_visitor())
    enrol(stranger, request_for(code, DeviceKey.generate()))

    answer = enrol(stranger, request_for(code, DeviceKey.generate()))

    assert answer.status_code == 403
    assert answer.get_json()["type"].endswith("code-used")


def test_a_code_is_forgiving_about_case(cast: Cast, stranger: FlaskClient) -> None:
    code, key = a_code(cast, a_visitor()), DeviceKey.generate()

    assert enrol(stranger, request_for(code, key, code=f" {code.lower()} ")).status_code == 201


def test_an_old_code_is_worth_nothing(cast: Cast, stranger: FlaskClient) -> None:
    code = a_code(cast, a_visitor())
    with transaction() as session:
        session.execute(sa.update(EnrolmentCode).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))

    answer = enrol(stranger, request_for(code, DeviceKey.generate()))

    assert answer.status_code == 403
    assert answer.get_json()["type"].endswith("code-unknown")


def test_the_code_is_kept_as_a_digest_only(cast: Cast) -> None:
    code = a_code(cast, a_visitor())

    kept = db.session.scalars(sa.select(EnrolmentCode.sha256)).one()
    assert kept == hashlib.sha256(code.encode()).digest()


def test_without_the_private_key_nobody_enrols_a_public_one(cast: Cast, stranger: FlaskClient) -> None:
    code, mine, theirs = a_code(cast, a_visitor()), DeviceKey.generate(), DeviceKey.generate()
    stolen = base64.b64encode(theirs.spki).decode()

    answer = enrol(stranger, request_for(code, mine, public_key=stolen))

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/proof"


def test_one_key_belongs_to_one_phone(cast: Cast, stranger: FlaskClient) -> None:
    key = DeviceKey.generate()
    assert enrol(stranger, request_for(a_code(cast, a_visitor()), key)).status_code == 201

    answer = enrol(stranger, request_for(a_code(cast, a_visitor()), key))

    assert answer.status_code == 409
    assert answer.get_json()["type"].endswith("key-taken")


def test_a_phone_whose_token_has_expired_enrols_again_and_hands_in_what_it_recorded(
    app: Flask, cast: Cast, tmp_path: Path
) -> None:
    visitor = a_visitor()
    phone = Phone(tmp_path, clocks=Watch().clocks())
    with office(app) as http:
        phone.enrol(a_code(cast, visitor), http=http)
        first = phone.device_id
        phone.record("incident.raised", {"kind": "other", "text": "狗"})
        old = datetime.now(UTC) - timedelta(seconds=1)
        with transaction() as session:
            session.execute(sa.update(Token).where(Token.device_id == first).values(expires_at=old))
        with pytest.raises(SyncFault) as expired:
            phone.sync(http)

        phone.enrol(a_code(cast, visitor), http=http)
        report = phone.sync(http)

    assert expired.value.reason == Reason.SIGN_IN
    assert (phone.device_id, report.pushed) == (first, 1)
    assert [one["outcome"] for one in phone.outbox.outcomes()] == ["applied"]
    phone.close()


def test_a_revoked_phone_does_not_come_back_with_a_new_code(cast: Cast, stranger: FlaskClient) -> None:
    key, visitor = DeviceKey.generate(), a_visitor()
    enrol(stranger, request_for(a_code(cast, visitor), key))
    with transaction() as session:
        session.execute(sa.update(Device).values(revoked_at=datetime.now(UTC)))

    answer = enrol(stranger, request_for(a_code(cast, visitor), key))

    assert (answer.status_code, answer.get_json()["type"]) == (409, "/problems/key-taken")


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"public_key": "%%%"}, "/public_key"),
        ({"public_key": base64.b64encode(b"no key").decode()}, "/public_key"),
        ({"proof": "%%%"}, "/proof"),
        ({"proof": "AAAA"}, "/proof"),
        ({"algorithm": "p256"}, "/public_key"),
        ({"algorithm": "rsa"}, "/algorithm"),
        ({"code": 7}, "/code"),
    ],
)
def test_a_broken_enrolment_says_which_field(
    cast: Cast, stranger: FlaskClient, changed: dict[str, Any], pointer: str
) -> None:
    body = request_for(a_code(cast, a_visitor()), DeviceKey.generate(), **changed)

    answer = enrol(stranger, body)

    assert answer.status_code == 422
    assert pointer in [error["pointer"].removeprefix("/json") for error in answer.get_json()["errors"]]


def test_whoever_left_enrols_no_phone_with_a_code_from_before(cast: Cast, stranger: FlaskClient) -> None:
    visitor = a_visitor()
    code = a_code(cast, visitor)
    assert cast.person(Role.ADMIN).post(f"/api/v1/staff/{visitor.id}/departure").status_code == 200

    assert enrol(stranger, request_for(code, DeviceKey.generate())).status_code == 403
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Device)) == 0


def test_codes_are_for_visitors_who_work_here(cast: Cast) -> None:
    dispatcher = cast.person(Role.DISPATCHER)
    auditor = a_person(Role.AUDITOR)
    left = a_visitor(left_at=datetime(2025, 1, 1, tzinfo=UTC))

    def ask(staff_id: object) -> int:
        return dispatcher.post("/api/v1/enrolment-codes", json={"staff_id": str(staff_id)}).status_code

    assert [ask(auditor.id), ask(left.id), ask(auditor.id.__class__(int=0)), ask("x")] == [409, 404, 404, 422]


def test_a_revoked_phone_stays_revoked_and_cannot_enrol_again(cast: Cast, stranger: FlaskClient) -> None:
    body = request_for(a_code(cast, a_visitor()), DeviceKey.generate())
    device_id = enrol(stranger, body).get_json()["device_id"]
    supervisor = cast.person(Role.SUPERVISOR)

    first = supervisor.post(f"/api/v1/devices/{device_id}/revoke")
    again = supervisor.post(f"/api/v1/devices/{device_id}/revoke")

    assert first.get_json()["revoked_at"] == again.get_json()["revoked_at"] is not None
    assert enrol(stranger, body).status_code == 403


def test_only_the_office_issues_codes_and_revokes(app: Flask, cast: Cast, stranger: FlaskClient) -> None:
    visitor = a_visitor()
    handset = a_handset(visitor)
    issue, revoke = "/api/v1/enrolment-codes", f"/api/v1/devices/{handset.device.id}/revoke"
    body = {"staff_id": str(visitor.id)}

    assert stranger.post(issue, json=body).status_code == 401
    assert stranger.post(revoke).status_code == 401
    for role in (Role.VISITOR, Role.AUDITOR):
        assert cast.person(role).post(issue, json=body).status_code == 403
    for role in (Role.VISITOR, Role.AUDITOR, Role.DISPATCHER):
        assert cast.person(role).post(revoke).status_code == 403
    assert cast.person(Role.ADMIN).post("/api/v1/devices/not-a-uuid/revoke").status_code == 404
