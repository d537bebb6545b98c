"""Third parties: who refuses is left alone for good, and hearsay is nothing until the office takes it in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.models.cases import Address, Contact, LedgerEntry
from server.models.casework import CaseworkEvent
from server.models.people import Staff
from server.workflows.dispatch import VisitRefused, assign
from sync.phone import Phone
from tests import phones
from tests.builders import a_case, a_contact, a_visitor, an_address, an_assignment
from tests.office import NOW, Door, Office, a_door, a_team, a_wish
from tests.phones import Watch, a_phone


@pytest.fixture
def phone(app: Flask, office: Office, tmp_path: Path) -> Iterator[Phone]:
    handset = a_phone(a_visitor(), tmp_path / "phone", watch=Watch(real=lambda: NOW))
    yield handset
    handset.close()


@pytest.fixture
def say(app: Flask, phone: Phone) -> Callable[..., None]:
    """Let the phone tell the office something."""

    def tell(type_: str, **body: Any) -> None:
        phone.record(type_, body)
        with phones.office(app) as http:
            phone.sync(http)
        db.session.rollback()

    return tell


def refuse(office: Office, contact: Contact, why: str = "refused", words: str = "别再来了") -> Any:
    return office.ask(f"/contacts/{contact.id}/refusal", {"why": why, "words": words})


def state_of(assignment_id: Any) -> str | None:
    query = sa.text("SELECT state FROM assignments WHERE id = :id")
    return db.session.execute(query, {"id": assignment_id}).scalar_one()


@pytest.mark.parametrize("why", ["refused", "uninformed", "angry"])
def test_a_third_party_who_refuses_is_marked_and_visits_to_them_end(office: Office, why: str) -> None:
    case = a_case()
    aunt = a_contact(case, relation="aunt")
    at_hers = an_assignment(case, an_address(case, contact_id=aunt.id), a_visitor())
    at_home = an_assignment(case, an_address(case), a_visitor())

    answer = refuse(office, aunt, why)

    shown = answer.get_json()
    assert (shown["stop_contact"], shown["stop_reason"]) == (True, why)
    assert (state_of(at_hers.id), state_of(at_home.id)) == ("cancelled", "issued")
    entry = db.session.scalars(sa.select(LedgerEntry).where(LedgerEntry.result.startswith("contact"))).one()
    assert (entry.channel, entry.counterpart, entry.effective) == ("inbound", "third_party", False)
    assert not entry.asks_for_visit


def test_nobody_is_sent_to_a_person_who_refused(office: Office) -> None:
    door = a_door()
    guarantor = a_contact(door.case, relation="guarantor")
    hers = an_address(door.case, contact_id=guarantor.id)
    refuse(office, guarantor)

    with pytest.raises(VisitRefused) as refused:
        assign(a_wish(Door(door.case, hers), *a_team()), actor=office.actor(), now=NOW)

    assert "D24" in refused.value.verdict.rules


def test_the_first_refusal_stands_and_is_entered_once(office: Office) -> None:
    aunt = a_contact(a_case())

    first, again = refuse(office, aunt), refuse(office, aunt, "angry")

    assert first.get_json() == again.get_json()
    assert again.get_json()["stop_reason"] == "refused"
    said = db.session.scalars(sa.select(CaseworkEvent)).one()
    assert (said.kind, said.text, said.contact_id) == ("refused", "别再来了", aunt.id)


def test_somebody_who_is_liable_does_not_end_it_by_refusing(office: Office) -> None:
    guarantor = a_contact(a_case(), liable=True)

    answer = refuse(office, guarantor)

    assert (answer.status_code, answer.get_json()["type"]) == (409, "/problems/contact-liable")
    stop = sa.select(Contact.stop_contact).where(Contact.id == guarantor.id)
    assert db.session.scalar(stop) is False


@pytest.mark.parametrize(
    ("body", "status"), [({}, 422), ({"why": "tired"}, 422), ({"why": "angry", "words": "x" * 4001}, 422)]
)
def test_a_faulty_refusal_is_refused(office: Office, body: dict[str, Any], status: int) -> None:
    assert office.ask(f"/contacts/{a_contact(a_case()).id}/refusal", body).status_code == status


# From the phones.


def test_a_refusal_from_a_phone_ends_the_visits_to_that_person(
    office: Office, say: Callable[..., None]
) -> None:
    case = a_case()
    aunt = a_contact(case)
    at_hers = an_assignment(case, an_address(case, contact_id=aunt.id), a_visitor())

    say("contact.refused", contact_id=str(aunt.id), why="angry", text="很生气")

    stopped = db.session.get_one(Contact, aunt.id, populate_existing=True)
    assert (stopped.stop_contact, stopped.stop_reason) == (True, "angry")
    assert state_of(at_hers.id) == "cancelled"


def test_who_refuses_at_the_visited_door_is_whose_door_it_is(
    office: Office, say: Callable[..., None], phone: Phone
) -> None:
    case = a_case()
    aunt = a_contact(case)
    staff = db.session.get_one(Staff, phone.staff_id)
    assignment = an_assignment(case, an_address(case, contact_id=aunt.id), staff)
    visit_id = str(aunt.id)  # any id will do
    started = {"permit_id": None, "position": None, "team": [str(phone.staff_id)], "checklist": {}}
    say("visit.started", visit_id=visit_id, assignment_id=str(assignment.id), **started)

    say("contact.refused", visit_id=visit_id, why="refused")

    assert db.session.get_one(Contact, aunt.id, populate_existing=True).stop_contact is True


def test_somebody_whom_no_file_names_is_written_down_so_that_nobody_asks_again(
    office: Office, say: Callable[..., None]
) -> None:
    case = a_case()

    say("contact.refused", case_id=str(case.id), why="refused", name="王五", relation="neighbour")

    met = db.session.scalars(sa.select(Contact).where(Contact.case_id == case.id)).one()
    assert (met.name, met.relation, met.liable, met.stop_contact) == ("王五", "neighbour", False, True)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"contact_id": "01890000-0000-7000-8000-00000000dead", "why": "angry"}, "contact-unknown"),
        ({"case_id": "01890000-0000-7000-8000-00000000dead", "why": "angry"}, "case-unknown"),
        ({"why": "angry"}, "case-unknown"),
        ({"why": "bored"}, "body-invalid"),
    ],
)
def test_a_refusal_of_nobody_known_is_kept_for_the_office(
    office: Office, say: Callable[..., None], body: dict[str, Any], problem: str
) -> None:
    say("contact.refused", **body)

    stored = db.session.execute(sa.text("SELECT outcome, problem ->> 'slug' FROM items")).one()
    assert tuple(stored) == ("quarantined", problem)


def test_a_liable_persons_refusal_from_a_phone_is_kept_for_the_office(
    office: Office, say: Callable[..., None]
) -> None:
    guarantor = a_contact(a_case(), liable=True)

    say("contact.refused", contact_id=str(guarantor.id), why="refused")

    stored = db.session.execute(sa.text("SELECT outcome, problem ->> 'slug' FROM items")).one()
    assert tuple(stored) == ("quarantined", "contact-liable")


# What was learned.


def learned(office: Office, query: str = "") -> list[dict[str, Any]]:
    return office.person(Role.DISPATCHER).get(f"/api/v1/learned{query}").get_json()["learned"]


def test_hearsay_waits_masked_and_is_no_contact_yet(office: Office, say: Callable[..., None]) -> None:
    case = a_case()

    say("contact.learned", case_id=str(case.id), name="王五", phone="13800001111", relation="兄弟")

    (one,) = learned(office)
    assert (one["name"], one["phone"], one["relation"], one["state"]) == (
        "王*",
        "138****1111",
        "兄弟",
        "open",
    )
    assert db.session.scalars(sa.select(Contact)).all() == []
    stored = db.session.execute(sa.text("SELECT name, phone FROM learned_contacts")).one()
    assert "王五".encode() not in bytes(stored[0]) and b"13800001111" not in bytes(stored[1])


def test_an_accepted_address_stays_unverified_and_a_person_is_never_liable_by_hearsay(
    office: Office, say: Callable[..., None]
) -> None:
    door = a_door()
    say("contact.learned", case_id=str(door.case.id), name="王五", address="北京市海淀区中关村大街1号")
    (one,) = learned(office)

    first = office.ask(f"/learned/{one['id']}/accept", {})
    again = office.ask(f"/learned/{one['id']}/accept", {})

    assert (first.get_json()["state"], first.get_json()) == ("accepted", again.get_json())
    person = db.session.get_one(Contact, first.get_json()["contact_id"])
    place = db.session.get_one(Address, first.get_json()["address_id"])
    assert (person.liable, place.status, place.text) == (False, "unverified", "北京市海淀区中关村大街1号")
    with pytest.raises(VisitRefused) as refused:
        assign(a_wish(Door(door.case, place), *a_team()), actor=office.actor(), now=NOW)
    assert "A5" in refused.value.verdict.rules


def test_what_was_rejected_stays_out_and_is_not_accepted_later(
    office: Office, say: Callable[..., None]
) -> None:
    say("contact.learned", case_id=str(a_case().id), name="王五")
    (one,) = learned(office)

    rejected = office.ask(f"/learned/{one['id']}/reject", {})
    again = office.ask(f"/learned/{one['id']}/reject", {})
    late = office.ask(f"/learned/{one['id']}/accept", {})

    assert (rejected.get_json()["state"], rejected.get_json()) == ("rejected", again.get_json())
    assert (late.status_code, late.get_json()["type"]) == (409, "/problems/learned-judged")
    assert db.session.scalars(sa.select(Contact)).all() == []
    assert learned(office) == []
    assert [each["id"] for each in learned(office, "?state=rejected")] == [one["id"]]


@pytest.mark.parametrize("body", [{}, {"name": "王五"}, {"address": "北京"}])
def test_what_names_no_case_is_only_filed(
    office: Office, say: Callable[..., None], body: dict[str, str]
) -> None:
    say("contact.learned", **body)

    assert learned(office) == []
    outcome, flags = db.session.execute(sa.text("SELECT outcome, flags FROM items")).one()
    assert outcome == "applied" and "nothing_learned" in flags


def test_hearsay_comes_in_pages_and_by_case(office: Office, say: Callable[..., None]) -> None:
    cases = [a_case() for _ in range(3)]
    for case in cases:
        say("contact.learned", case_id=str(case.id), name="王五")

    desk = office.person(Role.DISPATCHER)
    first = desk.get("/api/v1/learned?limit=2").get_json()
    second = desk.get(f"/api/v1/learned?limit=2&after={first['next']}").get_json()

    listed = [one["case_id"] for one in first["learned"] + second["learned"]]
    assert listed == [str(case.id) for case in cases]
    assert second["next"] is None
    assert [one["case_id"] for one in learned(office, f"?case_id={cases[1].id}")] == [str(cases[1].id)]


def test_an_item_that_comes_twice_teaches_once(office: Office, app: Flask, phone: Phone) -> None:
    case = a_case()
    phone.record("contact.learned", {"case_id": str(case.id), "name": "王五"})
    with phones.office(app) as http:
        phone.sync(http)
    with transaction() as session:
        session.execute(sa.text("UPDATE items SET outcome = 'received'"))

    phone.record("contact.learned", {"case_id": str(case.id), "name": "赵六"})
    with phones.office(app) as http:
        phone.sync(http)

    db.session.rollback()
    assert [one["name"] for one in learned(office)] == ["王*", "赵*"]
