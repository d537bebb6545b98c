"""Whose clocks must be counted again, now that something about a case changed?

One small thing that every workflow may call in its transaction: a job that counts after the commit, exactly
when there was one. Caps and holds concern all cases of a debtor, so all of them are counted. The counting
itself is `clocks`.
"""

from collections.abc import Collection, Iterator
from typing import Final
from uuid import UUID

from server.jobs import enqueue

PER_JOB: Final = 500


def recount_later(*, cases: Collection[UUID] = (), debtors: Collection[UUID] = ()) -> None:
    """Have the clocks of these cases, and of the other cases of their debtors, counted after the commit.

    Without a queueing lock on purpose: a job that waits already may begin before this transaction commits.
    """
    for chunk in _chunks(cases):
        enqueue("clocks.recount", cases=chunk)
    for chunk in _chunks(debtors):
        enqueue("clocks.recount", debtors=chunk)


def _chunks(ids: Collection[UUID]) -> Iterator[list[str]]:
    listed = sorted(map(str, set(ids)))
    return (listed[first : first + PER_JOB] for first in range(0, len(listed), PER_JOB))


def recount_client_later(client_id: UUID) -> None:
    """Have every case of a client counted again: the month has, or has no more, a new batch (F3)."""
    enqueue("clocks.recount_all", client=str(client_id))


def recount_everything_later() -> None:
    """Have every open case counted again: the calendar changed (AMB22)."""
    enqueue("clocks.recount_all")
