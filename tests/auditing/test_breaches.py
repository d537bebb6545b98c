"""A breach: only after the visitor was heard, coaching first, discipline for a repeat, no end unlearned."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError
from werkzeug.test import TestResponse

from server.authority import Role
from server.database import db, transaction
from server.models.breaches import Breach, BreachEnding
from server.models.findings import Hearing
from server.models.people import Staff
from sync.protocol import uuid7
from tests.auditing.builders import DAY, a_judged_visit, decide, look_again, slug_of, the_finding
from tests.auditing.test_deciding import an_involved_person
from tests.builders import Cast, Person, a_case, a_person, a_visitor, now

SERIOUS = ("evidence-missing", "serious", 1.0)
OTHER = ("team-differs", "serious", 1.0)
LESSONS = {"cause": "no spare battery", "education": "drill on Monday", "prevention": "two phones a team"}


def a_heard_finding(
    visitor: Staff, auditor: Person, found: tuple[str, str, float] = SERIOUS, day: date = DAY
) -> UUID:
    """A confirmed finding whose right of reply has run out."""
    finding = the_finding(a_judged_visit(visitor, found, day=day))
    decide(auditor, finding)
    run_out(finding)
    return finding


def heard(finding: UUID, auditor: Person) -> UUID:
    """Have a finding confirmed and its right of reply run out; the id of its hearing."""
    decide(auditor, finding)
    run_out(finding)
    return db.session.scalars(sa.select(Hearing.id).where(Hearing.finding_id == finding)).one()


def tomorrow() -> date:
    """A day after whatever is opened now."""
    return (now() + timedelta(days=1)).date()


def run_out(finding: UUID) -> None:
    with transaction() as session:
        past = {"opened_at": now() - timedelta(days=9), "due_at": now() - timedelta(days=1)}
        session.execute(sa.update(Hearing).where(Hearing.finding_id == finding).values(past))


def open_breach(person: Person, staff: Staff, *findings: UUID, **more: Any) -> TestResponse:
    body = {"staff_id": str(staff.id), "finding_ids": [str(one) for one in findings], **more}
    return person.post("/api/v1/breaches", json=body)


def end(person: Person, breach_id: str, how: str, **words: str) -> TestResponse:
    return person.post(f"/api/v1/breaches/{breach_id}/{how}", json=words)


def test_it_is_opened_only_after_the_right_of_reply(app: Flask, visitor: Staff, auditor: Person) -> None:
    finding = the_finding(a_judged_visit(visitor, SERIOUS))
    undecided = open_breach(auditor, visitor, finding)
    decide(auditor, finding)
    unheard = open_breach(auditor, visitor, finding)
    run_out(finding)

    opened = open_breach(auditor, visitor, finding)

    assert [answer.status_code for answer in (undecided, unheard, opened)] == [422, 422, 201]
    assert "does not stand" in undecided.get_json()["errors"][0]["detail"]
    assert "right of reply ends at" in unheard.get_json()["errors"][0]["detail"]
    assert (opened.get_json()["state"], opened.get_json()["measure"]) == ("open", "coaching")


def test_every_fault_of_a_breach_is_named_at_once(app: Flask, visitor: Staff, auditor: Person) -> None:
    dismissed = the_finding(a_judged_visit(visitor, SERIOUS))
    decide(auditor, dismissed, "dismissed")
    strangers = a_heard_finding(a_visitor(), auditor)
    mine = a_heard_finding(visitor, auditor)
    taken = a_heard_finding(visitor, auditor)
    open_breach(auditor, visitor, taken)

    answer = open_breach(auditor, visitor, mine, uuid7(), dismissed, strangers, taken)

    told = {one["pointer"]: one["detail"] for one in answer.get_json()["errors"]}
    assert (answer.status_code, slug_of(answer)) == (422, "breach-faulty")
    assert list(told) == [f"/finding_ids/{n}" for n in (1, 2, 3, 4)]
    assert "not at the visit" in told["/finding_ids/3"] and "holds it already" in told["/finding_ids/4"]


def test_the_first_is_coaching_a_repeat_of_the_same_kind_is_discipline(
    app: Flask, visitor: Staff, auditor: Person, supervisor: Person
) -> None:
    other = a_visitor()
    opened = [
        open_breach(auditor, who, a_heard_finding(who, auditor, found)).get_json()
        for who, found in (
            (visitor, SERIOUS),
            (visitor, OTHER),  # another problem, for the first time
            (other, SERIOUS),  # another person
        )
    ]
    again = open_breach(auditor, visitor, a_heard_finding(visitor, auditor, day=tomorrow())).get_json()

    assert [one["measure"] for one in opened] == ["coaching", "coaching", "coaching"]
    assert (again["measure"], again["repeats"]) == ("discipline", [opened[0]["id"]])


def test_what_happened_before_anybody_was_told_is_no_repeat_however_late_it_is_found(
    app: Flask, visitor: Staff, auditor: Person
) -> None:
    yesterday = (now() - timedelta(days=1)).date()
    first, second = (a_heard_finding(visitor, auditor, day=yesterday) for _ in range(2))

    opened = [open_breach(auditor, visitor, one).get_json() for one in (first, second)]

    assert [(one["measure"], one["repeats"]) for one in opened] == [("coaching", [])] * 2


def test_a_withdrawn_breach_makes_no_repeat_and_frees_its_finding_for_a_second_look(
    app: Flask, visitor: Staff, auditor: Person, supervisor: Person
) -> None:
    finding = a_heard_finding(visitor, auditor)
    first = open_breach(auditor, visitor, finding).get_json()["id"]
    held = look_again(supervisor, finding, "overturned")

    withdrawn = end(supervisor, first, "withdraw", reason="the wrong person")
    freed = look_again(supervisor, finding, "overturned")
    second = open_breach(auditor, visitor, a_heard_finding(visitor, auditor, day=tomorrow())).get_json()

    assert (held.status_code, slug_of(held)) == (409, "breach-stands")
    assert (withdrawn.status_code, withdrawn.get_json()["state"]) == (200, "withdrawn")
    assert freed.status_code == 200
    assert second["measure"] == "coaching"


def test_a_breach_that_made_another_a_repeat_is_not_withdrawn_before_it(
    app: Flask, visitor: Staff, auditor: Person, supervisor: Person
) -> None:
    first, second = (
        open_breach(auditor, visitor, a_heard_finding(visitor, auditor, day=day)).get_json()["id"]
        for day in (DAY, tomorrow())
    )

    refused = end(supervisor, first, "withdraw", reason="x")
    later = end(supervisor, second, "withdraw", reason="x")
    then = end(supervisor, first, "withdraw", reason="x")

    assert (refused.status_code, slug_of(refused)) == (409, "breach-is-cited")
    assert (later.status_code, then.status_code) == (200, 200)


@pytest.mark.parametrize("part", ["dispatcher", "supervisor"])
def test_whoever_had_a_part_in_the_visit_neither_opens_a_breach_nor_takes_one_back(
    app: Flask, cast: Cast, auditor: Person, supervisor: Person, part: str
) -> None:
    finding, staff = an_involved_person(part)
    visitor = db.session.get_one(Staff, db.session.get_one(Hearing, heard(finding, auditor)).people[0])
    involved = cast.sign_in(staff)

    refused = open_breach(involved, visitor, finding)
    opened = open_breach(auditor, visitor, finding).get_json()["id"]
    kept = end(involved, opened, "withdraw", reason="he is a good man")
    taught = end(involved, opened, "close", **LESSONS)

    assert [(one.status_code, slug_of(one)) for one in (refused, kept)] == [(403, "auditor-involved")] * 2
    assert taught.get_json()["state"] == "closed"
    theirs = {"id": uuid7(), "breach_id": UUID(opened), "staff_id": visitor.id, "reason": "x"}
    with transaction() as session:
        session.execute(sa.delete(BreachEnding))
    with pytest.raises(IntegrityError, match="no part in what is decided"), transaction() as session:
        session.add(BreachEnding(**theirs, outcome="withdrawn", ended_by=staff.id, ended_at=now()))
    with pytest.raises(IntegrityError, match="no part in what is decided"), transaction() as session:
        session.execute(sa.update(Breach).values(opened_by=staff.id))


def test_it_closes_only_with_cause_education_and_prevention(
    app: Flask, visitor: Staff, auditor: Person, supervisor: Person
) -> None:
    breach = open_breach(auditor, visitor, a_heard_finding(visitor, auditor)).get_json()["id"]

    refused = end(supervisor, breach, "close", cause="x", education=" ")
    closed = end(supervisor, breach, "close", **LESSONS)
    again = end(supervisor, breach, "close", **LESSONS)
    other = end(supervisor, breach, "close", **{**LESSONS, "cause": "another"})

    assert [one["pointer"] for one in refused.get_json()["errors"]] == ["/education", "/prevention"]
    assert (closed.status_code, closed.get_json()["ending"]["cause"]) == (200, "no spare battery")
    assert (again.status_code, again.get_json()) == (200, closed.get_json())
    assert (other.status_code, slug_of(other)) == (409, "breach-over")


@pytest.mark.parametrize("missing", ["cause", "education", "prevention"])
def test_the_database_closes_none_without_its_lessons(
    app: Flask, visitor: Staff, auditor: Person, supervisor: Person, missing: str
) -> None:
    breach = UUID(open_breach(auditor, visitor, a_heard_finding(visitor, auditor)).get_json()["id"])
    words = {**LESSONS, "reason": "", missing: "  "}

    with pytest.raises(IntegrityError, match="closed_with_lessons"), transaction() as session:
        who = {"breach_id": breach, "staff_id": visitor.id, "ended_by": supervisor.staff.id}
        session.add(BreachEnding(**who, outcome="closed", ended_at=now(), **words))


def test_nobody_opens_or_ends_their_own(app: Flask, cast: Cast, auditor: Person, supervisor: Person) -> None:
    visitor = a_person(Role.VISITOR, Role.SUPERVISOR)
    finding = a_heard_finding(visitor, auditor)
    themselves = cast.sign_in(visitor)
    opened = open_breach(themselves, visitor, finding)
    breach = open_breach(auditor, visitor, finding).get_json()["id"]

    answers = [opened, end(themselves, breach, "close", **LESSONS)]
    answers.append(end(themselves, breach, "withdraw", reason="x"))

    assert {(answer.status_code, slug_of(answer)) for answer in answers} == {(403, "own-breach")}
    with pytest.raises(IntegrityError, match="not_ended_by_oneself"), transaction() as session:
        who = {"breach_id": UUID(breach), "staff_id": visitor.id, "ended_by": visitor.id}
        session.add(BreachEnding(**who, outcome="closed", ended_at=now(), reason="", **LESSONS))
    with pytest.raises(IntegrityError, match="discipline_means_repeat"), transaction() as session:
        session.execute(sa.update(Breach).values(measure="discipline"))


def test_complaints_are_linked_that_are_about_the_person_or_the_visit(
    app: Flask, visitor: Staff, auditor: Person, supervisor: Person
) -> None:
    finding = a_heard_finding(visitor, auditor)

    def complain(*about: Staff) -> str:
        body = {"channel": "call", "text": "rude", "about_staff": [str(one.id) for one in about]}
        answer = supervisor.post(f"/api/v1/cases/{a_case().id}/complaints", json=body)
        assert answer.status_code == 201, answer.json
        return answer.get_json()["id"]

    theirs, others = complain(visitor), complain(a_visitor())

    refused = open_breach(auditor, visitor, finding, complaint_ids=[theirs, others])
    opened = open_breach(auditor, visitor, finding, complaint_ids=[theirs])

    assert [one["pointer"] for one in refused.get_json()["errors"]] == ["/complaint_ids/1"]
    assert opened.get_json()["complaint_ids"] == [theirs]


def test_breaches_are_listed_by_person_and_state(
    app: Flask, visitor: Staff, auditor: Person, supervisor: Person
) -> None:
    made = [
        open_breach(auditor, visitor, a_heard_finding(visitor, auditor)).get_json()["id"] for _ in range(3)
    ]
    open_breach(auditor, other := a_visitor(), a_heard_finding(other, auditor))
    end(supervisor, made[0], "close", **LESSONS)

    def listed(query: str) -> list[str]:
        return [one["id"] for one in auditor.get(f"/api/v1/breaches?{query}").get_json()["breaches"]]

    assert listed(f"staff_id={visitor.id}") == made[::-1]
    assert listed(f"staff_id={visitor.id}&state=open&limit=1") == [made[2]]
    assert listed(f"staff_id={visitor.id}&state=open&after={made[2]}") == [made[1]]
    assert listed("state=closed") == [made[0]]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Breach)) == 4
