"""Incidents: force stops the case, leadership and client hear at once, and nothing closes unlearned."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from server.authority import Role
from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.cases import Case, Hold
from server.models.casework import INCIDENT_KINDS, ClientNotice, Incident
from tests.auditing.builders import a_judged_visit
from tests.builders import a_case, a_visitor, an_address, an_assignment
from tests.office import NOW, Office

WORDS = "对方推搡后我方撤离"
LESSONS = {"cause": "语言冲突", "education": "安全培训", "prevention": "两人同行"}
SOON = NOW + timedelta(hours=2)


def happened(office: Office, kind: str, *, case: Case | None = None, **more: Any) -> dict[str, Any]:
    """Something happened half an hour ago, and the desk wrote it down."""
    body = {"kind": kind, "text": WORDS, "occurred_at": (NOW - timedelta(minutes=30)).isoformat()}
    of_case = {} if case is None else {"case_id": str(case.id)}
    answer = office.ask("/incidents", {**body, **of_case, **more})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()


def tell_leadership(office: Office, incident: dict[str, Any], to: str = "总经理") -> Any:
    body = {"to": to, "outcome": "无人受伤"}
    return office.ask(f"/incidents/{incident['id']}/leadership-told", body, by=Role.SUPERVISOR)


def tell_client(office: Office) -> Any:
    notice = db.session.scalars(sa.select(ClientNotice)).one()
    return office.ask(f"/notices/{notice.id}/sent", {"how": "email", "reference": "<1@agency>"})


def close(office: Office, incident: dict[str, Any], **lessons: str) -> Any:
    return office.ask(f"/incidents/{incident['id']}/close", LESSONS | lessons, by=Role.SUPERVISOR)


def read(office: Office, incident: dict[str, Any]) -> dict[str, Any]:
    return office.person(Role.SUPERVISOR).get(f"/api/v1/incidents/{incident['id']}").get_json()


def slug(answer: Any) -> str:
    return answer.get_json()["type"].removeprefix("/problems/")


@pytest.mark.parametrize("kind", INCIDENT_KINDS)
def test_each_kind_stops_and_tells_what_it_must(office: Office, kind: str) -> None:
    stops = kind in ("self_defence", "violence", "threat", "injury")
    is_told = kind in ("self_defence", "violence", "injury")

    raised = happened(office, kind, case=a_case())

    reasons = db.session.scalars(sa.select(Hold.reason)).all()
    assert list(reasons) == (["other"] if stops else [])
    assert (raised["hold_id"] is not None) == stops
    told = db.session.execute(sa.select(ClientNotice.kind, ClientNotice.due_at, ClientNotice.is_urgent)).all()
    assert [tuple(row) for row in told] == ([("incident", SOON, True)] if is_told else [])
    due = raised["leadership_due_at"]
    assert (due and datetime.fromisoformat(due)) == (SOON if is_told else None)


def test_what_has_no_case_stops_nothing_and_is_still_told_to_the_leadership(office: Office) -> None:
    raised = happened(office, "injury")

    assert (raised["case_id"], raised["hold_id"]) == (None, None)
    assert raised["leadership_due_at"] is not None
    assert db.session.scalar(sa.select(sa.func.count()).select_from(ClientNotice)) == 0


def test_the_leadership_is_told_once_and_by_whom_is_kept(office: Office) -> None:
    raised = happened(office, "violence", case=a_case())
    desk = office.person(Role.SUPERVISOR)
    path = "/api/v1/incidents?is_leadership_untold=true"
    before = [one["id"] for one in desk.get(path).get_json()["incidents"]]

    first, again = tell_leadership(office, raised), tell_leadership(office, raised, to="别人")

    assert before == [raised["id"]]
    assert (first.get_json()["state"], first.get_json()) == ("reported", again.get_json())
    assert desk.get(path).get_json()["incidents"] == []
    (told,) = (one for one in read(office, raised)["events"] if one["kind"] == "leadership_told")
    assert (told["text"], told["by"]) == ("总经理: 无人受伤", str(desk.staff.id))


def test_force_is_closed_only_after_leadership_and_client_were_told(office: Office) -> None:
    raised = happened(office, "self_defence", case=a_case())

    untold = close(office, raised)
    tell_leadership(office, raised)
    half_told = close(office, raised)
    tell_client(office)
    closed = close(office, raised)

    assert (untold.status_code, slug(untold)) == (409, "leadership-not-told")
    assert (half_told.status_code, slug(half_told)) == (409, "client-not-told")
    assert (closed.status_code, closed.get_json()["state"]) == (200, "closed")


@pytest.mark.parametrize("missing", ["cause", "education", "prevention"])
def test_nothing_closes_without_what_was_learned(office: Office, missing: str) -> None:
    raised = happened(office, "accident")

    answer = close(office, raised, **{missing: " "})

    assert (answer.status_code, slug(answer)) == (422, "lessons-missing")
    assert [one["pointer"] for one in answer.get_json()["errors"]] == [f"/{missing}"]
    assert read(office, raised)["state"] == "open"


def test_the_first_lessons_stand(office: Office) -> None:
    raised = happened(office, "accident")

    first, again = close(office, raised), close(office, raised, cause="别的原因")

    assert first.get_json() == again.get_json()
    assert read(office, raised)["cause"] == LESSONS["cause"]
    assert tell_leadership(office, raised).status_code == 409


def test_the_database_itself_closes_nothing_that_was_not_told_or_learned(office: Office) -> None:
    happened(office, "violence", case=a_case())

    for values in (
        {"state": "reported"},
        {"state": "closed", "leadership_told_at": NOW},
    ):
        with pytest.raises(IntegrityError), transaction() as session:
            session.execute(sa.update(Incident).values(**values))


def test_work_goes_on_only_after_the_incident_is_closed(office: Office) -> None:
    raised = happened(office, "threat", case=a_case())
    path, word = f"/holds/{raised['hold_id']}/release", {"instruction": "safe again"}

    early = office.ask(path, word, by=Role.SUPERVISOR)
    close(office, raised)
    late = office.ask(path, word, by=Role.SUPERVISOR)

    assert (early.status_code, slug(early)) == (409, "incident-unclosed")
    assert early.get_json()["incidents"] == [raised["id"]]
    assert late.status_code == 200


def test_a_double_tap_is_one_incident_and_two_threats_are_two(office: Office) -> None:
    case = a_case()

    first, again = happened(office, "threat", case=case), happened(office, "threat", case=case)
    other = happened(office, "threat", case=case, text="再次威胁")

    assert first["id"] == again["id"] != other["id"]
    assert first["hold_id"] == other["hold_id"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"kind": "brawl"}, "/kind"),
        ({"text": " "}, "/text"),
        ({"occurred_at": (NOW + timedelta(seconds=1)).isoformat()}, "/occurred_at"),
        ({"occurred_at": "2026-11-23T10:00:00"}, "/occurred_at"),  # of which zone?
        ({"occurred_at": "1999-12-31T23:59:59+00:00"}, "/occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "/occurred_at"),
        ({"case_id": "01890000-0000-7000-8000-00000000dead"}, "/case_id"),
        ({"visit_id": "01890000-0000-7000-8000-00000000dead"}, "/visit_id"),
    ],
)
def test_a_faulty_incident_is_refused_with_the_place(
    office: Office, body: dict[str, Any], pointer: str
) -> None:
    sound = {"kind": "threat", "text": WORDS, "occurred_at": NOW.isoformat()}

    answer = office.ask("/incidents", sound | body)

    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.get_json()["errors"]] == [pointer]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Incident)) == 0


def test_an_incident_names_a_visit_of_its_own_case_only(office: Office) -> None:
    case, other, visitor = a_case(), a_case(), a_visitor()
    assignment = an_assignment(case, an_address(case), visitor)
    visit = str(a_judged_visit(visitor, case=case, assignment=assignment))
    body = {"kind": "threat", "text": WORDS, "occurred_at": NOW.isoformat(), "visit_id": visit}

    own = happened(office, "threat", case=case, visit_id=visit)
    without = happened(office, "property", visit_id=visit)
    refused = office.ask("/incidents", body | {"case_id": str(other.id)})

    assert (own["visit_id"], without["visit_id"]) == (visit, visit)
    assert (refused.status_code, slug(refused)) == (422, "incident-faulty")
    assert [one["pointer"] for one in refused.get_json()["errors"]] == ["/visit_id"]
    assert db.session.scalars(sa.select(Hold.case_id)).all() == [case.id]


def test_what_people_wrote_is_read_only_in_the_file_and_the_reading_is_logged(office: Office) -> None:
    raised = happened(office, "accident")
    desk = office.person(Role.DISPATCHER)

    listed = desk.get("/api/v1/incidents").get_data(as_text=True)
    in_clear = db.session.execute(sa.text("SELECT text FROM incidents")).scalar_one()

    assert raised["id"] in listed and WORDS not in listed
    assert WORDS.encode() not in bytes(in_clear)
    assert desk.get(f"/api/v1/incidents/{raised['id']}").status_code == 403
    assert read(office, raised)["text"] == WORDS
    entry = db.session.scalars(sa.select(AccessEntry).where(AccessEntry.action == "incident.read")).one()
    assert str(entry.entity_id) == raised["id"]


def test_incidents_come_in_pages_by_kind_and_state(office: Office) -> None:
    raised = [happened(office, kind) for kind in ("threat", "accident", "property")]
    close(office, raised[1])
    desk = office.person(Role.DISPATCHER)

    def listed(query: str) -> list[str]:
        return [one["id"] for one in desk.get(f"/api/v1/incidents?{query}").get_json()["incidents"]]

    first = desk.get("/api/v1/incidents?limit=2").get_json()
    assert listed(f"limit=2&after={first['next']}") == [raised[2]["id"]]
    assert listed("kind=threat") == [raised[0]["id"]]
    assert listed("state=closed") == [raised[1]["id"]]
