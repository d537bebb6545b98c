"""Whatever auditors and supervisors did at the desk is in the log and in the bundle; altered, it is named."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from server import pii
from server.authority import Role
from server.database import db, transaction
from server.ledger.bundle import Report, verify
from server.ledger.commitment import SALT_BYTES, commit, is_of
from server.models.dispatch import Assignment
from server.models.transparency import LOGGED as KINDS
from server.signing import PERMIT, current_signer
from server.workflows.reconciliation import reconcile_visit
from server.workflows.transparency.checking import alterations
from server.workflows.transparency.logged import LOGGED
from server.workflows.transparency.sequencing import sequence
from sync.phone import Phone
from tests import desk
from tests.auditing.builders import decide
from tests.builders import Cast, Person, a_case, a_token, a_visitor, now
from tests.bundles import bundle_of, rewritten
from tests.office import Office
from tests.pushing import account_body
from tests.reports.stage import a_complaint, a_finding, a_visit, at, auditor

OCTOBER = "/api/v1/assessments/2026-10"


def sql(statement: str, **values: object) -> None:
    with transaction() as session:
        session.execute(sa.text(statement), values)


def named(kind: str) -> set[str]:
    return {one.what for one in alterations() if one.where.startswith(f"{kind} ")}


def saying(member: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Have the row's text say something else."""

    def change(row: dict[str, Any]) -> None:
        row["text"] = json.dumps(json.loads(row["text"]) | {member: value})

    return change


def faults(report: Report, kind: str) -> list[str]:
    return [fault.what for fault in report.faults if fault.part.startswith(f"{kind} ")]


def a_visit_at_the_desk(app: Flask, phone: Phone, assignment: Assignment, cast: Cast) -> UUID:
    """Its account was corrected by the office; it was judged, and an auditor raised and confirmed more."""
    with transaction() as session:
        session.get_one(Assignment, assignment.id).permit = current_signer().seal(PERMIT, {"v": 1})
    visit_id, _ = desk.a_faulty_account(app, phone, assignment)
    supervisor, looker = cast.person(Role.SUPERVISOR), cast.person(Role.AUDITOR)
    (entry,) = desk.desk(supervisor)
    desk.told(desk.correct(supervisor, entry, "visit.account", account_body(phone, visit_id)))
    reconcile_visit(now=now() + timedelta(hours=30), visit_id=str(visit_id))
    raised = {"rule": "C7", "severity": "serious", "words": "the voice is not the debtor's"}
    answer = looker.post(f"/api/v1/audit/visits/{visit_id}/findings", json=raised)
    assert answer.status_code == 201, answer.text
    assert decide(looker, UUID(answer.get_json()["id"])).status_code == 200
    return visit_id


