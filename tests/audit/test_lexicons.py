"""A client's words are entered as its overlays are, and judge that client's visits from then on."""

from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import transaction
from server.models.dispatch import Assignment
from server.models.packs import EnteredPack
from server.models.people import Staff
from server.models.visits import Account
from sync.phone import Phone
from tests.audit.test_reconciliation import a_fabricated_visit, judge
from tests.builders import Cast, Person, a_case, a_person, an_address, an_assignment, now
from tests.reconcile.test_added_words import HEAD, a_table

WORDS = HEAD + a_table()


@pytest.fixture
def admin(cast: Cast) -> Person:
    return cast.person(Role.ADMIN)


def an_assignment_of_a_client(visitor: Staff, *, days: int = 0) -> tuple[Assignment, UUID]:
    case = a_case()
    start = now() + timedelta(days=days)
    dispatcher = a_person(Role.DISPATCHER)
    return an_assignment(case, an_address(case), visitor, issued_by=dispatcher, start=start), case.client_id


def test_words_judge_their_client_s_visits_and_nobody_else_s(
    app: Flask, phone: Phone, visitor: Staff, admin: Person
) -> None:
    (mine, client_id), (other, _) = (an_assignment_of_a_client(visitor, days=n) for n in range(2))
    body = {"toml": WORDS, "client_id": str(client_id), "note": "letter of the bank"}
    entered = admin.post("/api/v1/rules/overlays", json=body)
    with transaction() as session:
        session.execute(sa.update(EnteredPack).values(entered_at=now() - timedelta(days=1)))
    visits = [a_fabricated_visit(app, phone, one) for one in (mine, other)]
    with transaction() as session:
        session.execute(sa.update(Account).values(narrative="我方同事对债务人说滚犊子。"))

    found = [judge(visit_id) for visit_id in visits]

    assert entered.status_code == 201, entered.get_json()
    assert entered.get_json()["pack"]["lexicon"][0]["words"] == ["滚犊子"]
    assert ["wording-insult" in one for one in found] == [True, False]


def test_nobody_is_judged_by_words_that_were_entered_after_the_visit(
    app: Flask, phone: Phone, visitor: Staff, admin: Person
) -> None:
    assignment, client_id = an_assignment_of_a_client(visitor)
    visit_id = a_fabricated_visit(app, phone, assignment)
    admin.post("/api/v1/rules/overlays", json={"toml": WORDS, "client_id": str(client_id)})
    with transaction() as session:
        session.execute(sa.update(Account).values(narrative="我方同事对债务人说滚犊子。"))
        session.execute(sa.update(EnteredPack).values(entered_at=now() + timedelta(hours=1)))

    assert "wording-insult" not in judge(visit_id)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEAD + a_table(topic='"rudeness"'), "lexicon[0]: there is no topic 'rudeness'"),
        (HEAD + a_table(words='["滚"]'), "lexicon[0]: words[0]"),
        (HEAD + a_table(effective_to="2026-02-01"), "nothing in it holds"),
    ],
)
def test_a_fault_is_refused_with_place_and_reason_and_nothing_is_entered(
    admin: Person, text: str, why: str
) -> None:
    refused = admin.post("/api/v1/rules/overlays", json={"toml": text})

    told = refused.get_json()
    assert (refused.status_code, told["errors"][0]["pointer"]) == (422, "/toml")
    assert why in told["errors"][0]["detail"]
    with transaction() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(EnteredPack)) == 0


def test_a_preview_names_the_words_that_come(admin: Person) -> None:
    effect = admin.post("/api/v1/rules/overlays/preview", json={"toml": WORDS}).get_json()

    assert effect["changes"] == [{"parameter": "lexicon.insult", "was": None, "becomes": ["滚犊子"]}]
