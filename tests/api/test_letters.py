"""Letters at the desk: approved words only, liable persons only, one snapshot."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from server.authority import Role
from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.cases import Case, Client, Hold
from server.models.letters import Letter, LetterTemplate
from sync.protocol import uuid7
from tests.api.correspondence import WANTED, a_letter, pointers
from tests.builders import a_contact
from tests.letters.builders import BODY, PARTS, PHONE
from tests.letters.standing import a_standing_template
from tests.office import NOW, Door, Office, a_door


def a_template(door: Door, **facts: Any) -> dict[str, Any]:
    client = db.session.get_one(Client, door.case.client_id)
    return {
        "client": client.reference,
        "reference": "notice-1",
        "version": 1,
        "kind": "notice",
        "title": "还款提示函",
        "body": BODY,
        "parts": PARTS,
        "agency_name": "诚信服务公司",
        "agency_phone": PHONE,
        "approved_by": "王经理",
        "approval_reference": "批-2026-7",
        "approved_on": "2026-11-01",
        **facts,
    }


def change(case: Case, **facts: Any) -> None:
    with transaction() as session:
        session.execute(sa.update(Case).where(Case.id == case.id).values(**facts))


def test_a_template_is_entered_once_and_a_new_version_takes_its_place(office: Office) -> None:
    door = a_door()
    first = office.ask("/letter-templates", a_template(door), by=Role.SUPERVISOR)
    again = office.ask("/letter-templates", a_template(door), by=Role.ADMIN)

    second = office.ask("/letter-templates", a_template(door, version=2, title="提示"), by=Role.ADMIN)

    assert first.status_code == 201 and again.get_json()["id"] == first.get_json()["id"]
    assert second.status_code == 201
    listed = office.person(Role.AUDITOR).get("/api/v1/letter-templates?is_standing=true").get_json()
    assert [one["version"] for one in listed["templates"]] == [2]


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        ({"body": BODY + "\n{{ oops }}"}, "/body"),
        ({"body": BODY.replace("{{ seal }}", "")}, "/body"),
        ({"parts": {**PARTS, "reminder": "否则报警"}}, "/parts/reminder"),
        ({"approved_on": "2026-11-24"}, "/approved_on"),
        ({"approved_by": " "}, "/approved_by"),
        ({"agency_phone": "13812345678"}, "/agency_phone"),
    ],
)
def test_a_faulty_template_is_refused_with_its_place_and_the_standing_one_stays(
    office: Office, facts: dict[str, Any], pointer: str
) -> None:
    door = a_door()
    office.ask("/letter-templates", a_template(door), by=Role.ADMIN)

    answers = [
        office.ask(path, a_template(door, version=2, **facts), by=Role.ADMIN)
        for path in ("/letter-templates", "/letter-templates/check")
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert all(pointer in pointers(answer) for answer in answers)
    (standing,) = db.session.scalars(sa.select(LetterTemplate)).all()
    assert (standing.version, standing.withdrawn_at) == (1, None)


def test_a_check_stores_nothing_and_names_what_will_be_filled(office: Office) -> None:
    answer = office.ask("/letter-templates/check", a_template(a_door()), by=Role.SUPERVISOR)

    assert answer.status_code == 200 and "outstanding_amount" in answer.get_json()["placeholders"]
    assert db.session.scalar(sa.select(sa.func.count(LetterTemplate.id))) == 0


def test_approved_words_are_never_changed_under_the_same_version(office: Office) -> None:
    door = a_door()
    office.ask("/letter-templates", a_template(door), by=Role.ADMIN)

    answer = office.ask("/letter-templates", a_template(door, title="提示"), by=Role.ADMIN)

    assert answer.status_code == 409 and answer.get_json()["version"] == 1


def test_a_letter_freezes_its_numbers_and_its_text_is_read_with_a_reason(office: Office) -> None:
    door = a_door(outstanding_fen=1_234_500)
    a_standing_template(door.case)
    letter = a_letter(office, door)
    change(door.case, outstanding_fen=1, balance_as_of=date(2026, 11, 22))

    read = office.ask(f"/letters/{letter['id']}/content", {"reason": "to print it"})

    shown = office.person(Role.AUDITOR).get(f"/api/v1/letters/{letter['id']}").get_json()
    assert (shown["outstanding_fen"], shown["balance_as_of"]) == (1_234_500, "2026-11-20")
    assert "张小明" not in json.dumps(shown, ensure_ascii=False)
    content = read.get_json()["content"]
    assert "张小明" in content and "12,345.00元" in content and letter["pairing_code"] in content
    log = db.session.scalars(sa.select(AccessEntry)).one()
    assert (log.entity_id, log.reason) == (UUID(letter["id"]), "to print it")
    stored = db.session.scalar(sa.text("SELECT content FROM letters"))
    assert "张小明".encode() not in bytes(stored)


def test_a_filed_copy_that_was_altered_is_not_shown(office: Office) -> None:
    door = a_door()
    a_standing_template(door.case)
    letter = a_letter(office, door)
    with transaction() as session:
        session.execute(sa.update(Letter).values(content="something else"))

    answer = office.ask(f"/letters/{letter['id']}/content", {"reason": "to print it"})

    assert (answer.status_code, answer.get_json()["type"]) == (409, "/problems/letter-altered")


@pytest.mark.parametrize(
    ("prepare", "slug"),
    [
        (lambda case: change(case, state="closed"), "case-closed"),
        (lambda case: change(case, outstanding_fen=0), "nothing-owed"),
        (lambda case: change(case, balance_as_of=date(2026, 11, 15)), "balance-stale"),
        (lambda case: change(case, balance_as_of=None), "balance-stale"),
        (lambda case: a_hold(case), "case-held"),
    ],
)
def test_no_letter_on_a_case_that_may_not_be_collected(
    office: Office, prepare: Callable[[Case], None], slug: str
) -> None:
    door = a_door()
    a_standing_template(door.case)
    prepare(door.case)

    answer = office.ask(f"/cases/{door.case.id}/letters", WANTED)

    assert (answer.status_code, answer.get_json()["type"]) == (409, f"/problems/{slug}")


def a_hold(case: Case) -> None:
    with transaction() as session:
        session.add(
            Hold(scope="debtor", debtor_id=case.debtor_id, case_id=case.id, reason="deceased", raised_at=NOW)
        )


def test_a_balance_as_old_as_the_pack_allows_is_good_enough(office: Office) -> None:
    door = a_door(balance_as_of=date(2026, 11, 16))
    a_standing_template(door.case)

    assert a_letter(office, door)["balance_as_of"] == "2026-11-16"


def test_only_liable_persons_receive_letters(office: Office) -> None:
    door = a_door()
    a_standing_template(door.case)
    colleague = a_contact(door.case)
    refused = a_contact(door.case, liable=True, refused_at=NOW)
    guarantor = a_contact(door.case, liable=True, relation="guarantor")

    answers = [
        office.ask(
            f"/cases/{door.case.id}/letters",
            {**WANTED, "recipient": "liable_person", "contact_id": str(contact)},
        )
        for contact in (colleague.id, refused.id, uuid7(), guarantor.id)
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422, 201]
    assert all(pointers(answer) == ["/contact_id"] for answer in answers[:3])
    assert "(H5)" in answers[0].get_json()["errors"][0]["detail"]
    assert answers[3].get_json()["contact_id"] == str(guarantor.id)


@pytest.mark.parametrize(("liable", "status"), [(0, 422), (1, 201), (2, 422)])
def test_the_only_liable_person_need_not_be_named(office: Office, liable: int, status: int) -> None:
    door = a_door()
    a_standing_template(door.case)
    for _ in range(liable):
        a_contact(door.case, liable=True)

    answer = office.ask(f"/cases/{door.case.id}/letters", {**WANTED, "recipient": "liable_person"})

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        ({"template": "home-made"}, "/template"),
        ({"template": "withdrawn"}, "/template"),
        ({"template": "elsewhere"}, "/template"),
        ({"pay_by": None}, "/pay_by"),
        ({"pay_by": "2026-11-22"}, "/pay_by"),
    ],
)
def test_no_letter_without_a_standing_template_of_the_client_and_its_data(
    office: Office, facts: dict[str, Any], pointer: str
) -> None:
    door = a_door()
    a_standing_template(door.case)
    a_standing_template(door.case, reference="withdrawn", withdrawn_at=NOW)
    a_standing_template(a_door().case, reference="elsewhere")

    answer = office.ask(f"/cases/{door.case.id}/letters", {**WANTED, **facts})

    assert answer.status_code == 422 and pointers(answer) == [pointer]


def test_two_letters_on_one_balance_name_the_same_day(office: Office) -> None:
    door = a_door()
    a_standing_template(door.case)
    a_letter(office, door)

    other = office.ask(f"/cases/{door.case.id}/letters", {**WANTED, "pay_by": "2026-12-02"})
    silent = office.ask(f"/cases/{door.case.id}/letters", {**WANTED, "pay_by": None})

    assert other.status_code == 422 and "(C10)" in other.get_json()["errors"][0]["detail"]
    assert silent.get_json()["pay_by"] == "2026-12-01"


def test_data_that_brings_a_number_in_is_caught_in_the_finished_letter(office: Office) -> None:
    door = a_door(reference="6222021234567890", account_number="6222021234567890")
    a_standing_template(door.case)

    answer = office.ask(f"/cases/{door.case.id}/letters", WANTED)

    problem = answer.get_json()
    assert answer.status_code == 422 and "(H3)" in problem["errors"][0]["detail"]
    assert problem.pop("request_id")  # of random digits
    assert "6222" not in json.dumps(problem)
