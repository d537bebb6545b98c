"""What must hold when all is quiet again, whatever happened before?

Written against the tables and the phones' folders, not against the product's own queries. Each check is one
sentence; the first that does not hold fails the run.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from psycopg.rows import namedtuple_row

from server.workflows.transparency.checking import alterations
from server.workflows.transparency.sequencing import sequence
from sync.chain import FORK, record_digest
from sync.feed import digest_of
from tests.simulation.network import Broken
from tests.simulation.world import World
from tests.stored import Server, verify_item

_ITEMS: Final = """
    SELECT items.*, devices.public_key, devices.algorithm, devices.revoked_at IS NOT NULL AS is_revoked
      FROM items JOIN devices ON devices.id = items.device_id ORDER BY items.device_id, items.seq
"""
_HELD_BY: Final = """
    SELECT assignments.id, assignments.permit, assignments.state
      FROM assignments JOIN assignment_members ON assignment_id = assignments.id
     WHERE staff_id = %s AND state NOT IN ('cancelled', 'declined', 'expired')
"""
_OVER_BUDGET: Final = """
    SELECT debtor_id, day, count(*), array_agg(slot ORDER BY slot), debtors.hardship
      FROM (SELECT assignments.debtor_id, (window_start AT TIME ZONE 'Asia/Shanghai')::date AS day, slot
              FROM assignments LEFT JOIN budget_slots ON assignment_id = assignments.id
             WHERE state NOT IN ('cancelled', 'declined', 'expired')) AS planned
      JOIN debtors ON debtors.id = debtor_id
     GROUP BY debtor_id, day, debtors.hardship
    HAVING count(*) > CASE WHEN hardship = '{}' THEN 2 ELSE 1 END OR bool_or(slot IS NULL)
"""
_PLANNED_ON_HELD: Final = """
    SELECT assignments.id FROM assignments JOIN holds ON holds.debtor_id = assignments.debtor_id
       AND (holds.scope = 'debtor' OR holds.case_id = assignments.case_id)
     WHERE released_at IS NULL AND state IN ('issued', 'acknowledged')
"""
_PLANNED_WITH_LEAVERS: Final = """
    SELECT assignment_id FROM assignment_members JOIN staff ON staff.id = staff_id
      JOIN assignments ON assignments.id = assignment_id
     WHERE left_at IS NOT NULL AND state IN ('issued', 'acknowledged')
