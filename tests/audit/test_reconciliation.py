"""From stored items to findings and decisions, on the real tables."""

import threading
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import BIT

from server.authority import Role
from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.findings import Finding
from server.models.people import Staff
from server.models.prints import PicturePrint
from server.models.visits import Visit
from server.workflows.calendar import publish_year
from server.workflows.reconciliation import reconcile_visit
from sync.client import Report
from sync.phone import Phone, claims_of
from sync.protocol import uuid7
from tests.builders import Cast, a_case, a_person, an_address, an_assignment, now
from tests.desk import a_faulty_account, decide, desk, told
from tests.phones import office

ELSEWHERE = {"lat": 31.2304, "lon": 121.4737, "accuracy_m": 10, "mock": False}


@pytest.fixture
def dispatcher(app: Flask) -> Staff:
    return a_person(Role.DISPATCHER, Role.AUDITOR)


@pytest.fixture
def assignment(app: Flask, visitor: Staff, dispatcher: Staff) -> Assignment:
    case = a_case()
    return an_assignment(case, an_address(case), visitor, issued_by=dispatcher)


def a_fabricated_visit(app: Flask, phone: Phone, assignment: Assignment) -> UUID:
    """A visit checked in a thousand kilometres away, with a promised photo that never comes."""
    visit_id = uuid7()
    phone.record(
        "visit.started",
        {
            "visit_id": str(visit_id),
            "assignment_id": str(assignment.id),
            "position": ELSEWHERE,
            "team": [str(phone.staff_id)],
        },
    )
    phone.capture(b"never sent", visit_id=visit_id, kind="photo", purpose="door", mime="image/jpeg")
    phone.end_visit(visit_id, position=None)
    moment = now()
    claims = claims_of(
        arrived_at=moment, left_at=moment, team=[phone.staff_id], met="debtor", outcome="refused"
    )
    phone.write_account(visit_id, claims=claims, narrative="债务人拒绝还款。")
    with office(app) as http:
        phone.connect(http).push(Report())
    return visit_id


def findings_of(visit_id: UUID) -> dict[str, Finding]:
    db.session.rollback()
    rows = db.session.scalars(
        sa.select(Finding).where(Finding.visit_id == visit_id).execution_options(populate_existing=True)
    )
    return {row.check: row for row in rows}


def judge(visit_id: UUID, *, later: timedelta = timedelta(0)) -> dict[str, Finding]:
    reconcile_visit(now=now() + later, visit_id=str(visit_id))
    return findings_of(visit_id)


def test_a_rerun_changes_nothing(app: Flask, phone: Phone, assignment: Assignment) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)

    first = {name: (row.id, row.found_at) for name, row in judge(visit_id).items()}
    again = {name: (row.id, row.found_at) for name, row in judge(visit_id).items()}

    assert "check-in-elsewhere" in first
    assert first == again
    assert db.session.get_one(Visit, visit_id).state == "reconciled"


