"""From an account's claims to deliveries, states and the ledger; a correction corrects all of it."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from server.authority import Role
from server.database import db, transaction
from server.letters.delivery import ClaimedDelivery, claimed_deliveries, serves
from server.models.cases import LedgerEntry
from server.models.dispatch import Assignment
from server.models.letters import METHODS, Delivery, Letter
from server.models.people import Device
from server.models.visits import Account, Visit
from server.workflows.deliveries import record_deliveries
from sync.protocol import uuid7
from tests.builders import a_contact
from tests.letters.standing import a_standing_template
from tests.office import NOW, Office, a_body, a_door, a_team, china

ARRIVED = china("2026-11-24 10:10")
SEALED = {"recipient": "co_resident", "relation": "妻子", "name": "李梅"}


def a_visit_with_letter(office: Office, **template: Any) -> Visit:
    """A visit on an assignment that carries one letter to the debtor."""
    return a_visit_with_letters(office, "debtor", **template)


def a_visit_with_letters(office: Office, *recipients: str, **template: Any) -> Visit:
    """A visit on an assignment that carries letters of one template to these recipients."""
    door, team = a_door(), a_team()
    a_standing_template(door.case, **template)
    a_contact(door.case, liable=True)
    letters = [{"template": "notice-1", "recipient": one, "pay_by": "2026-12-01"} for one in recipients]
    granted = office.ask("/assignments", a_body(door, *team, letters=letters)).get_json()
    with transaction() as session:
        device = session.scalars(sa.select(Device).where(Device.staff_id == team[0].id)).one()
        assignment = session.get_one(Assignment, UUID(granted["id"]))
        visit = Visit(
            id=uuid7(), assignment_id=assignment.id, debtor_id=door.case.debtor_id, device_id=device.id,
            staff_id=team[0].id, team=[member.id for member in team], seen_seq=0, arrived_earliest=ARRIVED,
            arrived_latest=ARRIVED, arrived_method="anchored", started_item=uuid7(), first_received_at=NOW,
            evidence_due_at=NOW, state="reported",
        )  # fmt: skip
        session.add(visit)
    return visit


def tell(visit: Visit, met: str, *letters: dict[str, Any], parent: Account | None = None) -> Account:
    """Write an account (or an amendment) and let the job run."""
    told = [{"template": "notice-1", "recipient": "debtor", **letter} for letter in letters]
    claims = {"met": met, "letters": told}
    account = Account(
        id=uuid7(), visit_id=visit.id, parent_id=parent and parent.id, device_id=visit.device_id,
        item_id=uuid7(), author_id=visit.staff_id, claims=claims, narrative="", written_earliest=NOW,
        written_latest=NOW, received_at=NOW + timedelta(minutes=1 if parent else 0),
    )  # fmt: skip
    with transaction() as session:
        session.add(account)
    record_deliveries(now=NOW, visit_id=str(visit.id))
    return account


def outcome(visit: Visit) -> tuple[str, str, date | None]:
    """The letter's state, what the ledger says, and from which day it counts."""
    db.session.expire_all()
    letter = db.session.scalars(sa.select(Letter).where(Letter.assignment_id == visit.assignment_id)).one()
    delivery = db.session.scalars(sa.select(Delivery).where(Delivery.letter_id == letter.id)).one()
    entry = db.session.get_one(LedgerEntry, delivery.ledger_entry_id)
    assert (entry.channel, entry.visit_id, delivery.received_on) == ("letter", visit.id, entry.received_on)
    return letter.state, entry.result, entry.received_on


DAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("met", "letter", "state", "served_on"),
    [
        ("debtor", {"delivery": "handed_to_debtor", "signed": True}, "delivered", DAY),
        ("nobody", {"delivery": "mailbox", "recipient": "nobody"}, "delivered", DAY),
        ("nobody", {"delivery": "under_door", "recipient": "nobody"}, "delivered", DAY),
        ("third_party", {"delivery": "sealed_to_adult_co_resident", **SEALED}, "delivered", DAY),
        ("third_party", {"delivery": "sealed_to_adult_co_resident"}, "delivered", None),
        ("nobody", {"delivery": "handed_to_debtor"}, "delivered", None),
        ("debtor", {"delivery": "mailbox"}, "delivered", None),
        ("debtor", {"delivery": "refused"}, "returned", None),
        ("nobody", {"delivery": "callback_slip", "recipient": "nobody"}, "returned", None),
    ],
)
def test_only_lawful_service_starts_the_days_after_receipt(
    office: Office, met: str, letter: dict[str, Any], state: str, served_on: date | None
) -> None:
    visit = a_visit_with_letter(office)

    tell(visit, met, letter)

    assert outcome(visit) == (state, letter["delivery"], served_on)


def test_a_call_back_slip_arrives_but_serves_nothing(office: Office) -> None:
    visit = a_visit_with_letter(
        office, kind="callback_slip", title="回电", body="{{ agency_phone }}", parts={}
    )

    tell(visit, "nobody", {"delivery": "mailbox", "recipient": "nobody"})

    assert outcome(visit) == ("delivered", "mailbox", None)