"""
_TWICE: Final[dict[str, str]] = {
    "a report is filed twice": """
        SELECT device_id, item_id FROM field_reports GROUP BY 1, 2 HAVING count(*) > 1""",
    "an open hold stands twice": """
        SELECT case_id, reason FROM holds WHERE released_at IS NULL GROUP BY 1, 2 HAVING count(*) > 1""",
    "a complaint is filed twice": """
        SELECT raised_by_item FROM complaints WHERE raised_by_item IS NOT NULL
         GROUP BY 1 HAVING count(*) > 1""",
    "an item began two visits": "SELECT started_item FROM visits GROUP BY 1 HAVING count(*) > 1",
    "an item wrote two accounts": "SELECT device_id, item_id FROM accounts GROUP BY 1, 2 HAVING count(*) > 1",
    "the feed's numbers are not dense below the head": """
        SELECT feed.scope FROM feed JOIN feed_heads USING (scope)
         GROUP BY feed.scope, feed_heads.seq HAVING max(feed.seq) <> feed_heads.seq""",
}


@dataclass(slots=True)
class Checker:
    """Looks at one finished run."""

    world: World
    server: Server
    items: dict[tuple[UUID, UUID], Any] = field(default_factory=dict)

    @classmethod
    def of(cls, world: World) -> "Checker":
        checker = cls(world, Server.of(world.stage.app))
        checker.items = {(one.device_id, one.item_id): one for one in checker._rows(_ITEMS)}
        return checker

    def _rows(self, query: str, values: Iterable[Any] = ()) -> list[Any]:
        with self.world.stage.sql.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(query, list(values)).fetchall()  # pyright: ignore[reportArgumentType]

    def check(self) -> None:
        """Raise Broken with the first sentence that does not hold."""
        checks: tuple[Callable[[], None], ...] = (
            self.every_promise_is_kept,
            self.one_item_has_one_receipt,
            self.signatures_and_receipts_verify,
            self.chains_are_whole_and_forks_are_flagged,
            self.each_record_has_its_digest,
            self.nothing_is_doubled,
            self.every_item_has_its_effect,
            self.every_phone_shows_what_the_office_holds,
            self.no_budget_is_exceeded,
            self.trusted_times_contain_the_true_one,
            self.nothing_waits_without_reason,
            self.the_log_holds_everything_unaltered,
        )
        for check in checks:
            check()

    def every_promise_is_kept(self) -> None:
        stored = {(str(one.item_id), one.sha256.hex()) for one in self.items.values()}
        for table in ("conflicting_items", "raw_submissions"):
            name = "item_id" if table == "conflicting_items" else "id"
            found = self._rows(f"SELECT {name} AS id, sha256 FROM {table}")
            stored |= {(str(one.id), one.sha256.hex()) for one in found}
        for promise in self.world.wire.witness.promises:
            told = promise.receipt
            if UUID(promise.item_id) in self.world.excused:
                continue
            if (told["item_id"], told["item_sha256"]) not in stored:
                raise Broken(f"an acknowledged item is gone: {promise}")

    def one_item_has_one_receipt(self) -> None:
        given: dict[tuple[int, str, str], set[str]] = defaultdict(set)
        for one in self.world.wire.witness.promises:
            given[one.history, one.item_id, one.receipt["item_sha256"]].add(
                json.dumps(one.receipt, sort_keys=True)
            )
        for key, receipts in given.items():
            if len(receipts) > 1:
                raise Broken(f"several receipts for one item: {key} {receipts}")

    def signatures_and_receipts_verify(self) -> None:
        for one in self.items.values():
            if fault := next(verify_item(one, self.server), None):
                raise Broken(fault)

    def chains_are_whole_and_forks_are_flagged(self) -> None:
        by_seq: dict[tuple[UUID, int], list[Any]] = defaultdict(list)
        for one in self.items.values():
            by_seq[one.device_id, one.seq].append(one)
        forgotten = self.world.forgotten
        for (device_id, seq), here in by_seq.items():
            before = {one.sha256 for one in by_seq.get((device_id, seq - 1), [])}
            for one in here:
                if seq > 1 and one.prev not in before and not forgotten:
                    raise Broken(f"the item before {one.item_id} (number {seq}) is missing")
            is_forked = len(here) > 1
            flagged = [one for one in here if FORK in one.flags]
            if is_forked and len(flagged) < len(here):
                raise Broken(f"a fork at number {seq} is not flagged on both sides")
            if flagged and len(self.world.handsets) == 3 and not forgotten:
                raise Broken(f"a fork is seen where none is: {flagged[0].item_id}")

    def each_record_has_its_digest(self) -> None:
        told = self._rows("SELECT id, record_digest::text AS bits FROM devices")
        for device_id, bits in told:
            digests = [one.sha256 for one in self.items.values() if one.device_id == device_id]
            if int(bits, 2).to_bytes(32) != record_digest(digests):
                raise Broken(f"the digest of the record of {device_id} is not that of its items")

    def nothing_is_doubled(self) -> None:
        for sentence, query in _TWICE.items():
            if found := self._rows(query):
                raise Broken(f"{sentence}: {found}")

    def every_item_has_its_effect(self) -> None:
        """Each applied item left exactly one row where its type is kept."""
        left = Counter[UUID]()
        for table, column in (
            ("visits", "started_item"),
            ("visits", "ended_item"),
            ("accounts", "item_id"),
            ("evidence", "promised_item"),
            ("field_reports", "item_id"),
        ):
            rows = self._rows(f"SELECT {column} AS item FROM {table} WHERE {column} IS NOT NULL")
            left.update(row.item for row in rows)
        excused = {
            "visit_started_twice",
            "visit_ended_twice",
            "account_written_twice",
            "evidence_promised_twice",
        }
        elsewhere = {"assignment.acknowledged", "assignment.declined", "hold.requested"}
        for one in self.items.values():
            expected = int(one.outcome == "applied" and one.type not in elsewhere)
            if left[one.item_id] != expected and not (expected and excused & set(one.flags)):
                raise Broken(f"{one.type} {one.item_id} ({one.outcome}) left {left[one.item_id]} rows")

    def every_phone_shows_what_the_office_holds(self) -> None:
        for handset in self.world.handsets:
            with handset.switched_on() as phone:
                if self._may_only_submit(phone.device_id):
                    continue
                shown = {id: body["permit"] for id, _, body in phone.outbox.entities("assignment")}
                years = {body["year"] for _, _, body in phone.outbox.entities("calendar")}
                held = {row.id: row.permit for row in self._rows(_HELD_BY, [phone.staff_id])}
                digests = {
                    scope: digest_of(phone.outbox.held(scope))
                    for scope in ("everyone", f"staff:{phone.staff_id}")
                }
            if shown != held:
                difference = [str(one) for one in shown.keys() ^ held.keys()]
                raise Broken(f"{handset.folder.name} does not show what the office holds: {difference}")
            told = {
                row.scope: int(row.digest, 2).to_bytes(32).hex()
                for row in self._rows("SELECT scope, digest::text FROM feed_heads")
            }
            if any(digest != told.get(scope, "0" * 64) for scope, digest in digests.items()):
                raise Broken(f"{handset.folder.name} and the office have other digests of the feed")
            published = {row.year for row in self._rows("SELECT DISTINCT year FROM calendar_years")}
            if years != published:
                raise Broken(f"{handset.folder.name} shows the calendars {years}, not {published}")

    def _may_only_submit(self, device_id: UUID) -> bool:
        query = """
            SELECT revoked_at IS NOT NULL OR left_at IS NOT NULL AS is_so
              FROM devices JOIN staff ON staff.id = staff_id WHERE devices.id = %s"""
        return self._rows(query, [device_id])[0].is_so

    def no_budget_is_exceeded(self) -> None:
        for sentence, query in (
            ("a debtor's day has too many visits, or one without a slot", _OVER_BUDGET),
            ("a visit is planned although a hold stands", _PLANNED_ON_HELD),
            ("a visit is planned with somebody who left", _PLANNED_WITH_LEAVERS),
        ):
            if found := self._rows(query):
                raise Broken(f"{sentence}: {found}")

    def trusted_times_contain_the_true_one(self) -> None:
        """Unless the server's own clock was wrong, an anchored arrival is where it truly was."""
        if self.world.server_clock_was_wrong:
            return
        written = {id: at for handset in self.world.handsets for id, at in handset.written.items()}
        query = "SELECT started_item, arrived_earliest, arrived_latest, arrived_method FROM visits"
        for one in self._rows(query):
            true = written.get(one.started_item)
            if true is None or not one.arrived_method.startswith("anchored"):
                continue
            if not one.arrived_earliest <= true <= one.arrived_latest:
                raise Broken(
                    f"the visit was at {true}, not in [{one.arrived_earliest}, {one.arrived_latest}]"
                )

    def nothing_waits_without_reason(self) -> None:
        for handset in self.world.handsets:
            with handset.switched_on() as phone:
                waiting = phone.outbox.count_waiting()
                outcomes = phone.outbox.outcomes()
            if waiting != (0, 0):
                raise Broken(f"{handset.folder.name} still holds {waiting} items and files")
            for one in outcomes:
                if (phone_row := self.items.get((self._device_of(handset), one["id"]))) is None:
                    raise Broken(f"an item of {handset.folder.name} is not stored: {one}")
                if one["receipt"] != phone_row.receipt and not self._was_given_before_a_restore(one):
                    raise Broken(f"phone and office hold different receipts: {one}")
        for one in self.items.values():
            is_waited_for = one.outcome == "held" and bool(self.world.forgotten)
            if one.outcome != "applied" and not is_waited_for:
                raise Broken(f"{one.type} {one.item_id} is {one.outcome}: {one.problem}")

    def _was_given_before_a_restore(self, one: Mapping[str, Any]) -> bool:
        """Whether the office that was lost gave this receipt, and the one put back got the item anew."""
        witness = self.world.wire.witness
        return any(
            (promise.item_id, promise.receipt) == (str(one["id"]), one["receipt"])
            for promise in witness.promises
            if promise.history < witness.history
        )

    def the_log_holds_everything_unaltered(self) -> None:
        stage = self.world.stage
        with stage.app.app_context():
            while sequence(now=stage.server_now()):
                pass
            found = list(alterations())
        if found:
            raise Broken(f"the log names an alteration: {found[0]}")

    @staticmethod
    def _device_of(handset: Any) -> UUID:
        with handset.switched_on() as phone:
            return phone.device_id
