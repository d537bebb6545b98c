"""Signing in: the right password gives a token, wrong ones are counted, and tokens end."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server import passwords
from server.authority import Role
from server.clock import Clock
from server.database import db
from server.models.access import AccessEntry
from server.models.people import SignInCounter, Token
from server.passwords import hash_password
from server.workflows.people import (
    OFFICE_TOKEN_LASTS,
    TRIES_PER_ADDRESS,
    TRIES_PER_WINDOW,
    forget_sign_in_tries,
)
from tests.builders import Cast, Person, a_handset, a_person, a_visitor

PASSWORD = "correct horse battery"
HASHED = hash_password(PASSWORD)


@dataclass(frozen=True, slots=True)
class Later(Clock):
    """A clock that runs ahead."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def sign_in(browser: FlaskClient, number: str, password: str = PASSWORD) -> TestResponse:
    return browser.post("/api/v1/tokens", json={"employee_number": number, "password": password})


def whoami(browser: FlaskClient, token: str) -> int:
    return browser.get("/api/v1/cases", headers={"Authorization": f"Bearer {token}"}).status_code


def test_number_and_password_give_a_token_that_works(stranger: FlaskClient) -> None:
    staff = a_person(Role.DISPATCHER, password_hash=HASHED)

    answer = sign_in(stranger, staff.employee_number)

    assert answer.status_code == 201
    assert answer.get_json()["staff_id"] == str(staff.id)
    assert whoami(stranger, answer.get_json()["token"]) == 200


def test_the_database_never_sees_the_token(stranger: FlaskClient) -> None:
    staff = a_person(Role.DISPATCHER, password_hash=HASHED)

    token = sign_in(stranger, staff.employee_number).get_json()["token"]

    stored = db.session.scalars(sa.select(Token)).one()
    assert stored.sha256 == hashlib.sha256(token.encode()).digest()


def test_unknown_number_wrong_password_and_no_password_sound_the_same(stranger: FlaskClient) -> None:
    known = a_person(Role.DISPATCHER, password_hash=HASHED)
    phone_only = a_person(Role.VISITOR)
    left = a_person(Role.DISPATCHER, password_hash=HASHED, left_at=datetime(2025, 1, 1, tzinfo=UTC))

    answers = [
        sign_in(stranger, "nobody"),
        sign_in(stranger, known.employee_number, "wrong"),
        sign_in(stranger, phone_only.employee_number),
        sign_in(stranger, left.employee_number),
    ]

    assert [answer.status_code for answer in answers] == [401] * 4
    assert len({answer.get_json()["detail"] for answer in answers}) == 1


def test_after_too_many_wrong_passwords_the_right_one_must_wait(app: Flask, stranger: FlaskClient) -> None:
    staff = a_person(Role.DISPATCHER, password_hash=HASHED)
    for _ in range(TRIES_PER_WINDOW):
        assert sign_in(stranger, staff.employee_number, "wrong").status_code == 401

    locked = sign_in(stranger, staff.employee_number)

    assert locked.status_code == 429
    assert 0 < int(locked.headers["Retry-After"]) <= 901
    running = app.extensions["clock"]
    app.extensions["clock"] = Later(ahead=timedelta(minutes=31))
    try:
        assert sign_in(stranger, staff.employee_number).status_code == 201
    finally:
        app.extensions["clock"] = running


def test_parallel_tries_get_no_more_guesses_than_serial_ones(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "PATIENCE_SECONDS", 600)  # a slow machine sends nobody away
    staff = a_person(Role.DISPATCHER, password_hash=HASHED)

    def guess(_: int) -> int:
        return sign_in(app.test_client(), staff.employee_number, "wrong").status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(16)))

    assert answers.count(401) == TRIES_PER_WINDOW
    assert answers.count(429) == 16 - TRIES_PER_WINDOW


def test_one_address_cannot_try_the_whole_staff_nor_fill_a_table(stranger: FlaskClient) -> None:
    db.session.execute(
        sa.insert(SignInCounter).values(
            key="address:127.0.0.1", failures=TRIES_PER_ADDRESS, window_started_at=datetime.now(UTC)
        )
    )
    db.session.commit()

    assert {sign_in(stranger, f"somebody {n}").status_code for n in range(3)} == {429}

    db.session.rollback()
    assert db.session.query(SignInCounter).count() == 1


def test_tries_are_forgotten_when_they_count_no_more(stranger: FlaskClient) -> None:
    sign_in(stranger, "a password where the number belongs")
    for _ in range(TRIES_PER_WINDOW + 1):
        sign_in(stranger, "somebody", "wrong")
    at = datetime.now(UTC)

    forget_sign_in_tries(now=at + timedelta(minutes=14))
    counted = db.session.scalars(sa.select(SignInCounter.key)).all()
    db.session.rollback()
    db.session.execute(sa.update(SignInCounter).values(window_started_at=at - timedelta(hours=1)))
    db.session.commit()
    forget_sign_in_tries(now=at)

    assert len(counted) == 3
    assert db.session.scalars(sa.select(SignInCounter.key)).all() == ["employee:somebody"]  # locked as yet


