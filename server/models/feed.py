"""How does a phone learn what changed, without ever missing a row?

One feed per scope ("staff:<id>", "everyone"), numbered by a counter row that stays locked until the
commit, so numbers become visible in order (protocol.md "Change feed"). `publish` collects; the rows are
written as the last statements of the transaction, scopes in sorted order, so no two writers deadlock.
"""

from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from server.database import Model, before_commit, db

EVERYONE = "everyone"
Op = Literal["put", "remove"]


class FeedHead(Model):
    """The last number given out in a scope. `epoch` changes when the scope's history was replaced."""

    __tablename__ = "feed_heads"

    scope: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[UUID] = mapped_column(server_default=sa.func.gen_random_uuid())
    seq: Mapped[int]
    oldest_tombstone: Mapped[int] = mapped_column(server_default="0", default=0)


class FeedRow(Model):
    """The newest change of one entity in one scope."""

    __tablename__ = "feed"
    __table_args__ = (sa.UniqueConstraint("scope", "kind", "entity_id"),)

    scope: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    entity_id: Mapped[UUID]
    op: Mapped[str]
    rev: Mapped[int]


def staff_scope(staff_id: UUID) -> str:
    """Return the name of a visitor's own scope."""
    return f"staff:{staff_id}"


def publish(scope: str, *, kind: str, entity_id: UUID, op: Op) -> None:
    """Announce a change to a scope when the current transaction commits; the last word per entity wins."""
    changes = db.session().info.setdefault("feed_changes", {})
    changes.setdefault(scope, {})[kind, entity_id] = op


_TAKE_NUMBERS = sa.text(
    """
    INSERT INTO feed_heads (scope, seq) VALUES (:scope, :count)
    ON CONFLICT (scope) DO UPDATE SET seq = feed_heads.seq + :count
    RETURNING seq - :count
    """
)

_WRITE_ROWS = sa.text(
    """
    INSERT INTO feed (scope, seq, kind, entity_id, op, rev)
    SELECT :scope, :base + n, kind, entity_id, op, 1
    FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS uuid[]), CAST(:ops AS text[]))
         WITH ORDINALITY AS change (kind, entity_id, op, n)
    ON CONFLICT (scope, kind, entity_id)
    DO UPDATE SET seq = excluded.seq, op = excluded.op, rev = feed.rev + 1
    """
)


@before_commit
def write_changes(session: Session) -> None:
    """Number and write what was published. Must stay the last thing before the commit."""
    changes: dict[str, dict[tuple[str, UUID], Op]] = session.info.pop("feed_changes", {})
    for scope in sorted(changes):
        entities = changes[scope]
        base = session.execute(_TAKE_NUMBERS, {"scope": scope, "count": len(entities)}).scalar_one()
        session.execute(
            _WRITE_ROWS,
            {
                "scope": scope,
                "base": base,
                "kinds": [kind for kind, _ in entities],
                "ids": [entity_id for _, entity_id in entities],
                "ops": list(entities.values()),
            },
        )
