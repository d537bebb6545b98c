"""What phones said before erasures looked for it: the migration reads whose it is, whatever the bytes are."""

import base64
import json
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from server.app import create_app
from server.config import Config
from server.database import db
from server.models.visits import Item, RawSubmission
from server.schema import upgrade
from tests import cluster
from tests.conftest import SECRETS

CASE, VISIT, ASSIGNMENT = UUID(int=1), UUID(int=2), UUID(int=3)
HOLD = json.dumps({"body": {"case_id": str(CASE), "text": '不，"case_id":"x"'}}, ensure_ascii=False).encode()
ACCOUNT = json.dumps({"body": {"visit_id": str(VISIT)}}).encode()
SAID = {
    "hold.requested": ("applied", HOLD, [CASE]),
    "visit.account": ("applied", ACCOUNT, None),
    "visit.ended": ("quarantined", ACCOUNT, [VISIT]),
    "visit.started": (
        "quarantined",
        b'\xff\x00{"assignment_id" : "' + ASSIGNMENT.hex.encode() + b'"',
        [ASSIGNMENT],
    ),
    "gap.explained": ("applied", b'{"body":{"text":"case_id"}}', None),
    "unreadable": ("quarantined", b"\x00\x01\x02", None),
}
RAW = {
    b"case_id \xff": None,
    b'{"payload": "' + base64.b64encode(HOLD)[:-9]: [CASE],
    b'{"payload": "====", "case_id":"{%s}"}' % str(CASE).encode(): [CASE],
}
ITEM = sa.text(
    """
    INSERT INTO items (device_id, item_id, seq, sha256, type, payload_type, payload, signatures, received_at,
                       receipt, outcome)
    VALUES (gen_random_uuid(), gen_random_uuid(), 1, '', :type, '', :payload, '[]', now(), '{}', :outcome)
    """
)
BYTES = sa.text(
    """
    INSERT INTO raw_submissions (id, device_id, sha256, content, received_at, receipt)
    VALUES (gen_random_uuid(), gen_random_uuid(), sha256(:content), :content, now(), '{}')
    """
)


def test_the_migration_reads_whose_it_is_what_was_said_before(tmp_path: Path, worker_id: str) -> None:
    with cluster.running_cluster() as server:
        url = server.create(f"unnamed_{worker_id}")
        app = create_app(Config.from_environ(SECRETS, var=tmp_path, default_database_url=url))
        upgrade(app, revision="0027")
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(
                sa.text("SET LOCAL session_replication_role = replica")
            )  # no phones are needed
            rows = [{"type": name, "payload": said, "outcome": was} for name, (was, said, _) in SAID.items()]
            connection.execute(ITEM, rows)
            connection.execute(BYTES, [{"content": content} for content in RAW])

        upgrade(app)

        with app.app_context():
            named = {row.type: row.named for row in db.session.execute(sa.select(Item.type, Item.named))}
            raw = db.session.execute(sa.select(RawSubmission.content, RawSubmission.named)).all()
            db.session.remove()
            db.engine.dispose()
    assert named == {name: whose for name, (_, _, whose) in SAID.items()}
    assert {bytes(row.content): row.named for row in raw} == RAW