def test_signing_in_takes_its_own_tries_back(stranger: FlaskClient) -> None:
    staff = a_person(Role.DISPATCHER, password_hash=HASHED)
    for _ in range(2):
        for _ in range(TRIES_PER_WINDOW - 1):
            sign_in(stranger, staff.employee_number, "wrong")

        assert sign_in(stranger, staff.employee_number).status_code == 201


def test_a_token_expires(app: Flask, stranger: FlaskClient) -> None:
    staff = a_person(Role.DISPATCHER, password_hash=HASHED)
    token = sign_in(stranger, staff.employee_number).get_json()["token"]
    running = app.extensions["clock"]
    app.extensions["clock"] = Later(ahead=OFFICE_TOKEN_LASTS + timedelta(seconds=1))
    try:
        assert whoami(stranger, token) == 401
    finally:
        app.extensions["clock"] = running


def test_signing_out_ends_this_token_and_no_other(cast: Cast) -> None:
    person = cast.person(Role.DISPATCHER)
    elsewhere = cast.sign_in(person.staff)

    assert person.delete("/api/v1/tokens/current").status_code == 204

    assert person.get("/api/v1/cases").status_code == 401
    assert elsewhere.get("/api/v1/cases").status_code == 200


def changed(browser: FlaskClient, token: str, **body: str) -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"}
    return browser.put("/api/v1/tokens/current/password", json=body, headers=headers)


def test_who_changes_the_password_stays_signed_in_here_and_nowhere_else(stranger: FlaskClient) -> None:
    number = a_person(Role.DISPATCHER, password_hash=HASHED).employee_number
    here, elsewhere = (sign_in(stranger, number).get_json()["token"] for _ in range(2))

    answer = changed(stranger, here, current=PASSWORD, password="staple battery horse")

    assert answer.status_code == 204
    assert (whoami(stranger, here), whoami(stranger, elsewhere)) == (200, 401)
    assert sign_in(stranger, number).status_code == 401
    assert sign_in(stranger, number, "staple battery horse").status_code == 201


def test_a_stolen_token_does_not_help_to_guess_the_password(stranger: FlaskClient) -> None:
    number = a_person(Role.DISPATCHER, password_hash=HASHED).employee_number
    token = sign_in(stranger, number).get_json()["token"]

    tries = [changed(stranger, token, current=f"guess {n}", password="x" * 12) for n in range(6)]
    short = changed(stranger, sign_in(stranger, number).get_json().get("token", ""), current="", password="x")

    assert [one.status_code for one in tries] == [422] * 5 + [429]
    assert tries[0].get_json()["errors"] == [{"pointer": "/current", "detail": "Is not your password."}]
    assert short.status_code == 401


def test_a_phone_changes_no_password(app: Flask, cast: Cast) -> None:
    visitor = a_visitor(password_hash=HASHED)
    token = a_handset(visitor).token

    answer = changed(app.test_client(), token, current=PASSWORD, password="staple battery horse")

    assert (answer.status_code, answer.get_json()["type"]) == (403, "/problems/office-needed")


def test_an_administrator_lets_in_who_forgot_the_password_and_it_is_on_record(
    cast: Cast, stranger: FlaskClient
) -> None:
    staff = a_person(Role.AUDITOR, password_hash=HASHED)
    old = sign_in(stranger, staff.employee_number).get_json()["token"]
    for _ in range(TRIES_PER_WINDOW + 1):
        sign_in(stranger, staff.employee_number, "forgotten")
    path = f"/api/v1/staff/{staff.id}/password"

    short = cast.person(Role.ADMIN).put(path, json={"password": "too short"})
    given = cast.person(Role.ADMIN).put(path, json={"password": "for the first day"})

    assert (short.status_code, given.status_code, whoami(stranger, old)) == (422, 204, 401)
    assert sign_in(stranger, staff.employee_number, "for the first day").status_code == 201
    (logged,) = db.session.scalars(sa.select(AccessEntry).where(AccessEntry.action == "staff.password"))
    assert (logged.staff_id, logged.entity_id) == (cast.person(Role.ADMIN).staff.id, staff.id)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer \xff\xfe"])
def test_what_is_no_token_is_refused_with_a_challenge(stranger: FlaskClient, header: str) -> None:
    answer = stranger.get("/api/v1/cases", headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_revoked_phone_may_not_read(app: Flask, cast: Cast) -> None:
    handset = a_handset(a_visitor())
    supervisor: Person = cast.person(Role.SUPERVISOR)
    assert supervisor.post(f"/api/v1/devices/{handset.device.id}/revoke").status_code == 200

    answer = app.test_client().get("/api/v1/sync/pull", headers=handset.headers)

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "body",
    [{}, {"employee_number": 7, "password": []}, {"employee_number": "E", "password": ""}],
)
def test_a_malformed_sign_in_is_told_field_by_field(stranger: FlaskClient, body: object) -> None:
    answer = stranger.post("/api/v1/tokens", json=body)

    assert answer.status_code == 422
    assert answer.get_json()["errors"]
