"""People are found by their numbers without anything being decrypted, and every look-up is remembered."""

import pytest
import sqlalchemy as sa

from server import blind
from server.authority import Role
from server.blind import normal_id_number, normal_phone
from server.database import db, transaction
from server.keysets import LOOKUP, KeysetFile, primary_of
from server.models.access import AccessEntry
from server.models.cases import Debtor
from server.workflows.rekeying import fill_indexes
from tests.builders import a_case, a_client_bank
from tests.conftest import SECRETS
from tests.office import Office
from tests.privacy.test_rotation import run

PHONE, ID_NUMBER = "13812345678", "11010519491231002X"
WHY = "they called back"


def a_debtor(client: str = "BANK", reference: str = "D1", **facts: str | None) -> Debtor:
    """A debtor with numbers, and one case."""
    bank = a_client_bank(reference=client)
    facts = {"name": "李小明", "phone": PHONE, "id_number": ID_NUMBER, **facts}
    debtor = Debtor(client_id=bank.id, reference=reference, **facts)
    with transaction() as session:
        session.add(debtor)
    a_case(debtor=debtor)
    return debtor


def found(office: Office, by: Role = Role.SUPERVISOR, **number: str) -> list[str]:
    """Look somebody up; return the references of who was found."""
    answer = office.ask("/debtors/look-up", {"reason": WHY, **number}, by=by)
    assert answer.status_code == 200, answer.text
    return [one["reference"] for one in answer.get_json()["debtors"]]


def test_a_debtor_is_found_however_the_number_is_written(office: Office) -> None:
    a_debtor()
    a_debtor(client="OTHER", reference="D2", phone="+86 138-1234-5678", id_number=None)

    by_phone = found(office, phone="138 1234 5678"), found(office, phone="+8613812345678")
    by_id = (
        found(office, id_number="１１０１０５１９４９１２３１００２x"),
        found(office, id_number=ID_NUMBER[:-1]),
    )

    assert by_phone == (["D1", "D2"], ["D1", "D2"])
    assert by_id == (["D1"], [])


def test_the_answer_is_masked_and_the_look_is_logged_without_the_number(office: Office) -> None:
    debtor = a_debtor()

    answer = office.ask("/debtors/look-up", {"phone": PHONE, "reason": WHY}, by=Role.DISPATCHER)
    nobody = office.ask("/debtors/look-up", {"phone": "13900000000", "reason": WHY}, by=Role.DISPATCHER)

    (one,) = answer.get_json()["debtors"]
    assert (one["name"], one["phone"], one["id_number"]) == ("李**", "138****5678", "****")
    assert [case["state"] for case in one["cases"]] == ["open"]
    assert nobody.get_json() == {"debtors": []}
    looks = db.session.scalars(sa.select(AccessEntry).order_by(AccessEntry.id)).all()
    assert [(look.action, look.entity_kind, look.reason) for look in looks] == [
        ("look_up", "debtor", WHY),
        ("look_up", "nobody", WHY),
    ]
    assert looks[0].entity_id == debtor.id and looks[0].staff_id == office.person(Role.DISPATCHER).staff.id
    logged = db.session.scalars(sa.text("SELECT to_jsonb(one)::text FROM access_log AS one")).all()
    assert not any(PHONE in text or "13900000000" in text for text in logged)


@pytest.mark.parametrize(
    "body", [{}, {"phone": PHONE, "id_number": ID_NUMBER}, {"phone": " - "}, {"phone": PHONE, "reason": ""}]
)
def test_one_number_and_a_reason_are_needed(office: Office, body: dict[str, str]) -> None:
    answer = office.ask("/debtors/look-up", {"reason": WHY, **body}, by=Role.SUPERVISOR)

    assert answer.status_code == 422
    assert db.session.scalar(sa.select(sa.func.count()).select_from(AccessEntry)) == 0


def test_the_index_follows_the_number(office: Office) -> None:
    debtor = a_debtor()

    with transaction() as session:
        session.get_one(Debtor, debtor.id).phone = "13700000000"
    moved = found(office, phone=PHONE), found(office, phone="13700000000")
    with transaction() as session:
        session.get_one(Debtor, debtor.id).phone = None

    assert moved == ([], ["D1"])
    assert found(office, phone="13700000000") == []


def test_imported_debtors_are_found(office: Office) -> None:
    lines = (
        '{"kind":"clients","reference":"BANK","name":"Bank"}\n'
        '{"kind":"debtors","client_reference":"BANK","reference":"D7","name":"王","phone":"%s"}\n'
    )
    for phone in (PHONE, "13711112222"):
        answer = office.person(Role.DISPATCHER).post(
            "/api/v1/imports", data=lines % phone, headers={"Content-Type": "application/jsonl"}
        )
        assert answer.status_code in (200, 201, 202), answer.text

    assert found(office, phone="13711112222") == ["D7"]
    assert found(office, phone=PHONE) == []


def test_what_an_older_release_left_without_an_index_is_filled(office: Office) -> None:
    a_debtor()
    a_debtor(client="OTHER", reference="D2", phone="", id_number=None)
    with transaction() as session:
        session.execute(sa.text("UPDATE debtors SET phone_index = NULL, id_number_index = NULL"))
    before = found(office, phone=PHONE)

    fill_indexes()

    assert (before, found(office, phone=PHONE)) == ([], ["D1"])
    assert found(office, id_number=ID_NUMBER) == ["D1"]


def test_look_ups_find_everybody_while_their_key_rotates(
    office: Office, keysets: KeysetFile, filed: dict[str, str]
) -> None:
    a_debtor()
    for _ in range(2):
        assert run("rotate-keys", "--lookup", "--next", environ=filed).exit_code == 0
    a_debtor(client="OTHER", reference="D2")
    between = found(office, phone=PHONE)

    rotated = run("rotate-keys", "--lookup", environ=filed)
    retired = run("retire-keys", environ=filed)
    blind._ring.look_again()  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]

    assert between == ["D1", "D2"]
    assert (rotated.exit_code, retired.exit_code) == (0, 0), rotated.output + retired.output
    assert primary_of(keysets.read(LOOKUP)) != primary_of(SECRETS[LOOKUP])
    assert found(office, phone=PHONE) == ["D1", "D2"]


def test_no_digest_says_which_number_it_is_of(office: Office) -> None:
    """Two columns of one number, and one number under two keys, have nothing in common."""
    phone_as_id = a_debtor(id_number=PHONE)

    assert phone_as_id.phone_index is not None and phone_as_id.id_number_index is not None
    assert phone_as_id.phone_index[5:] != phone_as_id.id_number_index[5:]
    assert len(phone_as_id.phone_index) == 5 + 16


@pytest.mark.parametrize(
    ("written", "normal"),
    [("0086-138 1234 5678", PHONE), ("8613812345678", PHONE), ("(010) 6500-1234", "01065001234"), ("", "")],
)
def test_phone_numbers_have_one_way_of_being_written(written: str, normal: str) -> None:
    assert normal_phone(written) == normal


def test_identity_numbers_have_one_way_of_being_written() -> None:
    assert normal_id_number(" 11010519491231 002x ") == ID_NUMBER
