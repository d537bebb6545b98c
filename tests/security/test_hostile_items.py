"""What a hostile or broken phone can say in items that it signed well: absurd, faulty, or about others.

Beside `test_hostile_phones`, with the same promises: an outcome or a problem, a queue that goes on, and
nothing of another visitor in any answer.
"""

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from server.database import db, transaction
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.visits import Account, ConflictingItem, Item, Visit
from server.workflows.reconciliation import reconcile_visit
from server.workflows.reconciliation.gathering import gather
from sync.protocol import uuid7
from tests.builders import now
from tests.security.hostile import Forger, Made, count, require_silence


def only(forger: Forger, type_: str, body: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """Push one signed item between two whole ones; what became of it. The whole ones are applied."""
    before = forger.next_item("visit.account", forger.account_body())
    odd = forger.next_item(type_, body, **facts)
    after = forger.next_item("visit.account", forger.account_body())
    told = forger.push([before, odd, after])
    assert (told[0]["outcome"], told[2]["outcome"]) == ("applied", "applied")
    return told[1]


# What an item says.


@pytest.mark.parametrize("type_", ["visit.started", "visit.ended", "visit.evidence"])
@pytest.mark.parametrize(
    "clock",
    [
        {"monotonic_ms": 2**53, "anchor_monotonic_ms": 0},
        {"monotonic_ms": 0, "anchor_monotonic_ms": 2**53},
        {"rtt_ms": 2**53},
        {"native": False, "monotonic_ms": 2**53, "anchor_monotonic_ms": 0},
        {"wall": "0001-01-01T00:00:00+14:00"},
        {"wall": "0001-01-01T00:00:00Z"},
        {"wall": "9999-12-31T23:59:59.999999-12:00"},
        {"wall": "9999-12-31T23:59:59Z", "anchor": None},
        {"wall": "2026-11-24T10:00:00+23:59"},
        {"anchor": "a1.99999999999999999999.x.y"},
        {"anchor": "." * 200, "boot_id": "x" * 128},
    ],
    ids=str,
)
def test_an_absurd_clock_stalls_nothing(forger: Forger, clock: dict[str, Any], type_: str) -> None:
    readings = forger.clock(**clock)
    body = forger.bodies()[type_]
    if type_ == "visit.evidence":
        body["captured"] = {"from": readings, "until": readings}

    told = only(forger, type_, body, clock=readings)
    visits = [UUID(body["visit_id"]), forger.visit_id]
    for visit_id in visits:
        reconcile_visit(now=now(), visit_id=str(visit_id))

    assert told["outcome"] in ("applied", "quarantined")
    judged = count(Visit, Visit.reconciled_at.is_not(None))
    assert judged == (len(visits) if type_ == "visit.started" and told["outcome"] == "applied" else 1)
    assert gather(forger.visit_id, now=now()) is not None


@pytest.mark.parametrize(
    ("arrived", "left"),
    [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:01Z"),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        ("9999-12-31T23:59:58Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_an_account_of_another_age_is_judged(forger: Forger, arrived: str, left: str) -> None:
    body = forger.account_body(narrative="下午三点到达。债务人承诺明天还500元。三点半离开。")
    body["claims"] |= {
        "arrived_at": arrived,
        "left_at": left,
        "promise": {"amount_fen": 2**53, "due_on": "9999-12-31"},
    }

    (told,) = forger.push([forger.next_item("visit.account", body)])  # alone, so that it is what counts
    reconcile_visit(now=now(), visit_id=str(forger.visit_id))

    assert told["outcome"] == "applied"
    db.session.rollback()
    assert db.session.get_one(Visit, forger.visit_id, populate_existing=True).reconciled_at is not None


FAULTY: dict[str, tuple[str, dict[str, Any], str]] = {
    "letters are a number": ("visit.account", {"claims": {"letters": 7}}, "/body/claims"),
    "claims are a list": ("visit.account", {"claims": []}, "/body/claims"),
    "an account without a visit": ("visit.account", {"visit_id": None}, "/body/visit_id"),
    "a negative size": ("visit.evidence", {"size_bytes": -1}, "/body/size_bytes"),
    "a size beyond bigint": ("visit.evidence", {"size_bytes": 2**64}, "/body/size_bytes"),
    "a size of one and a half": ("visit.evidence", {"size_bytes": 1.5}, "/body/size_bytes"),
    "a size that is true": ("visit.evidence", {"size_bytes": True}, "/body/size_bytes"),
    "a position off the earth": (
        "visit.evidence", {"position": {"lat": 91, "lon": 0, "accuracy_m": 1}}, "/body/position/lat",
    ),
    "a position of text": (
        "visit.ended", {"position": {"lat": "1", "lon": 0, "accuracy_m": 1}}, "/body/position/lat",
    ),
    "a digest of another length": ("visit.evidence", {"sha256": "ab"}, "/body/sha256"),
    "a kind nobody knows": ("visit.evidence", {"kind": "x"}, "/body/kind"),
    "a team of nobody": ("visit.started", {"team": [None]}, "/body/team/0"),
    "a team that is text": ("visit.started", {"team": "x"}, "/body/team"),
    "an id that is a number": ("visit.started", {"visit_id": 1}, "/body/visit_id"),
    "a reason nobody knows": ("hold.requested", {"reason": "x"}, "/body/reason"),
    "a mime type without end": ("visit.evidence", {"mime": "x" * 1000}, "/body/mime"),
    "a narrative without end": ("visit.account", {"narrative": "x" * 100_001}, "/body/narrative"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_in_a_body_is_named_by_its_pointer(forger: Forger, name: str) -> None:
    type_, changes, pointer = FAULTY[name]
    body = forger.bodies()[type_]
    for key, value in changes.items():
        body[key] = body[key] | value if isinstance(value, dict) and body.get(key) else value

    told = only(forger, type_, body)

    assert (told["outcome"], told["problem"]["slug"]) == ("quarantined", "body-invalid")
    assert told["problem"]["pointer"].startswith(pointer)


@pytest.mark.parametrize(
    "spoil",
    [
        b'"seq": 0,',
        b'"seq": -1,',
        b'"seq": 9223372036854775808,',
        b'"seq": 1e3,',
        b'"seq": NaN,',
        b'"seq": "1",',
    ],
    ids=str,
)
def test_a_number_that_is_no_place_in_the_chain_is_kept_with_its_item(forger: Forger, spoil: bytes) -> None:
    record = forger.record("visit.account", forger.account_body())
    payload = json.dumps(record).encode().replace(b'"seq": %d,' % record["seq"], spoil)
    forger.seq += 1

    (told,) = forger.push([forger.seal(payload, id=record["item_id"], seq=forger.seq)])

    assert (told["outcome"], told["problem"]["slug"]) == ("quarantined", "item-unreadable")


@pytest.mark.parametrize("seq", [0, -1, 2**63, 1.5, None, "1", True])
def test_a_wrapper_with_no_place_in_the_chain_is_a_problem(forger: Forger, seq: Any) -> None:
    made = forger.next_item("visit.account", forger.account_body())

    answer = forger.post(forger.batch([made.written | {"seq": seq}]))

    assert (answer.status_code, json.loads(answer.text)["errors"][0]["pointer"]) == (422, "/items/0/seq")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"\xff",
        b'{"a":1,"a":2}',
        b'{"text":"\\u0000"}',
        b'{"text":"\\ud83d"}',
        b"[" * 100_000,
        b'{"n":-Infinity}',
        b'{"n":' + b"1" * 5000 + b"}",
    ],
    ids=["empty", "null", "no utf-8", "twice", "nul", "surrogate", "deep", "infinite", "long number"],
)
def test_signed_bytes_that_are_no_item_are_kept(forger: Forger, payload: bytes) -> None:
    (told,) = forger.push([forger.seal(payload)])
    forger.seq += 1

    assert (told["outcome"], told["problem"]["slug"]) == ("quarantined", "item-unreadable")


def test_the_jump_to_the_last_number_is_taken_and_its_gap_named(forger: Forger) -> None:
    record = forger.record("visit.account", forger.account_body(), seq=2**53)
    made = forger.seal(json.dumps(record).encode(), id=record["item_id"], seq=2**53)

    (told,) = forger.push([made])

    assert told["outcome"] == "applied" and "chain_gap" in told["flags"]
    assert json.loads(forger.get("/api/v1/sync/status").text)["missing"] == [[2, 2**53 - 1]]


def test_one_id_twice_in_a_batch_with_other_words_keeps_both(forger: Forger) -> None:
    first = forger.next_item("visit.account", forger.account_body())
    record = forger.record("visit.account", forger.account_body(), item_id=str(first.id))
    second = forger.seal(json.dumps(record).encode(), id=str(first.id))

    told = forger.push([first, second, first, second])

    assert [one["outcome"] for one in told] == ["applied", "conflicting", "applied", "conflicting"]
    assert (count(ConflictingItem), count(Account)) == (1, 1)


def test_one_number_twice_in_a_batch_is_a_fork_and_both_are_applied(forger: Forger) -> None:
    first = forger.next_item("visit.account", forger.account_body())
    record = json.loads(first.payload) | {"item_id": str(uuid7()), "body": forger.account_body()}
    twin = forger.seal(json.dumps(record).encode(), id=record["item_id"], seq=forger.seq, prev=record["prev"])

    told = forger.push([first, twin])

    assert [one["outcome"] for one in told] == ["applied", "applied"]
    assert all("chain_fork" in one["flags"] for one in told)


@pytest.mark.parametrize("write", ["{{{}}}", "urn:uuid:{}"])
def test_an_id_written_otherwise_is_the_same_id(forger: Forger, write: str) -> None:
    told = only(forger, "visit.ended", {"visit_id": write.format(str(forger.visit_id).upper())})

    assert told["outcome"] == "applied"
    assert count(Item, Item.visit_id == forger.visit_id, Item.type == "visit.ended") == 1


def test_accounts_that_amend_one_another_in_a_circle_wait_and_hold_up_nobody(forger: Forger) -> None:
    a, b, alone = str(uuid7()), str(uuid7()), str(uuid7())

    outcomes = [
        only(forger, "visit.account", forger.account_body(account_id=one, parent=parent))["outcome"]
        for one, parent in ((a, b), (b, a), (alone, alone))
    ]

    assert outcomes == ["held", "held", "held"]


# What belongs to others.


def test_an_item_that_names_another_visitor_counts_for_its_phones_owner(
    forger: Forger, victim: Forger
) -> None:
    told = only(forger, "visit.account", forger.account_body(), staff_id=str(victim.staff.id))

    assert told["outcome"] == "applied" and "staff_mismatch" in told["flags"]
    assert count(Account, Account.author_id == victim.staff.id) == 1  # the victim's own


def test_a_check_in_for_another_visitors_assignment_moves_and_shows_nothing(
    forger: Forger, victim: Forger
) -> None:
    with transaction() as session:
        session.execute(
            sa.update(Assignment).where(Assignment.id == victim.assignment.id).values(state="issued")
        )
    visit_id = str(uuid7())

    told = only(
        forger, "visit.started", forger.start_body(visit_id=visit_id, assignment_id=str(victim.assignment.id))
    )
    only(forger, "visit.account", forger.account_body(visit_id=visit_id))
    only(forger, "assignment.declined", {"assignment_id": str(victim.assignment.id), "reason": "x"})

    assert told["outcome"] == "applied" and "not_on_team" in told["flags"]
    db.session.rollback()
    assert db.session.get_one(Assignment, victim.assignment.id, populate_existing=True).state == "issued"
    seen = forger.get(f"/api/v1/visits/{visit_id}")
    assert (seen.status_code, json.loads(seen.text)["permit"]) == (200, None)
    require_silence(seen.text)


def test_nothing_is_added_to_another_visitors_visit(forger: Forger, victim: Forger) -> None:
    theirs = str(victim.visit_id)
    before = gather(victim.visit_id, now=now())

    outcomes = {
        "visit.started": only(forger, "visit.started", forger.start_body(visit_id=theirs)),
        "visit.account": only(forger, "visit.account", forger.account_body(visit_id=theirs)),
        "visit.evidence": only(forger, "visit.evidence", forger.evidence_body(visit_id=theirs)),
        "visit.ended": only(forger, "visit.ended", {"visit_id": theirs}),
        "complaint.raised": only(forger, "complaint.raised", {"visit_id": theirs, "text": "x"}),
    }

    assert "visit_started_twice" in outcomes.pop("visit.started")["flags"]
    assert {one["problem"]["slug"] for one in outcomes.values()} == {"not-your-visit"}
    assert count(Account, Account.visit_id == victim.visit_id) == 1
    assert count(Evidence) == 0
    after = gather(victim.visit_id, now=now())
    assert before is not None and after is not None
    assert (after.flags, after.departure) == (before.flags, None)
    assert forger.get(f"/api/v1/visits/{theirs}").status_code == 404


def test_nobody_explains_the_pauses_in_another_visitors_recording(forger: Forger, victim: Forger) -> None:
    theirs, own_case = str(victim.visit_id), str(forger.assignment.case_id)

    only(forger, "gap.explained", {"visit_id": theirs, "why": "battery"})
    only(
        forger,
        "incident.raised",
        {"visit_id": theirs, "case_id": own_case, "kind": "recorder_failure", "text": "x"},
    )
    after = gather(victim.visit_id, now=now())
    victim.must_apply([victim.next_item("gap.explained", {"visit_id": theirs, "why": "a call"})])
    own = gather(victim.visit_id, now=now())

    assert after is not None and after.gaps_explained == ()
    assert own is not None and len(own.gaps_explained) == 1


def test_nobody_promises_or_sends_the_file_that_another_phone_promised(
    forger: Forger, victim: Forger
) -> None:
    promise = victim.evidence_body()
    victim.must_apply([victim.next_item("visit.evidence", promise)])

    told = only(forger, "visit.evidence", forger.evidence_body(evidence_id=promise["evidence_id"]))
    sent = forger.app.test_client().post(
        "/api/v1/files",
        headers={
            **forger.handset.headers,
            "Tus-Resumable": "1.0.0",
            "Upload-Length": "10",
            "Upload-Metadata": "evidence_id " + base64.b64encode(promise["evidence_id"].encode()).decode(),
        },
    )

    assert "evidence_promised_twice" in told["flags"]
    assert sent.status_code == 403
    db.session.rollback()
    evidence = db.session.get_one(Evidence, UUID(promise["evidence_id"]))
    assert (evidence.device_id, evidence.visit_id) == (victim.handset.device.id, victim.visit_id)


def test_no_answer_to_a_phone_carries_another_visitors_words(forger: Forger, victim: Forger) -> None:
    mine = forger.next_item("visit.account", forger.account_body(parent=str(uuid7())))
    answers_ = [
        forger.post(forger.batch([mine.written])),
        forger.get("/api/v1/sync/pull?limit=1000"),
        forger.get("/api/v1/sync/status"),
        forger.get("/api/v1/visits"),
        forger.get(f"/api/v1/visits/{victim.visit_id}"),
        forger.get(f"/api/v1/cases/{victim.assignment.case_id}"),
        forger.get(f"/api/v1/assignments/{victim.assignment.id}"),
    ]

    assert [one.status_code for one in answers_] == [200, 200, 200, 200, 404, 403, 403]
    for one in answers_:
        require_silence(one.text)


def test_an_old_item_changes_nothing_at_any_distance_in_time(forger: Forger) -> None:
    made: Made = forger.next_item("visit.account", forger.account_body())
    first = forger.push([made])
    with transaction() as session:
        session.execute(sa.update(Item).values(received_at=now() - timedelta(days=700)))

    again = forger.push([made])

    assert (first[0]["outcome"], again[0]["outcome"]) == ("applied", "duplicate")
    assert first[0]["receipt"] == again[0]["receipt"]