def test_a_rerun_changes_nothing_and_an_amendment_corrects_it(office: Office) -> None:
    visit = a_visit_with_letter(office)
    first = tell(visit, "debtor", {"delivery": "handed_to_debtor"})
    record_deliveries(now=NOW, visit_id=str(visit.id))
    before = outcome(visit)

    tell(visit, "debtor", {"delivery": "refused"}, parent=first)

    assert before == ("delivered", "handed_to_debtor", DAY)
    assert outcome(visit) == ("returned", "refused", None)


def test_what_an_amendment_takes_back_served_nobody(office: Office) -> None:
    visit = a_visit_with_letter(office)
    first = tell(visit, "nobody", {"delivery": "mailbox", "recipient": "nobody"})
    served = outcome(visit)

    second = tell(visit, "nobody", parent=first)
    letter = db.session.scalars(sa.select(Letter).execution_options(populate_existing=True)).one()
    taken_back = letter.state, db.session.scalar(sa.select(sa.func.count()).select_from(Delivery))
    entries = db.session.scalar(sa.select(sa.func.count()).where(LedgerEntry.visit_id == visit.id))
    tell(visit, "debtor", {"delivery": "handed_to_debtor"}, parent=second)

    assert served == ("delivered", "mailbox", DAY)
    assert (taken_back, entries) == (("issued", 0), 0)
    assert outcome(visit) == ("delivered", "handed_to_debtor", DAY)


def test_an_erased_account_takes_nothing_back(office: Office) -> None:
    visit = a_visit_with_letter(office)
    tell(visit, "debtor", {"delivery": "handed_to_debtor"})
    with transaction() as session:
        session.execute(sa.update(Account).values(claims={}, narrative=""))

    record_deliveries(now=NOW, visit_id=str(visit.id))

    assert outcome(visit) == ("delivered", "handed_to_debtor", DAY)


def test_a_letter_that_was_void_when_it_was_delivered_is_void_again(office: Office) -> None:
    visit = a_visit_with_letter(office)
    with transaction() as session:
        session.execute(sa.update(Letter).values(state="void", void_reason="assignment cancelled"))
    first = tell(visit, "debtor", {"delivery": "handed_to_debtor"})
    delivered = outcome(visit)

    tell(visit, "nobody", parent=first)

    assert delivered == ("delivered", "handed_to_debtor", DAY)
    assert db.session.scalars(sa.select(Letter.state)).one() == "void"


def test_who_took_it_is_kept_encrypted(office: Office) -> None:
    visit = a_visit_with_letter(office)

    tell(visit, "third_party", {"delivery": "sealed_to_adult_co_resident", **SEALED})

    delivery = db.session.scalars(sa.select(Delivery)).one()
    assert (delivery.recipient, delivery.relation) == ("李梅", "妻子")
    assert "李梅".encode() not in bytes(db.session.scalar(sa.text("SELECT recipient FROM deliveries")))
    path = f"/api/v1/letters/{delivery.letter_id}"
    assert "李梅" not in office.person(Role.AUDITOR).get(path).get_data(as_text=True)


def test_a_letter_that_was_not_carried_is_not_recorded(office: Office) -> None:
    visit = a_visit_with_letter(office)

    tell(visit, "debtor", {"delivery": "handed_to_debtor", "template": "home-made"})

    assert db.session.scalar(sa.select(sa.func.count(Delivery.id))) == 0


@pytest.mark.parametrize("recipients", [("debtor", "liable_person"), ("liable_person", "debtor")])
@pytest.mark.parametrize("order", [1, -1])
def test_of_two_letters_of_a_template_each_is_written_down_for_whom_it_is(
    office: Office, recipients: tuple[str, str], order: int
) -> None:
    visit = a_visit_with_letters(office, *recipients)
    handed = {"delivery": "handed_to_liable_person", "recipient": "liable_person"}

    tell(visit, "liable_person", *[handed, {"delivery": "refused"}][::order])

    went = sa.select(Letter.recipient, Letter.state, Delivery.method, Delivery.received_on)
    rows = db.session.execute(went.join(Delivery, Delivery.letter_id == Letter.id).order_by(Letter.recipient))
    assert [tuple(row) for row in rows] == [
        ("debtor", "returned", "refused", None),
        ("liable_person", "delivered", "handed_to_liable_person", DAY),
    ]


def test_there_is_no_way_to_say_that_a_letter_was_posted_in_public() -> None:
    """The methods are all there are (H9); the database holds the column to them."""
    assert set(METHODS) == {
        *("handed_to_debtor", "handed_to_liable_person", "sealed_to_adult_co_resident", "mailbox"),
        *("under_door", "callback_slip", "refused", "post"),
    }


def test_optional_members_of_the_wrong_form_are_left_out() -> None:
    letter = {"template": "t", "delivery": "mailbox", "recipient": "nobody"}
    odd = {"letter_id": "7", "relation": 5, "name": [], "signed": "yes", "evidence_id": None}

    assert list(claimed_deliveries({"letters": [{**letter, **odd}]})) == [
        ClaimedDelivery(template="t", method="mailbox", recipient="nobody")
    ]
    assert list(claimed_deliveries({})) == list(claimed_deliveries({"letters": None})) == []


def test_a_liable_person_is_served_in_person() -> None:
    claimed = ClaimedDelivery(template="t", method="handed_to_liable_person", recipient="liable_person")

    assert serves(claimed, kind="notice", met="liable_person")
    assert not serves(claimed, kind="notice", met="debtor")