def test_the_desks_acts_about_a_visit_are_logged_and_bundled_and_altered_ones_named(
    app: Flask, phone: Phone, assignment: Assignment, cast: Cast, tmp_path: Path
) -> None:
    visit_id = a_visit_at_the_desk(app, phone, assignment, cast)

    path = bundle_of(visit_id, cast.person(Role.AUDITOR), tmp_path / "visit.zip")
    sound = verify(path)

    assert sound.faults == []
    for kind in ("desk_decision", "correction", "raised", "weight"):
        assert sound.checked[f"{kind} records"] == 1, kind
    assert sound.checked["run records"] >= 1
    unlogged = "is not what was logged"
    for part, kind, change, told in (
        ("desk_decisions.json", "desk_decision", saying("decision", "accept"), unlogged),
        ("desk_decisions.json", "desk_decision", saying("decided_by", str(phone.staff_id)), unlogged),
        ("desk_decisions.json", "desk_decision", lambda row: row.update(words="no reason"),
         "has words that are not those that were written"),
        ("desk_decisions.json", "desk_decision", lambda row: row.pop("words"),
         "has words that are not those that were written"),
        ("corrections.json", "correction", saying("author_id", str(phone.staff_id)), unlogged),
        ("corrections.json", "correction", lambda row: row["envelope"].update(payload="e30="),
         "is not what the office signed"),
        ("raised.json", "raised", saying("severity", "note"), unlogged),
        ("weights.json", "weight", saying("severity", "note"), unlogged),
        ("runs.json", "run", saying("changes", []), unlogged),
    ):  # fmt: skip
        report = rewritten(path, part, lambda rows, change=change: change(rows[0]))
        assert faults(report, kind) == [told], (part, told)

    sequence(now=now())
    assert list(alterations()) == []
    unlike, otherwise = "the row is not what was logged", "the words are not those that were written"
    sql("ALTER TABLE reconciliation_runs DISABLE TRIGGER USER")
    for attack, kind, what in (
        ("UPDATE desk_decisions SET reason = :words", "desk_decision", otherwise),
        ("UPDATE desk_decisions SET outcome = 'applied'", "desk_decision", unlike),
        ("UPDATE corrections SET author_id = (SELECT staff_id FROM devices LIMIT 1)", "correction", unlike),
        ("UPDATE corrections SET payload = '{}'", "correction", "the bytes are not those the office signed"),
        ("UPDATE findings SET severity = 'note' WHERE raised_by IS NOT NULL", "raised", unlike),
        ("UPDATE findings SET confidence = 0.1 WHERE decided_by IS NOT NULL", "weight", unlike),
        ("UPDATE findings SET overturned = true WHERE decided_by IS NOT NULL", "finding",
         "whether it stands is not what was decided"),
        ("UPDATE findings SET state = 'open', decided_by = NULL, decided_at = NULL, overturned = false"
         " WHERE decided_by IS NOT NULL", "finding", "the row was put back to before"),
        ("UPDATE findings SET state = 'dismissed', decided_by = raised_by, decided_at = found_at"
         " WHERE raised_by IS NOT NULL", "finding", "it was logged again"),
        ("UPDATE reconciliation_runs SET changes = '[]'", "run", unlike),
        ("DELETE FROM desk_decisions", "desk_decision", "the row was deleted"),
    ):  # fmt: skip
        fresh = {"words": pii.encrypt("desk_decisions.reason", "x")} if ":words" in attack else {}
        sql(attack, **fresh)
        assert what in named(kind), attack
    sql("ALTER TABLE reconciliation_runs ENABLE TRIGGER USER")


def a_month_with_everything(office: Office) -> UUID:
    """A fraud was proven by a visit, its month closed, answered and decided, and a report handed in."""
    visitor = a_visitor()
    visit = a_visit(visitor)
    finding = a_finding(visit, auditor(office), rule="C17", severity="severe")
    supervisor = office.person(Role.SUPERVISOR)
    proof = {"staff_id": str(visitor.id), "finding_ids": [str(finding.id)], "words": "承认伪造签名"}
    fraud = office.person(Role.AUDITOR).post("/api/v1/frauds", json=proof).get_json()
    assert supervisor.post(f"{OCTOBER}/close", json={"reason": ""}).status_code == 201
    token = a_token(visitor.id, lasts=timedelta(days=36_500))
    person = Person(staff=visitor, token=token, browser=office.app.test_client())
    assert person.post(f"{OCTOBER}/mine/replies", json={"text": "我没有"}).status_code == 201
    ruling = {"decision": "upheld", "reason": "证据清楚", "key": f"E6:{fraud['id']}", "amount_fen": 60_000}
    decided = supervisor.post(f"{OCTOBER}/people/{visitor.id}/decisions", json=ruling)
    assert decided.status_code == 200, decided.text
    file = supervisor.get("/api/v1/reports/friday/file?format=csv")
    assert file.status_code == 200
    sha256 = db.session.scalar(sa.text("SELECT encode(sha256, 'hex') FROM report_files"))
    handed = supervisor.post("/api/v1/reports/hand-ins", json={"sha256": sha256, "recipient": "City Bank"})
    assert handed.status_code == 201, handed.text
    return visit.id


