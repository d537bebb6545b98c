"""Cases: masked for everybody, shown whole to those who say why, and written on by those who may."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from server import pii
from server.authority import Role
from server.database import db
from server.models.access import AccessEntry
from server.models.cases import Case, Debtor
from server.models.feed import FeedRow
from tests.builders import (
    Cast,
    Person,
    a_case,
    a_client_bank,
    a_contact,
    a_visitor,
    add,
    an_address,
    an_assignment,
    now,
)
from tests.office import Office

SECRETS = ("张小明", "110101199003070011", "13812345678", "6227000012340001", "建国路88号", "李四")
OFFICE = {Role.DISPATCHER, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN}
DECIDERS = {Role.DISPATCHER, Role.SUPERVISOR}


@pytest.fixture
def dispatcher(cast: Cast) -> Person:
    return cast.person(Role.DISPATCHER)


@pytest.fixture
def supervisor(cast: Cast) -> Person:
    return cast.person(Role.SUPERVISOR)


def a_full_case(**facts: Any) -> Case:
    """A case with an address, a contact and a card number."""
    case = a_case(account_number="6227000012340001", **facts)
    an_address(case)
    a_contact(case, phone="13987654321")
    return case


def test_a_case_is_shown_with_everything_around_it(dispatcher: Person) -> None:
    case = a_full_case()

    shown = dispatcher.get(f"/api/v1/cases/{case.id}").get_json()

    assert shown["reference"] == case.reference
    assert shown["outstanding_fen"] == 1_234_500
    assert shown["debtor"]["name"] == "张**"
    assert shown["debtor"]["phone"] == "138****5678"
    assert [address["text"] for address in shown["addresses"]] == ["北京市朝阳区****"]
    assert [contact["name"] for contact in shown["contacts"]] == ["李*"]
    assert shown["holds"] == []


@pytest.mark.parametrize("role", sorted(OFFICE))
def test_nobody_sees_an_identity_without_saying_why(cast: Cast, role: Role) -> None:
    case = a_full_case()
    reader = cast.person(role)

    answers = [
        reader.get(path).get_data(as_text=True) for path in ("/api/v1/cases", f"/api/v1/cases/{case.id}")
    ]

    assert not [secret for secret in SECRETS for answer in answers if secret in answer]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(AccessEntry)) == 0


def test_an_unmasked_read_is_logged_with_its_reason(dispatcher: Person) -> None:
    case = a_full_case()

    shown = dispatcher.post(f"/api/v1/cases/{case.id}/unmask", json={"reason": "planning a visit"})

    assert shown.get_json()["debtor"]["name"] == "张小明"
    assert shown.get_json()["addresses"][0]["text"].endswith("1203")
    entry = db.session.scalars(sa.select(AccessEntry)).one()
    assert (entry.staff_id, entry.entity_id, entry.reason) == (
        dispatcher.staff.id,
        case.id,
        "planning a visit",
    )
    assert "debtor.name" in entry.fields and entry.at is not None


def test_identity_and_card_numbers_are_hidden_even_then(dispatcher: Person) -> None:
    case = a_full_case()

    text = dispatcher.post(f"/api/v1/cases/{case.id}/unmask", json={"reason": "planning"}).get_data(
        as_text=True
    )

    assert "110101199003070011" not in text and "6227000012340001" not in text


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "    "}, {"reason": 7}])
def test_without_a_reason_nothing_is_shown_and_nothing_logged(dispatcher: Person, body: Any) -> None:
    case = a_full_case()

    answer = dispatcher.post(f"/api/v1/cases/{case.id}/unmask", json=body)

    assert answer.status_code == 422
    assert db.session.scalar(sa.select(sa.func.count()).select_from(AccessEntry)) == 0


def test_cases_are_listed_page_by_page_and_by_filter(dispatcher: Person) -> None:
    bank = a_client_bank(reference="OURS")
    debtor = add(Debtor(client_id=bank.id, reference="D", name="王五", hardship=[]))
    ours = [a_case(debtor=debtor), a_case(debtor=debtor, state="closed"), a_case(debtor=debtor)]
    a_case()

    def ids(query: str) -> list[str]:
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = dispatcher.get(f"/api/v1/cases?limit=2&{query}{after and '&after=' + after}").get_json()
            found += [case["id"] for case in page["cases"]]
            after = page["next"]
        return found

    assert len(ids("")) == 4
    assert ids("client=OURS") == sorted(str(case.id) for case in ours)
    assert ids("client=OURS&state=closed") == [str(ours[1].id)]
    assert ids(f"reference={ours[0].reference}") == [str(ours[0].id)]
    assert ids("client=NOBODY") == []


def test_a_ledger_entry_is_written_once_however_often_it_is_sent(dispatcher: Person) -> None:
    case = a_case()
    body = {
        "reference": "call-77",
        "channel": "inbound",
        "at": (now() - timedelta(hours=1)).isoformat(),
        "asks_for_visit": True,
        "visit_on": "2027-01-05",
    }

    first = dispatcher.post(f"/api/v1/cases/{case.id}/ledger", json=body)
    again = dispatcher.post(f"/api/v1/cases/{case.id}/ledger", json=body)
    other = dispatcher.post(f"/api/v1/cases/{case.id}/ledger", json=body | {"result": "changed"})

    assert (first.status_code, again.get_json()) == (201, first.get_json())
    assert other.status_code == 409
    assert first.get_json()["recorded_by"] == str(dispatcher.staff.id)


def test_the_ledger_is_read_newest_first(dispatcher: Person) -> None:
    case = a_case()
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        path = f"/api/v1/cases/{case.id}/ledger?limit=2{after and '&after=' + after}"
        page = dispatcher.get(path).get_json()
        seen += [entry["at"] for entry in page["entries"]]
        after = page["next"]

    assert len(seen) == 3
    assert [datetime.fromisoformat(at) for at in seen] == sorted(
        map(datetime.fromisoformat, seen), reverse=True
    )


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"at": "2099-01-01T00:00:00Z"}, "/at"),
        ({"at": "0001-01-01T00:00:00+23:00"}, "/at"),
        ({"channel": "letter", "asks_for_visit": True}, "/asks_for_visit"),
        ({"received_on": "2026-01-05"}, "/received_on"),
        ({"channel": "letter", "received_on": "2026-01-04"}, "/received_on"),
        ({"channel": "letter", "received_on": "2199-12-31"}, "/received_on"),
        ({"channel": "letter", "received_on": "9999-12-31"}, "/received_on"),
        ({"channel": "letter", "received_on": "0001-01-01"}, "/received_on"),
        ({"visit_on": "2026-01-05"}, "/visit_on"),
        ({"channel": "inbound", "asks_for_visit": True, "visit_on": "2026-01-04"}, "/visit_on"),
        ({"channel": "telepathy"}, "/channel"),
        ({"at": "2026-01-05T00:00:00"}, "/at"),
    ],
)
def test_a_ledger_entry_that_cannot_be_is_refused(
    dispatcher: Person, changed: dict[str, Any], pointer: str
) -> None:
    body = {"channel": "call", "at": "2026-01-05T00:00:00Z"} | changed

    answer = dispatcher.post(f"/api/v1/cases/{a_case().id}/ledger", json=body)

    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.get_json()["errors"]]


@pytest.mark.parametrize("received_on", ["2026-11-22", "2026-11-23"])
def test_a_letter_was_received_on_a_china_day_from_its_sending_to_today(
    office: Office, received_on: str
) -> None:
    sent = {"channel": "letter", "at": "2026-11-22T07:00:00+08:00"}

    answer = office.ask(f"/cases/{a_case().id}/ledger", sent | {"received_on": received_on})

    assert (answer.status_code, answer.get_json()["received_on"]) == (201, received_on)


def test_verifying_an_address_says_how_and_tells_the_phones(dispatcher: Person) -> None:
    case = a_case()
    address = an_address(case, status="unverified", verified_at=None)
    assignment = an_assignment(case, address, a_visitor())
    path = f"/api/v1/addresses/{address.id}/verification"

    answer = dispatcher.post(path, json={"status": "verified", "source": "household register"})
    dispatcher.post(path, json={"status": "verified", "source": "household register"})

    assert answer.get_json()["status"] == "verified"
    assert answer.get_json()["verified_by"] == str(dispatcher.staff.id)
    assert db.session.scalar(sa.select(FeedRow.rev).where(FeedRow.entity_id == assignment.id)) == 2
    assert dispatcher.post(path, json={"status": "verified", "source": " "}).status_code == 422


def test_a_review_is_recorded_once(supervisor: Person) -> None:
    case = a_case(special_flags=["vip"])

    first = supervisor.post(f"/api/v1/cases/{case.id}/review").get_json()["reviewed_at"]

    assert first is not None
    assert supervisor.post(f"/api/v1/cases/{case.id}/review").get_json()["reviewed_at"] == first


def test_a_note_can_be_acknowledged_where_there_is_one(dispatcher: Person) -> None:
    noted, plain = a_case(special_note="call the branch first"), a_case()

    answer = dispatcher.post(f"/api/v1/cases/{noted.id}/acknowledge-note")

    assert answer.get_json()["note_acknowledged_at"] is not None
    assert dispatcher.post(f"/api/v1/cases/{plain.id}/acknowledge-note").status_code == 409


def test_hardship_is_replaced_as_a_whole(dispatcher: Person) -> None:
    case = a_case(hardship=("pregnancy",))
    path = f"/api/v1/debtors/{case.debtor_id}/hardship"

    answer = dispatcher.put(path, json={"hardship": ["serious_illness", "financial_hardship"]})

    assert answer.get_json()["hardship"] == ["financial_hardship", "serious_illness"]
    assert dispatcher.put(path, json={"hardship": ["bad mood"]}).status_code == 422
    assert dispatcher.put(path, json={"hardship": []}).get_json()["hardship"] == []


def test_who_takes_hardship_away_and_puts_it_back_is_seen(dispatcher: Person) -> None:
    case = a_case(hardship=("pregnancy", "financial_hardship"))
    path = f"/api/v1/debtors/{case.debtor_id}/hardship"

    for hardship in ([], [], ["pregnancy", "financial_hardship"]):
        dispatcher.put(path, json={"hardship": hardship})

    entries = db.session.scalars(sa.select(AccessEntry).where(AccessEntry.entity_id == case.debtor_id))
    told = [(one.staff_id, one.action, one.request) for one in entries]
    assert sorted(told, key=str) == [
        (dispatcher.staff.id, "hardship", {"added": 0, "removed": 2}),
        (dispatcher.staff.id, "hardship", {"added": 2, "removed": 0}),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "allowed"),
    [
        ("get", "/cases", None, OFFICE),
        ("get", "/cases/{case}", None, OFFICE),
        ("get", "/cases/{case}/ledger", None, OFFICE),
        ("get", "/cases/{case}/holds", None, OFFICE),
        ("post", "/cases/{case}/unmask", {"reason": "needed"}, DECIDERS),
        ("post", "/cases/{case}/ledger", {"channel": "call", "at": "2026-01-05T00:00:00Z"}, DECIDERS),
        ("post", "/cases/{case}/acknowledge-note", None, DECIDERS),
        ("post", "/cases/{case}/review", None, {Role.SUPERVISOR}),
        ("post", "/cases/{case}/holds", {"reason": "other"}, DECIDERS),
        ("post", "/addresses/{address}/verification", {"status": "verified", "source": "x"}, DECIDERS),
        ("put", "/debtors/{debtor}/hardship", {"hardship": []}, DECIDERS),
    ],
)
def test_each_door_opens_for_its_roles_only(
    cast: Cast, stranger: FlaskClient, method: str, path: str, body: Any, allowed: set[Role]
) -> None:
    case = a_case(special_note="call the branch first")
    names = {"case": case.id, "debtor": case.debtor_id, "address": an_address(case).id}
    url = "/api/v1" + path.format(**names)
    request = {} if body is None else {"json": body}

    assert getattr(stranger, method)(url, **request).status_code == 401
    for role in Role:
        status = getattr(cast.person(role), method)(url, **request).status_code
        assert (status == 403) == (role not in allowed), role
        assert status < 300 or role not in allowed


def test_what_does_not_exist_is_not_found(supervisor: Person) -> None:
    nobody = uuid4()
    asked = [
        supervisor.get(f"/api/v1/cases/{nobody}"),
        supervisor.get(f"/api/v1/cases/{nobody}/ledger"),
        supervisor.get(f"/api/v1/cases/{nobody}/holds"),
        supervisor.post(f"/api/v1/cases/{nobody}/unmask", json={"reason": "needed"}),
        supervisor.post(f"/api/v1/cases/{nobody}/review"),
        supervisor.post(f"/api/v1/cases/{nobody}/holds", json={"reason": "other"}),
        supervisor.post(f"/api/v1/holds/{nobody}/release", json={"instruction": "letter 7"}),
        supervisor.post(
            f"/api/v1/addresses/{nobody}/verification", json={"status": "verified", "source": "x"}
        ),
        supervisor.put(f"/api/v1/debtors/{nobody}/hardship", json={"hardship": []}),
    ]

    assert [answer.status_code for answer in asked] == [404] * len(asked)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("北京市朝阳区建国路88号", "北京市朝阳区****"),
        ("广东省深圳市南山区科技园1栋", "广东省深圳市南山区****"),
        ("江苏省昆山市花园小区3号", "江苏省昆山市****"),
        ("somewhere", "****"),
        (None, None),
    ],
)
def test_an_address_is_masked_below_the_district(text: str | None, masked: str | None) -> None:
    assert pii.mask_address(text) == masked
