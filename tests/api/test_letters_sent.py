"""Letters on their way: sealed, posted, returned, handed over on a visit, taken back."""

import base64
import json
from datetime import date
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from server.authority import Role
from server.database import db, transaction
from server.models.cases import Address, LedgerEntry
from server.models.letters import Delivery, Letter
from tests.api.correspondence import WANTED, a_letter, pointers, seal
from tests.letters.standing import a_standing_template
from tests.office import Office, a_body, a_door, a_team


def test_letter_and_envelope_must_belong_together(office: Office) -> None:
    door = a_door()
    a_standing_template(door.case)
    letter, other = a_letter(office, door), a_letter(office, door)

    wrong = seal(office, letter, envelope_code=other["pairing_code"])
    unstamped = office.ask(
        f"/letters/{letter['id']}/sealed",
        {"letter_code": "x", "envelope_code": "x", "is_stamped": False},
    )
    right = seal(office, letter)

    assert (wrong.status_code, unstamped.status_code) == (409, 422)
    assert (right.get_json()["state"], right.get_json()["sealed_at"] is None) == ("handed_over", False)
    assert seal(office, letter).status_code == 200


def test_a_receipt_by_post_is_written_once_and_starts_the_days_of_the_ledger(office: Office) -> None:
    door = a_door()
    a_standing_template(door.case)
    letter = a_letter(office, door)
    path, posted = f"/letters/{letter['id']}/deliveries", {"posted_on": "2026-11-23"}
    too_early = office.ask(path, posted)
    seal(office, letter)

    office.ask(path, posted)
    on_its_way = (the_ledger_entry(letter).result, the_ledger_entry(letter).received_on)
    answers = [office.ask(path, {**posted, "received_on": "2026-11-23"}) for _ in range(2)]

    assert too_early.status_code == 409
    assert on_its_way == ("posted", None)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].get_json()["state"] == "delivered"
    entry = the_ledger_entry(letter)
    assert (entry.channel, entry.received_on) == ("letter", date(2026, 11, 23))
    other_story = office.ask(path, {**posted, "returned_on": "2026-11-23", "proof": "x"})
    assert other_story.status_code == 409


def the_ledger_entry(letter: dict[str, Any]) -> LedgerEntry:
    db.session.rollback()
    entry = sa.select(LedgerEntry).join(Delivery, Delivery.ledger_entry_id == LedgerEntry.id)
    return db.session.scalars(
        entry.where(Delivery.letter_id == UUID(letter["id"])).execution_options(populate_existing=True)
    ).one()


@pytest.mark.parametrize(
    ("status", "kind", "answer"),
    [
        ("verified", "notice", 200),
        ("unverified", "notice", 409),
        ("invalid", "notice", 409),
        ("unverified", "callback_slip", 200),
    ],
)
def test_only_a_slip_is_posted_before_the_address_is_established(
    office: Office, status: str, kind: str, answer: int
) -> None:
    door = a_door()
    a_standing_template(door.case, kind=kind)
    letter = a_letter(office, door)
    seal(office, letter)
    with transaction() as session:
        session.execute(sa.update(Address).values(status=status))

    posted = office.ask(f"/letters/{letter['id']}/deliveries", {"posted_on": "2026-11-23"})

    assert posted.status_code == answer


def test_a_letter_that_came_back_needs_proof_and_then_counts(office: Office) -> None:
    door = a_door()
    a_standing_template(door.case)
    letter = a_letter(office, door)
    seal(office, letter)
    path = f"/letters/{letter['id']}/deliveries"
    back = {"posted_on": "2026-11-23", "returned_on": "2026-11-23"}

    unproven = office.ask(path, back)
    proven = office.ask(path, {**back, "proof": "EMS 12 returned"})

    assert pointers(unproven) == ["/proof"]
    assert proven.get_json()["state"] == "returned"
    assert the_ledger_entry(letter).received_on == date(2026, 11, 23)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"posted_on": "2026-11-22"}, "/posted_on"),
        ({"posted_on": "2026-11-24"}, "/posted_on"),
        ({"posted_on": "2026-11-23", "received_on": "2026-11-24"}, "/received_on"),
        ({"posted_on": "2026-11-23", "received_on": "2026-11-22"}, "/received_on"),
    ],
)
def test_days_of_the_post_are_possible_ones(office: Office, body: dict[str, Any], pointer: str) -> None:
    door = a_door()
    a_standing_template(door.case)
    letter = a_letter(office, door)
    seal(office, letter)

    assert pointers(office.ask(f"/letters/{letter['id']}/deliveries", body)) == [pointer]


def test_a_permit_carries_the_letters_it_names_and_they_go_void_with_it(office: Office) -> None:
    door, team = a_door(), a_team()
    a_standing_template(door.case)
    a_standing_template(door.case, reference="slip", kind="callback_slip")
    letters = [WANTED, {"template": "slip", "recipient": "debtor"}]

    granted = office.ask("/assignments", a_body(door, *team, letters=letters)).get_json()

    permit = json.loads(base64.b64decode(granted["permit"]["payload"]))
    filed = office.person(Role.AUDITOR).get(f"/api/v1/cases/{door.case.id}/letters").get_json()["letters"]
    told = ("pairing_code", "sha256", "template", "version", "recipient", "kind")
    assert [one["letter_id"] for one in permit["letters"]] == [one["id"] for one in filed]
    assert [[one[name] for name in told] for one in permit["letters"]] == [
        [one[name] for name in told] for one in filed
    ]
    office.ask(f"/assignments/{granted['id']}/cancel", {"reason": "rain"})
    db.session.rollback()
    states = sa.select(Letter.state).where(Letter.assignment_id == UUID(granted["id"]))
    assert db.session.scalars(states).all() == ["void", "void"]


def test_an_unknown_template_refuses_the_whole_assignment(office: Office) -> None:
    door, team = a_door(), a_team()
    letters = [{"template": "home-made", "recipient": "debtor"}]

    answer = office.ask("/assignments", a_body(door, *team, letters=letters))

    assert answer.status_code == 422 and pointers(answer) == ["/letters/0/template"]
    assert db.session.scalar(sa.text("SELECT count(*) FROM assignments")) == 0


def test_a_letter_is_taken_back_with_a_reason_until_it_arrived(office: Office) -> None:
    door = a_door()
    a_standing_template(door.case)
    letter, delivered = a_letter(office, door), a_letter(office, door)
    seal(office, delivered)
    posting = {"posted_on": "2026-11-23", "received_on": "2026-11-23"}
    office.ask(f"/letters/{delivered['id']}/deliveries", posting)

    answers = [office.ask(f"/letters/{one['id']}/void", {"reason": "typo"}) for one in (letter, delivered)]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert office.ask(f"/letters/{letter['id']}/void", {"reason": " "}).status_code == 422
