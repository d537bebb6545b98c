"""Bugs, put in on purpose: a checker that does not see them is none.

Each is one of the ways in which a sync server or a phone is commonly wrong. `test_simulation.py` shows that
seeded runs notice every one of them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
import sqlalchemy as sa

from server.bulk import insert_rows
from server.database import db
from server.models import assignments
from server.models.visits import Item
from server.signing import current_signer
from server.workflows import reservation, stopping
from server.workflows.exchange import applying, arrived, forks, inbox, keeping, pulling
from server.workflows.exchange.receipts import make_receipt
from sync import outbox
from sync import pulling as phone_pulling
from sync.clock import Interval
from sync.protocol import uuid7
from tests.simulation.schedule import Schedule, write

Patches = dict[tuple[Any, str], Any]


def _then(original: Callable[..., Any], change: Callable[..., Any]) -> Callable[..., Any]:
    """Call the original, then hand its result and arguments to `change`."""

    def changed(*args: Any, **named: Any) -> Any:
        return change(original(*args, **named), *args, **named)

    return changed


def _drop_the_last(told: Any, *_: Any, **__: Any) -> Any:
    if len(told) > 1:
        db.session.execute(sa.delete(Item).where(Item.item_id == UUID(told[-1]["id"])))
    return told


def _sign_again(told: Any, session: Any, candidates: Any, **_: Any) -> Any:
    for one, candidate in zip(told, candidates, strict=True):
        at = datetime.fromisoformat(one["receipt"]["received_at"]) + timedelta(microseconds=1)
        if one["outcome"] == "duplicate":
            one["receipt"] = make_receipt(
                current_signer(), item_id=candidate.pushed.id, sha256=candidate.digest, now=at
            )
    return told


def _believe_the_wall_clock(interval: Interval, clock: Any, **_: Any) -> Interval:
    return Interval(clock.wall, clock.wall, interval.method)


def _acknowledge_unsent(batch: Any, box: Any, limit: int, **_: Any) -> Any:
    box.acknowledge([{"id": str(one.id), "outcome": "applied", "flags": []} for one in batch])
    return batch


def _without_removals(seen: Any, *_: Any, **__: Any) -> Any:
    standing, rows, head = seen
    return standing, [row for row in rows if row.op != "remove"], head


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _no_ids(*_: Any, **__: Any) -> list[Any]:
    return []


def _never(*_: Any, **__: Any) -> bool:
    return False


def _no_flags(new: Any, known: Any, **_: Any) -> list[tuple[str, ...]]:
    return [() for _ in new]


def _insert_twice(session: Any, model: Any, rows: Any, **named: Any) -> Any:
    is_report = model.__tablename__ == "field_reports"
    copies = [row | {"id": uuid7()} for row in rows] if is_report else []
    return insert_rows(session, model, [*rows, *copies], **named)


@dataclass(frozen=True, slots=True)
class Mutation:
    """A bug: what is replaced by what. Only schedules that have these words in them can meet it."""

    patches: Patches
    needs: tuple[str, ...] = ()

    def can_show_in(self, schedule: Schedule) -> bool:
        return all(f'"{word}"' in write(schedule) for word in self.needs)


MUTATIONS: Final[dict[str, Mutation]] = {
    "the office drops an item after its receipt": Mutation(
        {
            (inbox, "answers_of"): _then(inbox.answers_of, _drop_the_last),
            (inbox, "outcomes_of"): _then(inbox.outcomes_of, _drop_the_last),
        }
    ),
    "a repeat gets a new receipt": Mutation(
        {(inbox, "outcomes_of"): _then(inbox.outcomes_of, _sign_again)}, ("twice",)
    ),
    "forks are not flagged": Mutation(
        {
            (keeping, "judge_links"): _no_flags,
            (forks, "_FLAG"): sa.text("SELECT CAST(NULL AS uuid) WHERE false"),
        },
        ("clone",),
    ),
    "permission is a filter at read time": Mutation(
        {
            (pulling, "_look"): _then(pulling._look, _without_removals),
            (phone_pulling, "_differs"): _never,
        },
        ("reassign",),
    ),
    "an assignment that ends is not taken off the phones": Mutation(
        {(assignments, "publish"): _nothing}, ("cancel",)
    ),
    "reports are filed twice": Mutation({(applying, "insert_rows"): _insert_twice}, ("report",)),
    "a budget slot is not taken": Mutation({(reservation, "_take_slot"): _nothing}, ("assign",)),
    "a hold leaves visits planned": Mutation({(stopping, "end_early"): _no_ids}, ("hold",)),
    "a phone takes the sending for the receipt": Mutation(
        {(outbox.Outbox, "next_batch"): _then(outbox.Outbox.next_batch, _acknowledge_unsent)}
    ),
    "a restored office is offered nothing again": Mutation(
        {(outbox.Outbox, "_offer_again"): lambda self: 0}, ("backup", "work", "restore")
    ),
    "the wall clock is believed": Mutation(
        {(arrived, "locate"): _then(arrived.locate, _believe_the_wall_clock)}, ("ahead", "start")
    ),
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Run the block with one of the bugs."""
    with pytest.MonkeyPatch.context() as patch:
        for (place, attribute), bug in MUTATIONS[name].patches.items():
            patch.setattr(place, attribute, bug)
        yield
