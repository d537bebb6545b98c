"""Whoever holds a head can check that a record is in the log and that the log only grew since."""

import threading

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flask import Flask

from server.authority import Role
from server.database import transaction
from server.models.transparency import LogCheckpoint, LogLeaf
from server.signing import current_signer
from server.workflows.transparency.sequencing import sequence
from server.workflows.transparency.shelf import origin_of
from sync.checkpoint import Checkpoint, open_checkpoint
from sync.merkle import is_consistent, is_included, leaf_hash
from tests.builders import Cast, a_case, a_visitor, an_address, an_assignment, now

ADD = """
    INSERT INTO log_leaves (kind, subject_id, entry)
    SELECT 'erasure', gen_random_uuid(), sha256(uuid_send(gen_random_uuid())) FROM generate_series(1, :count)
"""


def grown_by(count: int) -> None:
    with transaction() as session:
        session.execute(sa.text(ADD), {"count": count})
    sequence(now=now())


def opened(note: str) -> Checkpoint:
    signer = current_signer()
    key: Ed25519PublicKey = signer.key.public_key()
    return open_checkpoint(note, origin=origin_of(signer), key=key)


def test_an_auditor_gets_the_record_of_a_decision_proven_to_a_signed_head(app: Flask, cast: Cast):
    case = a_case()
    decision_id = an_assignment(case, an_address(case), a_visitor()).decision_id
    grown_by(300)

    told = cast.person(Role.AUDITOR).get(f"/api/v1/log/proof?kind=decision&id={decision_id}").json

    assert told is not None
    head = opened(told["checkpoint"])
    (leaf,) = told["leaves"]
    entry, path = bytes.fromhex(leaf["entry"]), [bytes.fromhex(one) for one in leaf["path"]]
    assert leaf["record"].split("\n")[:2] == ["decision", str(decision_id)]
    assert is_included(leaf_hash(entry), index=leaf["index"], size=head.size, root=head.root, proof=path)


def test_what_was_logged_a_moment_ago_can_be_proven_at_once(app: Flask, cast: Cast):
    case = a_case()
    decision_id = an_assignment(case, an_address(case), a_visitor()).decision_id

    told = cast.person(Role.AUDITOR).get(f"/api/v1/log/proof?id={decision_id}").json

    assert told is not None and len(told["leaves"]) == 1


def test_an_id_of_which_nothing_is_logged_gets_no_proof_that_proves_nothing(app: Flask, cast: Cast):
    case = a_case()
    an_assignment(case, an_address(case), a_visitor())

    answer = cast.person(Role.AUDITOR).get(f"/api/v1/log/proof?id={case.id}")

    assert (answer.status_code, answer.get_json()["type"]) == (404, "/problems/nothing-logged")


def test_a_phone_that_kept_a_head_sees_that_the_log_only_grew(app: Flask, cast: Cast):
    asker = cast.person(Role.VISITOR)
    grown_by(300)
    held = opened(asker.get("/api/v1/log/checkpoint").json["note"])  # type: ignore[index]
    grown_by(411)

    told = asker.get(f"/api/v1/log/consistency?size={held.size}").json

    assert told is not None
    head = opened(told["checkpoint"])
    assert (held.size, head.size) == (300, 711)
    proof = [bytes.fromhex(one) for one in told["proof"]]
    assert is_consistent(
        size=held.size, root=held.root, later_size=head.size, later_root=head.root, proof=proof
    )


def test_a_head_larger_than_the_log_is_answered_with_what_that_means(app: Flask, cast: Cast):
    grown_by(3)

    answer = cast.person(Role.VISITOR).get("/api/v1/log/consistency?size=4")

    assert answer.status_code == 422
    assert answer.json is not None and answer.json["type"].endswith("log-shorter")


def test_an_empty_log_says_so(app: Flask, cast: Cast):
    answer = cast.person(Role.VISITOR).get("/api/v1/log/checkpoint")

    assert answer.status_code == 404


def test_tiles_make_up_the_whole_tree(app: Flask, cast: Cast):
    grown_by(300)
    auditor = cast.person(Role.AUDITOR)

    tiles = [auditor.get(f"/api/v1/log/tiles/0/{number}") for number in (0, 1, 2)]

    assert [len(tile.data) for tile in tiles[:2]] == [256 * 32, 44 * 32]
    assert tiles[2].status_code == 404


def test_sequencers_at_the_same_time_give_each_leaf_one_place(app: Flask):
    with transaction() as session:
        session.execute(sa.text(ADD), {"count": 500})

    def run() -> None:
        with app.app_context():
            sequence(now=now())

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with transaction() as session:
        places = session.scalars(sa.select(LogLeaf.leaf_index).order_by(LogLeaf.leaf_index)).all()
        heads = session.scalars(sa.select(LogCheckpoint.size)).all()
    assert list(places) == list(range(500))
    assert heads == [500]
