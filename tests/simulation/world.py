"""Who does what in a run: a method for each kind of step, then the silence in which all must settle."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import httpx

from server.authority import Role
from server.workflows.assignments import expire_overdue
from server.workflows.exchange.waiting import project_items
from sync.connection import SyncFault
from tests.office import a_body
from tests.simulation.handset import Handset
from tests.simulation.network import Broken, Network, PhoneDied, Wire, Witness, ask_as
from tests.simulation.schedule import Step
from tests.simulation.stage import BOOTED, SLOTS, Stage

MOST_HANDSETS: Final = 5
TRIES: Final = 6
STEP_SECONDS: Final = 420
REQUEST_SECONDS: Final = 0.3
EXPECTED: Final = (200, 201, 204, 400, 404, 409, 422)
OPEN: Final = "SELECT id FROM assignments WHERE state IN ('issued', 'acknowledged') ORDER BY id"


@dataclass(slots=True)
class World:
    """One run. Numbers in steps are counted round."""

    stage: Stage
    wire: Wire
    handsets: list[Handset]
    forgotten: set[UUID] = field(default_factory=set)
    excused: set[UUID] = field(default_factory=set)
    has_backup: bool = False
    server_clock_was_wrong: bool = False

    @classmethod
    def begin(cls, stage: Stage, *, seed: int) -> "World":
        """Begin on an empty stage, with fresh copies of the phones."""
        stage.reset(seed)
        handsets = [
            Handset(folder, lambda: stage.true_time, BOOTED).copy_to(stage.room / "run" / folder.name)
            for folder in stage.image.folders
        ]
        return cls(stage, Wire(stage.app, stage.turns, Witness()), handsets)

    def play(self, step: Step) -> None:
        """Do one step."""
        self.stage.pass_time(seconds=STEP_SECONDS)
        self._act(step)()

    def _act(self, step: Step) -> Callable[[], None]:
        method = getattr(self, step.kind)
        return lambda: method(*step.args)

    def _handset(self, n: int) -> Handset:
        return self.handsets[n % len(self.handsets)]

    def _passing(self) -> None:
        self.stage.pass_time(seconds=REQUEST_SECONDS)

    # Phones.

    def work(self, n: int, deed: str, which: int) -> None:
        case_id = self.stage.image.doors[which % len(self.stage.image.doors)].case.id
        self._handset(n).do(deed, which, case_id=case_id)

    def sync(self, n: int, *faults: str) -> None:
        """One session over a network with these faults; being cut off is no failure."""
        try:
            self._session(self._handset(n), faults)
        except SyncFault as fault:
            if not fault.is_transient:
                raise Broken(f"a phone gives up: {fault}") from fault
        except PhoneDied:
            return

    def _session(self, handset: Handset, faults: Sequence[str] = ()) -> None:
        network = Network(self.wire, faults, passing=self._passing)
        with (
            handset.switched_on() as phone,
            httpx.Client(transport=network, base_url="http://office") as http,
        ):
            phone.sync(http)

    def together(self, seed: int, *steps: Step) -> None:
        """Several things at the same moment. Two uses of one phone cannot be: the second is left out."""
        acts, used = [], set[int]()
        for step in steps:
            if step.kind == "sync":
                place = step.args[0] % len(self.handsets)
                if place in used:
                    continue
                used.add(place)
            acts.append(self._act(step))
        self.stage.turns.together(acts, seed=seed)

    def watch(self, n: int, what: str) -> None:
        self._handset(n).turn(what)

    def clone(self, n: int) -> None:
        """Somebody copies a phone; from now on both are used."""
        if len(self.handsets) < MOST_HANDSETS:
            copy = self.stage.room / "run" / f"clone-{len(self.handsets)}"
            self.handsets.append(self._handset(n).copy_to(copy))

    def keep_image(self, n: int) -> None:
        handset = self._handset(n)
        handset.image = handset.copy_to(handset.folder.with_suffix(".image"))

    def roll_back(self, n: int) -> None:
        """The phone is put back to its image: what it wrote since is forgotten on it."""
        handset = self._handset(n)
        if handset.image is not None:
            before = handset.item_ids()
            handset.image.copy_to(handset.folder)
            self.forgotten |= before - handset.item_ids()

    # The office.

    def _ask(self, path: str, body: dict[str, Any] | None, *, by: Role = Role.DISPATCHER) -> httpx.Response:
        answer = ask_as(self.wire, self.stage.image.tokens[by], "POST", path, body)
        if answer.status_code not in EXPECTED:
            raise Broken(f"{path} as {by}: {answer.status_code} {answer.text[:300]}")
        return answer

    def assign(self, door: int, team: int, slot: int) -> None:
        image = self.stage.image
        body = a_body(
            image.doors[door % len(image.doors)],
            *image.teams[team % len(image.teams)],
            start=SLOTS[slot % len(SLOTS)],
        )
        self._ask("/assignments", body)

    def _open_assignment(self, n: int) -> UUID | None:
        ids = [row[0] for row in self.stage.sql.execute(OPEN).fetchall()]
        return ids[n % len(ids)] if ids else None

    def cancel(self, n: int) -> None:
        if chosen := self._open_assignment(n):
            self._ask(f"/assignments/{chosen}/cancel", {"reason": "the debtor called"})

    def reassign(self, n: int, team: int) -> None:
        members = [str(one.id) for one in self.stage.image.teams[team % len(self.stage.image.teams)]]
        if chosen := self._open_assignment(n):
            body = {"team": members, "lead": members[0], "reason": "illness"}
            self._ask(f"/assignments/{chosen}/reassign", body)

    def hold(self, door: int, reason: str) -> None:
        case_id = self.stage.image.doors[door % len(self.stage.image.doors)].case.id
        self._ask(f"/cases/{case_id}/holds", {"reason": reason, "note": "called the office"})

    def release(self, n: int) -> None:
        query = "SELECT id FROM holds WHERE released_at IS NULL ORDER BY id"
        ids = [row[0] for row in self.stage.sql.execute(query).fetchall()]
        if ids:
            today = self.stage.server_now().date().isoformat()
            word = {"instruction": "go on", "given_by": "client", "reference": "M1", "received_on": today}
            self._ask(f"/holds/{ids[n % len(ids)]}/release", word, by=Role.SUPERVISOR)

    def depart(self, n: int) -> None:
        staff = self.stage.image.visitors[n % len(self.stage.image.visitors)]
        self._ask(f"/staff/{staff.id}/departure", None, by=Role.ADMIN)

    def revoke(self, n: int) -> None:
        with self._handset(n).switched_on() as phone:
            device_id = phone.device_id
        self._ask(f"/devices/{device_id}/revoke", None, by=Role.ADMIN)

    def expire_token(self, n: int) -> None:
        with self._handset(n).switched_on() as phone:
            device_id = phone.device_id
        query = "UPDATE tokens SET expires_at = %s WHERE device_id = %s"
        self.stage.sql.execute(query, [self.stage.server_now(), device_id])

    def jobs(self) -> None:
        """The worker's periodic jobs."""
        with self.stage.app.app_context():
            for job in (project_items, expire_overdue):
                job(now=self.stage.server_now())

    def deliver(self, n: int) -> None:
        self.wire.deliver(n)

    def server_clock(self, minutes: int) -> None:
        """Somebody sets the server's clock wrong, or right again."""
        self.stage.server_wrong_by = timedelta(minutes=minutes)
        self.server_clock_was_wrong |= minutes != 0

    def backup(self) -> None:
        self.stage.copy("public", "backup")
        self.has_backup = True

    def restore(self, how: str) -> None:
        """The database is lost and its backup put back; `told`: the operator says so to the phones."""
        if not self.has_backup:
            return
        stored = self._stored_items()
        self.stage.copy("backup", "public")
        self.excused |= {one for one in self.forgotten & stored if one not in self._stored_items()}
        if how == "told":
            self.stage.sql.execute("UPDATE feed_heads SET epoch = gen_random_uuid()")
        self.wire.witness.history += 1

    def _stored_items(self) -> set[UUID]:
        return {row[0] for row in self.stage.sql.execute("SELECT item_id FROM items").fetchall()}

    # Silence.

    def settle(self, dice: random.Random) -> None:
        """The network heals, late requests arrive, everybody signs in and syncs until nothing moves."""
        while self.wire.on_the_way:
            self.wire.deliver(dice.randrange(9))
        self.stage.sql.execute(
            "UPDATE tokens SET expires_at = %s", [self.stage.server_now().replace(year=2099)]
        )
        synced_at: dict[str, int] = {}
        while behind := [one for one in self.handsets if synced_at.get(one.folder.name) != self._news()]:
            for handset in behind:
                synced_at[handset.folder.name] = self._sync_until_done(handset)
            self.jobs()

    def _news(self) -> int:
        """How much the feed has told so far."""
        row = self.stage.sql.execute("SELECT coalesce(sum(seq), 0) FROM feed_heads").fetchone()
        return 0 if row is None else int(row[0])

    def _sync_until_done(self, handset: Handset) -> int:
        """Sync until the outbox is empty; return what news there was before the last session."""
        for _ in range(TRIES):
            news = self._news()
            self._session(handset)
            with handset.switched_on() as phone:
                if phone.outbox.count_waiting() == (0, 0):
                    return news
        raise Broken(f"{handset.folder.name} cannot empty its outbox")