def test_what_months_made_of_a_visit_is_logged_and_bundled_and_altered_it_is_named(
    office: Office, tmp_path: Path
) -> None:
    visit_id = a_month_with_everything(office)

    path = bundle_of(visit_id, office.person(Role.AUDITOR), tmp_path / "visit.zip")
    sound = verify(path)

    assert sound.faults == []
    for part, kind, change, told in (
        ("frauds.json", "fraud", saying("staff_id", str(visit_id)), "is not what was logged"),
        ("frauds.json", "fraud", lambda row: row.update(words="否认"),
         "has words that are not those that were written"),
        ("proposals.json", "proposal", saying("amount_fen", 1), "is not what was logged"),
        ("months.json", "month", saying("people", 0), "is not what was logged"),
    ):  # fmt: skip
        assert sound.checked[f"{kind} records"] == 1, kind
        report = rewritten(path, part, lambda rows, change=change: change(rows[0]))
        assert faults(report, kind) == [told], (part, told)

    sequence(now=now())
    # The visit is a builder's row: nobody signed it.
    assert {one.where.partition(" ")[0] for one in alterations()} <= {"visit"}
    unlike, otherwise = "the row is not what was logged", "the words are not those that were written"
    for attack, kind, what in (
        ("UPDATE proven_frauds SET words = :words", "fraud", otherwise),
        ("UPDATE proven_frauds SET committed_on = committed_on - 1", "fraud", unlike),
        ("UPDATE month_replies SET text = :words", "month_reply", otherwise),
        ("UPDATE month_replies SET at = at + interval '9 days'", "month_reply", unlike),
        ("UPDATE proposal_decisions SET amount_fen = 100000", "proposal", unlike),
        ("UPDATE closed_months SET reason = 'x'", "month", unlike),
        ("UPDATE month_inputs SET facts = jsonb_set(facts, '{frauds}', '[]')", "month",
         "what it was assessed by is not what was sealed"),
        ("UPDATE closed_months SET sha256 = sha256('x')", "month", "it was logged again"),
        ("UPDATE report_files SET sha256 = sha256('x')", "report", unlike),
        ("UPDATE report_hand_ins SET handed_in_at = due_at - interval '1 hour'", "hand_in", unlike),
        ("DELETE FROM report_hand_ins", "hand_in", "the row was deleted"),
    ):  # fmt: skip
        column = attack.removeprefix("UPDATE ").replace(" SET ", ".").partition(" ")[0]
        sql(attack, **({"words": pii.encrypt(column, "x")} if ":words" in attack else {}))
        assert what in named(kind), attack


def test_what_a_complaint_of_a_visit_cost_is_in_its_bundle(office: Office, tmp_path: Path) -> None:
    visitor, case = a_visitor(), a_case()
    visit = a_visit(visitor, debtor_id=case.debtor_id)
    complaint = a_complaint(visitor, case_id=case.id, debtor_id=case.debtor_id, visit_id=visit.id)
    supervisor = office.person(Role.SUPERVISOR)
    assert supervisor.post(f"{OCTOBER}/close", json={"reason": ""}).status_code == 201
    at(office, "2026-12-24 10:00")
    ruling = {"decision": "upheld", "reason": "证据清楚", "key": f"E4:{complaint.id}"}
    decided = supervisor.post(f"{OCTOBER}/people/{visitor.id}/decisions", json=ruling)
    assert decided.status_code == 200, decided.text

    found = verify(bundle_of(visit.id, office.person(Role.AUDITOR), tmp_path / "visit.zip"))

    assert found.faults == []
    assert [found.checked[f"{kind} records"] for kind in ("proposal", "month")] == [1, 1]


def test_every_kind_of_leaf_is_checked_against_its_rows() -> None:
    assert sorted(one.kind for one in LOGGED) == sorted(KINDS)


@given(st.text(), st.text(), st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES))
def test_a_commitment_is_of_its_words_and_of_no_others(words: str, others: str, salt: bytes) -> None:
    commitment = commit(words, salt=salt)

    assert is_of(commitment, words)
    assert is_of(commitment, others) == (words == others)
    assert not is_of(commitment[:-1], words)


def test_a_commitment_needs_a_whole_salt() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        commit("words", salt=b"")