def test_late_evidence_supersedes_the_finding_that_it_was_missing(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    overdue = judge(visit_id, later=timedelta(hours=30))
    with transaction() as session:
        session.execute(sa.update(Evidence).values(state="verified"))

    settled = judge(visit_id, later=timedelta(hours=31))

    visit = db.session.get_one(Visit, visit_id)
    assert settled["check-in-elsewhere"].citation == {"item_id": str(visit.started_item)}
    assert overdue["evidence-missing"].state == "superseded"
    assert settled["evidence-missing"].state == "superseded"
    assert settled["check-in-elsewhere"].state == "open"


def test_a_judgement_that_was_overtaken_keeps_nothing_of_the_older_facts(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    overtaken: list[str] = []

    def overtake() -> None:
        with app.app_context():
            with transaction() as session:
                session.execute(sa.update(Evidence).values(state="verified"))
            reconcile_visit(now=now() + timedelta(hours=31), visit_id=str(visit_id))

    def before_it_is_kept(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FOR UPDATE" in statement and not overtaken:
            overtaken.append(statement)
            other = threading.Thread(target=overtake)
            other.start()
            other.join()

    event.listen(db.engine, "before_cursor_execute", before_it_is_kept)
    try:
        found = judge(visit_id, later=timedelta(hours=30))
    finally:
        event.remove(db.engine, "before_cursor_execute", before_it_is_kept)

    assert overtaken
    assert "evidence-missing" not in {name for name, row in found.items() if row.state == "open"}


def test_a_decision_survives_reruns(app: Flask, phone: Phone, assignment: Assignment, cast: Cast) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    finding = judge(visit_id)["check-in-elsewhere"]
    answer = cast.person(Role.AUDITOR).post(
        f"/api/v1/findings/{finding.id}/decision",
        json={"decision": "confirmed", "reason": "check-in in Shanghai, address in Beijing"},
    )
    with transaction() as session:
        session.execute(sa.update(Visit).values(arrived_at_position=None))

    after = judge(visit_id)

    assert answer.status_code == 200, answer.json
    assert (after["check-in-elsewhere"].state, after["check-in-elsewhere"].reason[:8]) == (
        "confirmed",
        "check-in",
    )


def test_somebody_with_a_part_in_the_visit_may_not_decide(
    app: Flask, phone: Phone, assignment: Assignment, cast: Cast, dispatcher: Staff, visitor: Staff
) -> None:
    finding = judge(a_fabricated_visit(app, phone, assignment))["check-in-elsewhere"]
    with transaction() as session:
        session.execute(sa.update(Staff).where(Staff.id == visitor.id).values(roles=["visitor", "auditor"]))
    body = {"decision": "dismissed", "reason": "it was me"}

    by_dispatcher = cast.sign_in(dispatcher).post(f"/api/v1/findings/{finding.id}/decision", json=body)
    by_visitor = cast.sign_in(visitor).post(f"/api/v1/findings/{finding.id}/decision", json=body)

    assert (by_dispatcher.status_code, by_dispatcher.json and by_dispatcher.json["part"]) == (
        403,
        "assigned the visit",
    )
    assert (by_visitor.status_code, by_visitor.json and by_visitor.json["part"]) == (
        403,
        "were in the visit's team",
    )


def test_of_two_auditors_at_once_one_decides(
    app: Flask, phone: Phone, assignment: Assignment, cast: Cast
) -> None:
    finding = judge(a_fabricated_visit(app, phone, assignment))["check-in-elsewhere"]
    auditors = [cast.sign_in(a_person(Role.AUDITOR)) for _ in range(2)]
    statuses: list[int] = []
    gate = threading.Barrier(2)

    def decide(n: int) -> None:
        gate.wait()
        body = {"decision": ["confirmed", "dismissed"][n], "reason": f"auditor {n}"}
        answer = auditors[n].post(f"/api/v1/findings/{finding.id}/decision", json=body)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=decide, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200, 409]


def test_two_hundred_findings_are_paged_worst_first(
    app: Flask, phone: Phone, assignment: Assignment, cast: Cast
) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    with transaction() as session:
        for n in range(205):
            rank = n % 4
            session.add(
                Finding(
                    visit_id=visit_id,
                    key=f"k{n}",
                    check="made",
                    rule="C14",
                    severity=["note", "minor", "serious", "severe"][rank],
                    severity_rank=rank,
                    confidence=(n % 7) / 10,
                    claim="",
                    observation={},
                    citation={},
                    found_at=now(),
                )
            )
    auditor = cast.person(Role.AUDITOR)
    seen: list[tuple[str, float, str]] = []
    after = ""

    while True:
        page = auditor.get(f"/api/v1/findings?check=made&limit=50{after}").get_json()
        seen += [(one["severity"], one["confidence"], one["id"]) for one in page["findings"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    order = {"severe": 3, "serious": 2, "minor": 1, "note": 0}
    keys = [(-order[severity], -confidence, name) for severity, confidence, name in seen]
    assert len({name for _, _, name in seen}) == 205
    assert keys == sorted(keys)


def test_the_same_picture_in_two_visits_is_found_in_both(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment
) -> None:
    case = a_case()
    other = an_assignment(case, an_address(case), visitor, start=now() + timedelta(days=1))
    visits = [a_fabricated_visit(app, phone, one) for one in (assignment, other)]
    bits = "10" * 128
    near = "01" + bits[2:]
    undecidable = {
        f"captured_{edge}_{bound}": now() + timedelta(hours=hours)
        for edge in ("from", "until")
        for bound, hours in (("earliest", -1), ("latest", 1))
    }
    with transaction() as session:
        for visit_id, pattern in zip(visits, (bits, near), strict=True):
            session.execute(
                sa.update(Evidence)
                .where(Evidence.visit_id == visit_id)
                .values(state="verified", sha256=uuid7().bytes * 2, **undecidable)
            )
            session.execute(
                sa.insert(PicturePrint).from_select(
                    ["evidence_id", "bits"],
                    sa.select(Evidence.id, sa.literal(pattern, BIT(256))).where(
                        Evidence.visit_id == visit_id
                    ),
                )
            )

    found = [judge(visit_id) for visit_id in visits]

    assert [one["same-picture"].observation["bits_apart"] for one in found] == [2, 2]


def test_only_those_who_may_look_see_visits_and_findings(
    app: Flask, phone: Phone, assignment: Assignment, cast: Cast, visitor: Staff
) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    judge(visit_id)

    def statuses(role: Role) -> tuple[int, int]:
        person = cast.person(role)
        return (
            person.get(f"/api/v1/visits/{visit_id}").status_code,
            person.get("/api/v1/findings").status_code,
        )

    assert statuses(Role.AUDITOR) == statuses(Role.SUPERVISOR) == (200, 200)
    assert statuses(Role.DISPATCHER) == (200, 403)
    assert statuses(Role.VISITOR) == (404, 403)
    assert statuses(Role.ADMIN) == (403, 403)
    own = cast.sign_in(visitor).get(f"/api/v1/visits/{visit_id}").get_json()
    assert own["accounts"] and own["findings"] == []
    assert app.test_client().get(f"/api/v1/visits/{visit_id}").status_code == httpx.codes.UNAUTHORIZED


def test_a_visit_file_holds_its_whole_timeline(
    app: Flask, phone: Phone, assignment: Assignment, cast: Cast
) -> None:
    visit_id = a_fabricated_visit(app, phone, assignment)
    judge(visit_id)

    file = cast.person(Role.AUDITOR).get(f"/api/v1/visits/{visit_id}").get_json()

    assert [item["type"] for item in file["items"]] == [
        "visit.started",
        "visit.evidence",
        "visit.ended",
        "visit.account",
    ]
    assert file["permit"]["payloadType"].startswith("application/vnd.fieldvisit.permit")
    assert {mark["claim"]: mark["mark"] for mark in file["visit"]["claim_marks"]}[
        "arrived_at"
    ] == "contradicted"
    assert len(file["evidence"]) == 1 and len(file["accounts"]) == 1


def test_an_account_that_waits_at_the_desk_is_not_missing_until_it_is_set_aside(
    app: Flask, phone: Phone, assignment: Assignment, cast: Cast
) -> None:
    for year in (now().year, now().year + 1):
        publish_year(year, days={}, notice="a test", now=now())
    visit_id, _ = a_faulty_account(app, phone, assignment)
    supervisor = cast.person(Role.SUPERVISOR)

    waiting = judge(visit_id, later=timedelta(days=15))
    (entry,) = desk(supervisor)
    told(decide(supervisor, entry, "set_aside"))
    jobs = db.session.scalars(
        sa.text("SELECT args->'visit_ids'->>0 FROM procrastinate_jobs WHERE task_name = 'reconcile_visits'")
    ).all()
    without = judge(visit_id, later=timedelta(days=15))

    assert "account-missing" not in waiting and "account-late" not in waiting
    assert str(visit_id) in jobs
    assert without["account-missing"].observation["received_at"] is None


def test_a_visit_without_an_account_is_found_after_the_next_working_day(
    app: Flask, phone: Phone, assignment: Assignment
) -> None:
    for year in (now().year, now().year + 1):
        publish_year(year, days={}, notice="a test", now=now())
    visit_id = uuid7()
    body = {"visit_id": str(visit_id), "assignment_id": str(assignment.id), "team": [str(phone.staff_id)]}
    phone.record("visit.started", body)
    with office(app) as http:
        phone.connect(http).push(Report())

    soon = judge(visit_id)
    later = judge(visit_id, later=timedelta(days=15))

    assert "account-missing" not in soon
    assert later["account-missing"].rule == "C13"
