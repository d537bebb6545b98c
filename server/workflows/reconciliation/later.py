"""How is a visit set down to be judged again, once, whoever asks for it?"""

from collections.abc import Iterable
from uuid import UUID

from server.jobs import enqueue_each


def judge_later(visit_ids: Iterable[UUID], *, because: str) -> None:
    """Have visits judged after the caller's commit; one that waits already keeps the reason it waits for."""
    enqueue_each(
        "reconcile_visit",
        {f"reconcile-{one}": {"visit_id": str(one), "because": because} for one in visit_ids},
    )
