"""Who may enter which endpoint? Every rule of the URL map has a row; a new endpoint without one fails.

Entering means: neither 401 nor 403. Ids are random and bodies empty, so those who enter find nothing or
are told what is missing; that is another matter.
"""

import base64

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db
from server.models.people import Staff
from server.workflows.devices import proof_message
from sync.envelope import DeviceKey
from sync.protocol import uuid7
from tests.auditing.builders import a_judged_visit
from tests.builders import Cast, a_handset, a_person, a_token, a_visitor

ANYBODY = frozenset({"nobody", *(role.value for role in Role), "phone"})
SIGNED_IN = ANYBODY - {"nobody"}
ADMIN, SUPERVISOR, DISPATCHER, AUDITOR, VISITOR, PHONE = (
    frozenset({name}) for name in ("admin", "supervisor", "dispatcher", "auditor", "visitor", "phone")
)
OFFICE = DISPATCHER | SUPERVISOR | AUDITOR | ADMIN
DESK = DISPATCHER | SUPERVISOR
# A phone's token stands for its visitor, whatever else that person is: `tokens` takes somebody of every role.
FIELD = VISITOR | PHONE

ROWS: dict[tuple[str, str], frozenset[str]] = {
    ("POST", "/tokens"): ANYBODY,
    ("DELETE", "/tokens/current"): SIGNED_IN,
    ("PUT", "/tokens/current/password"): SIGNED_IN,
    ("POST", "/devices"): ANYBODY,
    ("POST", "/devices/<uuid:device_id>/revoke"): SUPERVISOR | ADMIN,
    ("POST", "/enrolment-codes"): DESK | ADMIN,
    ("GET", "/staff"): DESK | ADMIN,
    ("POST", "/staff"): ADMIN,
    ("GET", "/staff/<uuid:staff_id>"): DESK | ADMIN,
    ("GET", "/staff/<uuid:staff_id>/qualifications"): DESK | ADMIN,
    ("POST", "/staff/<uuid:staff_id>/qualifications"): SUPERVISOR | ADMIN,
    ("POST", "/staff/<uuid:staff_id>/absences"): DESK | ADMIN,
    ("PUT", "/staff/<uuid:staff_id>/password"): ADMIN,
    ("POST", "/staff/<uuid:staff_id>/departure"): ADMIN,
    ("GET", "/staff/<uuid:staff_id>/training-file"): SUPERVISOR | ADMIN,
    ("POST", "/training/courses"): SUPERVISOR | ADMIN,
    ("GET", "/training/courses"): DESK | ADMIN,
    ("POST", "/training/courses/<uuid:course_id>/schedule"): SUPERVISOR | ADMIN,
    ("POST", "/training/sessions/<uuid:session_id>/enrolments"): DESK | ADMIN,
    ("PUT", "/training/sessions/<uuid:session_id>/enrolments/<uuid:staff_id>"): SUPERVISOR | ADMIN,
    ("POST", "/training/sessions/<uuid:session_id>/enrolments/<uuid:staff_id>/excuse"): SUPERVISOR | ADMIN,
    ("GET", "/training/due"): DESK | ADMIN,
    ("POST", "/imports"): DISPATCHER | ADMIN,
    ("GET", "/imports"): DESK | ADMIN,
    ("GET", "/imports/format"): DESK | ADMIN,
    ("GET", "/imports/<uuid:import_id>"): DESK | ADMIN,
    ("GET", "/cases"): OFFICE,
    ("GET", "/cases/<uuid:case_id>"): OFFICE,
    ("GET", "/cases/<uuid:case_id>/ledger"): OFFICE,
    ("GET", "/cases/<uuid:case_id>/holds"): OFFICE,
    ("GET", "/cases/<uuid:case_id>/budget"): DESK | AUDITOR,
    ("POST", "/cases/<uuid:case_id>/unmask"): DESK,
    ("POST", "/debtors/look-up"): DESK,
    ("GET", "/erasures"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/erasures/due"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/retention-holds"): SUPERVISOR | AUDITOR | ADMIN,
    ("POST", "/debtors/<uuid:debtor_id>/retention-holds"): SUPERVISOR,
    ("POST", "/retention-holds/<uuid:hold_id>/release"): SUPERVISOR,
    ("POST", "/cases/<uuid:case_id>/ledger"): DESK,
    ("POST", "/cases/<uuid:case_id>/acknowledge-note"): DESK,
    ("POST", "/cases/<uuid:case_id>/review"): SUPERVISOR,
    ("POST", "/cases/<uuid:case_id>/holds"): DESK,
    ("GET", "/cases/<uuid:case_id>/contact-counts"): OFFICE,
    ("PUT", "/cases/<uuid:case_id>/status-code"): DESK,
    ("GET", "/clients/<uuid:client_id>/status-codes"): OFFICE,
    ("POST", "/clients/<uuid:client_id>/status-codes"): ADMIN,
    ("DELETE", "/clients/<uuid:client_id>/status-codes/<path:code>"): ADMIN,
    ("GET", "/promises"): DESK | AUDITOR,
    ("POST", "/promises"): DESK,
    ("GET", "/promises/table"): DESK | AUDITOR,
    ("POST", "/promises/<uuid:promise_id>/withdraw"): SUPERVISOR,
    ("POST", "/promises/<uuid:promise_id>/acceptance"): SUPERVISOR,
    ("GET", "/cases/<uuid:case_id>/promises"): DESK | AUDITOR,
    ("POST", "/cases/<uuid:case_id>/promises"): DESK,
    ("GET", "/cases/<uuid:case_id>/payments"): DESK | AUDITOR,
    ("POST", "/cases/<uuid:case_id>/payments"): DESK,
    ("POST", "/payments/<uuid:payment_id>/void"): SUPERVISOR,
    ("GET", "/payments/discrepancies"): DESK | AUDITOR,
    ("POST", "/visitability"): DESK | AUDITOR,
    ("GET", "/storage"): AUDITOR | ADMIN,
    ("GET", "/storage/rot"): AUDITOR | ADMIN,
    ("GET", "/log/checkpoint"): SIGNED_IN,
    ("GET", "/log/consistency"): SIGNED_IN,
    ("GET", "/log/proof"): SUPERVISOR | AUDITOR,
    ("GET", "/log/tiles/<int:level>/<int:number>"): SUPERVISOR | AUDITOR,
    ("GET", "/visitability/visitors"): DESK | AUDITOR,
    ("POST", "/plans"): DESK,
    ("GET", "/plans"): DESK | AUDITOR,
    ("GET", "/plans/<uuid:plan_id>"): DESK | AUDITOR,
    ("GET", "/plans/<uuid:plan_id>/stops"): DESK | AUDITOR,
    ("GET", "/plans/<uuid:plan_id>/left-out"): DESK | AUDITOR,
    ("POST", "/plans/<uuid:plan_id>/cancel"): DESK,
    ("POST", "/plans/<uuid:plan_id>/acceptances"): DESK,
    ("GET", "/holds"): DESK | AUDITOR,
    ("POST", "/holds/<uuid:hold_id>/release"): SUPERVISOR,
    ("GET", "/notices"): DESK | AUDITOR,
    ("GET", "/notices/<uuid:notice_id>"): DESK | AUDITOR,
    ("PUT", "/notices/<uuid:notice_id>"): DESK,
    ("POST", "/notices/<uuid:notice_id>/oral-report"): DESK,
    ("POST", "/notices/<uuid:notice_id>/sent"): DESK,
    ("POST", "/notices/<uuid:notice_id>/cancel"): SUPERVISOR,
    ("POST", "/cases/<uuid:case_id>/complaints"): DESK,
    ("GET", "/complaints"): DESK | AUDITOR,
    ("GET", "/complaints/<uuid:complaint_id>"): SUPERVISOR | AUDITOR,
    ("POST", "/complaints/<uuid:complaint_id>/takeover"): SUPERVISOR,
    ("PUT", "/complaints/<uuid:complaint_id>/assessment"): SUPERVISOR,
    ("POST", "/complaints/<uuid:complaint_id>/events"): SUPERVISOR,
    ("POST", "/complaints/<uuid:complaint_id>/escalate"): SUPERVISOR,
    ("POST", "/complaints/<uuid:complaint_id>/resolve"): SUPERVISOR,
    ("POST", "/complaints/<uuid:complaint_id>/close"): SUPERVISOR,
    ("POST", "/incidents"): DESK,
    ("GET", "/incidents"): DESK | AUDITOR,
    ("GET", "/incidents/<uuid:incident_id>"): SUPERVISOR | AUDITOR,
    ("POST", "/incidents/<uuid:incident_id>/leadership-told"): SUPERVISOR,
    ("POST", "/incidents/<uuid:incident_id>/close"): SUPERVISOR,
    ("POST", "/contacts/<uuid:contact_id>/refusal"): DESK,
    ("GET", "/learned"): DESK,
    ("POST", "/learned/<uuid:learned_id>/accept"): DESK,
    ("POST", "/learned/<uuid:learned_id>/reject"): DESK,
    ("POST", "/addresses/<uuid:address_id>/verification"): DESK,
    ("PUT", "/debtors/<uuid:debtor_id>/hardship"): DESK,
    ("POST", "/letter-templates"): SUPERVISOR | ADMIN,
    ("POST", "/letter-templates/check"): SUPERVISOR | ADMIN,
    ("GET", "/letter-templates"): OFFICE,
    ("POST", "/letter-templates/<uuid:template_id>/withdraw"): SUPERVISOR | ADMIN,
    ("POST", "/cases/<uuid:case_id>/letters"): DESK,
    ("GET", "/cases/<uuid:case_id>/letters"): DESK | AUDITOR,
    ("GET", "/letters/<uuid:letter_id>"): DESK | AUDITOR,
    ("POST", "/letters/<uuid:letter_id>/content"): DESK | AUDITOR,
    ("POST", "/letters/<uuid:letter_id>/sealed"): DESK,
    ("POST", "/letters/<uuid:letter_id>/void"): DESK,
    ("POST", "/letters/<uuid:letter_id>/deliveries"): DESK,
    ("POST", "/assignments"): DESK,
    ("POST", "/assignments/check"): DESK,
    ("GET", "/assignments"): DESK | AUDITOR,
    ("GET", "/assignments/<uuid:assignment_id>"): DESK | AUDITOR,
    ("POST", "/assignments/<uuid:assignment_id>/cancel"): DESK,
    ("POST", "/assignments/<uuid:assignment_id>/reassign"): DESK,
    ("GET", "/rules"): SIGNED_IN,
    ("GET", "/rules/packs"): SIGNED_IN,
    ("POST", "/rules/replay"): SUPERVISOR | AUDITOR,
    ("POST", "/rules/overlays/preview"): SUPERVISOR | ADMIN,
    ("POST", "/rules/overlays"): ADMIN,
    ("GET", "/rules/overlays"): SUPERVISOR | ADMIN | AUDITOR,
    ("GET", "/rules/overlays/<string:overlay_id>"): SUPERVISOR | ADMIN | AUDITOR,
    ("POST", "/rules/overlays/<string:overlay_id>/withdraw"): ADMIN,
    ("GET", "/calendar"): SIGNED_IN,
    ("GET", "/calendar/<int:year>/versions"): SIGNED_IN,
    ("POST", "/calendar/notices"): SUPERVISOR | ADMIN,
    ("GET", "/calendar/notices"): SUPERVISOR | ADMIN | AUDITOR,
    ("POST", "/calendar/notices/<uuid:notice_id>/approve"): SUPERVISOR | ADMIN,
    ("POST", "/calendar/notices/<uuid:notice_id>/reject"): SUPERVISOR | ADMIN,
    ("GET", "/sync/pull"): PHONE,
    ("POST", "/sync/push"): PHONE,
    ("POST", "/sync/quarantine"): PHONE,
    ("GET", "/sync/status"): PHONE,
    ("POST", "/sync/rescue-bundles"): SIGNED_IN,
    ("GET", "/devices/sync"): DESK,
    ("GET", "/devices/<uuid:device_id>/sync"): DESK,
    ("GET", "/quarantine"): SUPERVISOR | AUDITOR,
    ("GET", "/quarantine/summary"): SUPERVISOR | AUDITOR,
    ("GET", "/quarantine/decisions"): SUPERVISOR | AUDITOR,
    ("GET", "/quarantine/<ref>"): SUPERVISOR | AUDITOR,
    ("GET", "/quarantine/<ref>/content"): SUPERVISOR | AUDITOR,
    ("POST", "/quarantine/<ref>/decision"): SUPERVISOR,
    ("POST", "/quarantine/<ref>/correction"): SUPERVISOR,
    ("POST", "/files"): PHONE,
    ("HEAD", "/files/<uuid:upload_id>"): PHONE,
    ("POST", "/files/<uuid:upload_id>"): PHONE,
    ("PATCH", "/files/<uuid:upload_id>"): PHONE,
    ("DELETE", "/files/<uuid:upload_id>"): PHONE,
    ("GET", "/visits"): DESK | AUDITOR | FIELD,
    ("GET", "/visits/<uuid:visit_id>/bundle"): SUPERVISOR | AUDITOR,
    ("GET", "/visits/<uuid:visit_id>"): DESK | AUDITOR | FIELD,
    ("GET", "/evidence/<uuid:evidence_id>/link"): SUPERVISOR | AUDITOR,
    ("GET", "/findings"): SUPERVISOR | AUDITOR,
    ("GET", "/work"): DESK | AUDITOR,
    ("GET", "/work/counts"): DESK | AUDITOR,
    ("GET", "/work/friday-report"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/assessments/<string:month>"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/assessments/<string:month>/people"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/assessments/<string:month>/people/<uuid:staff_id>"): SUPERVISOR | AUDITOR | ADMIN,
    ("POST", "/assessments/<string:month>/people/<uuid:staff_id>/decisions"): SUPERVISOR,
    ("GET", "/assessments/<string:month>/mine"): SIGNED_IN,
    ("POST", "/assessments/<string:month>/mine/replies"): SIGNED_IN,
    ("POST", "/assessments/<string:month>/close"): SUPERVISOR,
    ("GET", "/assessments/<string:month>/missed-clocks"): SUPERVISOR | AUDITOR | ADMIN,
    ("PUT", "/assessments/<string:month>/missed-clocks"): SUPERVISOR,
    ("PUT", "/staff/<uuid:staff_id>/wages/<string:month>"): ADMIN,
    ("POST", "/frauds"): AUDITOR,
    ("GET", "/reports/friday"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/reports/friday/file"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/reports/client"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/reports/assessment/file"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/reports/client/file"): SUPERVISOR | AUDITOR | ADMIN,
    ("POST", "/reports/hand-ins"): SUPERVISOR,
    ("GET", "/reports/hand-ins"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/reports/files/<string:sha256>"): SUPERVISOR | AUDITOR | ADMIN,
    ("GET", "/cases/<uuid:case_id>/clocks"): DESK | AUDITOR,
    ("POST", "/cases/<uuid:case_id>/escalations"): DESK,
    ("GET", "/escalations"): DESK | AUDITOR,
    ("GET", "/escalations/<uuid:escalation_id>"): DESK | AUDITOR,
    ("POST", "/escalations/<uuid:escalation_id>/withdraw"): SUPERVISOR,
    ("POST", "/findings/<uuid:finding_id>/decision"): AUDITOR,
    ("GET", "/findings/<uuid:finding_id>"): SUPERVISOR | AUDITOR,
    ("POST", "/findings/<uuid:finding_id>/comments"): SUPERVISOR | AUDITOR,
    ("POST", "/findings/<uuid:finding_id>/second-look"): SUPERVISOR,
    ("POST", "/audit/visits/<uuid:visit_id>/findings"): AUDITOR,
    ("POST", "/audit/visits/<uuid:visit_id>/conclusion"): AUDITOR,
    ("POST", "/breaches"): SUPERVISOR | AUDITOR,
    ("GET", "/breaches"): SUPERVISOR | AUDITOR,
    ("GET", "/breaches/<uuid:breach_id>"): SUPERVISOR | AUDITOR,
    ("POST", "/breaches/<uuid:breach_id>/close"): SUPERVISOR,
    ("POST", "/breaches/<uuid:breach_id>/withdraw"): SUPERVISOR,
    ("GET", "/audit/queue"): SUPERVISOR | AUDITOR,
    ("POST", "/audit/plans"): SUPERVISOR | AUDITOR,
    ("GET", "/audit/plans"): SUPERVISOR | AUDITOR,
    ("GET", "/audit/plans/<uuid:plan_id>"): SUPERVISOR | AUDITOR,
    ("GET", "/audit/plans/<uuid:plan_id>/visits"): SUPERVISOR | AUDITOR,
    ("GET", "/audit/plans/<uuid:plan_id>/redraw"): SUPERVISOR | AUDITOR,
}
# What opens by a sealed link, or shows nothing about anybody.
OPEN = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/openapi.json",
    "/api/v1/docs/",
    "/api/v1/docs/<path:path>",
    "/api/v1/evidence/<uuid:evidence_id>/content",
    "/api/v1/evidence/<uuid:evidence_id>/rendition",
    "/api/v1/evidence/<uuid:evidence_id>/thumbnail",
    "/api/v1/evidence/<uuid:evidence_id>/waveform",
}


def endpoints(app: Flask) -> set[tuple[str, str]]:
    """Every method and rule of the API that is not open."""
    found = set()
    for rule in app.url_map.iter_rules():
        if rule.rule in OPEN:
            continue
        methods = (rule.methods or set()) - {"OPTIONS"}
        if "GET" in methods:
            methods -= {"HEAD"}
        found |= {(method, rule.rule.removeprefix("/api/v1")) for method in methods}
    return found


def test_every_endpoint_has_a_row(app: Flask) -> None:
    assert endpoints(app) == set(ROWS)


@pytest.mark.parametrize(("method", "rule"), sorted(ROWS), ids=lambda part: part)
def test_only_those_in_the_row_enter(app: Flask, cast: Cast, method: str, rule: str) -> None:
    entered = {name for name, headers in tokens(cast).items() if enters(app, method, rule, headers)}

    assert entered == ROWS[method, rule]


def tokens(cast: Cast) -> dict[str, dict[str, str]]:
    """A way in for each role: an Authorization header."""
    found: dict[str, dict[str, str]] = {"nobody": {}}
    for role in Role:
        found[role.value] = {"Authorization": f"Bearer {a_token(a_person(role).id)}"}
    found["phone"] = a_handset(a_person(*Role)).headers
    return found


def enters(app: Flask, method: str, rule: str, headers: dict[str, str]) -> bool:
    parts = [
        str(uuid7()) if part.startswith("<uuid:") else "2026" if part.startswith("<int:") else part
        for part in rule.split("/")
    ]
    answer = app.test_client().open(
        "/api/v1" + "/".join(parts),
        method=method,
        headers={"Tus-Resumable": "1.0.0", **headers},
        json=None if method in ("GET", "HEAD", "DELETE") else {},
    )
    assert answer.status_code < 500, answer.text
    if (method, rule) == ("POST", "/devices"):
        return True
    return answer.status_code not in (401, 403)


def test_a_dispatcher_cannot_enrol_a_phone_that_is_an_administrator(app: Flask, cast: Cast) -> None:
    both, key = a_person(Role.VISITOR, Role.ADMIN), DeviceKey.generate()
    asked = cast.person(Role.DISPATCHER).post("/api/v1/enrolment-codes", json={"staff_id": str(both.id)})
    code = asked.get_json()["code"]
    enrolment = {
        "code": code,
        "public_key": base64.b64encode(key.spki).decode(),
        "algorithm": key.algorithm,
        "proof": base64.b64encode(key.sign(proof_message(code, key.spki))).decode(),
    }
    phone = app.test_client()
    token = phone.post("/api/v1/devices", json=enrolment).get_json()["token"]
    headers = {"Authorization": f"Bearer {token}"}

    account = {"employee_number": "X1", "name": "Mine", "roles": ["admin"], "password": "correct horse"}
    made = phone.post("/api/v1/staff", headers=headers, json=account)

    assert made.status_code == 403
    assert made.get_json()["type"].endswith("role-missing")
    assert db.session.scalar(sa.select(Staff.id).where(Staff.employee_number == "X1")) is None
    assert phone.get("/api/v1/sync/pull", headers=headers).status_code == 200
    assert cast.sign_in(both).get("/api/v1/staff").status_code == 200


def test_a_supervisors_phone_shows_their_own_visits_only(app: Flask, cast: Cast) -> None:
    both = a_person(Role.VISITOR, Role.SUPERVISOR)
    own, anothers = str(a_judged_visit(both)), str(a_judged_visit(a_visitor()))
    phone, headers = app.test_client(), a_handset(both).headers

    shown = phone.get("/api/v1/visits", headers=headers).get_json()["visits"]
    in_the_office = cast.sign_in(both).get("/api/v1/visits").get_json()["visits"]

    assert [one["id"] for one in shown] == [own]
    assert phone.get(f"/api/v1/visits/{anothers}", headers=headers).status_code == 404
    assert {one["id"] for one in in_the_office} == {own, anothers}


def test_the_phone_of_somebody_who_is_no_visitor_any_more_reads_no_visits(app: Flask) -> None:
    handset = a_handset(a_person(Role.ADMIN, Role.SUPERVISOR))
    asked = set(ROWS) - {("DELETE", "/tokens/current")}

    entered = {row for row in asked if enters(app, *row, handset.headers)}

    assert entered == {row for row in asked if "phone" in ROWS[row] and ROWS[row] != DESK | AUDITOR | FIELD}


def test_a_revoked_phone_hands_in_and_does_nothing_else(app: Flask, cast: Cast) -> None:
    visitor = a_visitor()
    handset = a_handset(visitor)
    cast.person(Role.ADMIN).post(f"/api/v1/devices/{handset.device.id}/revoke")

    entered = {
        row for row in ROWS if enters(app, *row, handset.headers) and row[1] not in ("/tokens", "/devices")
    }

    assert entered == {
        ("POST", "/sync/push"),
        ("POST", "/sync/quarantine"),
        ("GET", "/sync/status"),
        ("POST", "/sync/rescue-bundles"),
        ("POST", "/files"),
        ("HEAD", "/files/<uuid:upload_id>"),
        ("POST", "/files/<uuid:upload_id>"),
        ("PATCH", "/files/<uuid:upload_id>"),
        ("DELETE", "/files/<uuid:upload_id>"),
    }
