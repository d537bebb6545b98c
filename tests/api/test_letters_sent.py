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
from server.models.cases import Address, Case, Debtor, LedgerEntry
from server.models.letters import Delivery, Letter
from tests.api.correspondence import WANTED, a_letter, pointers, seal
from tests.api.test_imports_effects import imported, row
from tests.builders import a_case
from tests.letters.standing import a_standing_template
from tests.office import Door, Office, Stopped, a_body, a_door, a_team, china


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


def stop(office: Office, door: Door, how: str) -> None:
    """Stop a case for good, by a hold of this reason or because the client says it is settled."""
    if how == "settled":
        settled = row(Case, door.case, outstanding="0", balance_as_of="2026-11-23")
        imported(office.app, office, settled)
        return
    answer = office.ask(f"/cases/{door.case.id}/holds", {"reason": how, "note": "his son called"})
    assert answer.status_code == 201, answer.text


def turn_to(office: Office, at: str) -> None:
    office.app.extensions["clock"] = Stopped(at=china(at))


def release(office: Office, door: Door) -> None:
    holds = office.person(Role.AUDITOR).get(f"/api/v1/cases/{door.case.id}/holds").get_json()
    word = {"given_by": "client", "reference": "REF-7", "received_on": "2026-11-25"}
    path = f"/holds/{holds[0]['id']}/release"
    assert office.ask(path, {"instruction": "go on", **word}, by=Role.SUPERVISOR).status_code == 200


STOPS = [
    ("deceased", "case-held"),
    ("identity_disputed", "case-held"),
    ("complaint", "case-held"),
    ("settled", "case-closed"),
]


@pytest.mark.parametrize(("how", "slug"), STOPS)
def test_a_letter_written_before_a_stop_is_not_sealed_after_it(office: Office, how: str, slug: str) -> None:
    door = a_door()
    a_standing_template(door.case)
    letter, sealed = a_letter(office, door), a_letter(office, door)
    seal(office, sealed)
    stop(office, door, how)

    answer, again = seal(office, letter), seal(office, sealed)

    assert (answer.status_code, answer.get_json()["type"]) == (409, f"/problems/{slug}")
    assert again.status_code == 200
    shown = office.person(Role.AUDITOR).get(f"/api/v1/letters/{letter['id']}").get_json()
    assert (shown["state"], shown["sealed_at"]) == ("issued", None)


def test_a_stop_of_the_debtor_seals_no_letter_of_another_case_and_one_of_the_case_does(
    office: Office,
) -> None:
    letters = []
    for reason in ("deceased", "amount_disputed"):
        door = a_door()
        a_standing_template(door.case)
        letters.append(a_letter(office, door))
        sibling = a_case(debtor=db.session.get_one(Debtor, door.case.debtor_id))
        office.ask(f"/cases/{sibling.id}/holds", {"reason": reason, "note": "on the other card"})

    assert [seal(office, letter).status_code for letter in letters] == [409, 200]


def test_once_the_hold_is_released_the_letter_is_sealed(office: Office) -> None:
    door = a_door()
    a_standing_template(door.case)
    letter = a_letter(office, door)
    stop(office, door, "identity_disputed")
    turn_to(office, "2026-11-25 10:00")
    release(office, door)

    assert seal(office, letter).status_code == 200


@pytest.mark.parametrize(("how", "slug"), STOPS)
def test_a_posting_before_the_stop_is_recorded_and_one_after_it_is_not(
    office: Office, how: str, slug: str
) -> None:
    door = a_door()
    a_standing_template(door.case)
    before, on_the_day, after = (a_letter(office, door) for _ in range(3))
    for letter in (before, on_the_day, after):
        seal(office, letter)
    turn_to(office, "2026-11-24 00:00")
    stop(office, door, how)
    turn_to(office, "2026-11-25 10:00")

    first, second, refused = (
        office.ask(f"/letters/{letter['id']}/deliveries", {"posted_on": day})
        for letter, day in ((before, "2026-11-23"), (on_the_day, "2026-11-24"), (after, "2026-11-25"))
    )

    assert (first.status_code, second.status_code) == (200, 200)
    assert (refused.status_code, refused.get_json()["type"]) == (409, f"/problems/{slug}")
    path, came = (
        f"/letters/{before['id']}/deliveries",
        {"posted_on": "2026-11-23", "received_on": "2026-11-25"},
    )
    assert office.ask(path, came).get_json()["state"] == "delivered"


def test_a_released_hold_stopped_the_days_that_lay_within_it(office: Office) -> None:
    door = a_door()
    a_standing_template(door.case)
    within, on_its_last_day = a_letter(office, door), a_letter(office, door)
    for letter in (within, on_its_last_day):
        seal(office, letter)
    stop(office, door, "identity_disputed")
    turn_to(office, "2026-11-25 10:00")
    release(office, door)

    answers = [
        office.ask(f"/letters/{letter['id']}/deliveries", {"posted_on": day})
        for letter, day in ((within, "2026-11-24"), (on_its_last_day, "2026-11-25"))
    ]

    assert [answer.status_code for answer in answers] == [409, 200]


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
