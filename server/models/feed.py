"""How does a phone learn what changed, without ever missing a row?

One feed per scope ("staff:<id>", "everyone"), numbered by a counter row that stays locked until the
commit, so numbers become visible in order (protocol.md "Change feed"). `publish` collects; the rows are
written as the last statements of the transaction, scopes in sorted order, so no two writers deadlock. The
statement that writes a scope's rows rolls its digest on, too: out with old revisions, in with the new.
"""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.orm import Mapped, Session, mapped_column

from server.database import Model, before_commit, db
from sync.feed import DIGEST_BYTES

EVERYONE: Final = "everyone"
DIGEST_BITS: Final = 8 * DIGEST_BYTES
Op = Literal["put", "remove"]


class FeedHead(Model):
    """The last number given out in a scope. `epoch` changes when the scope's history was replaced.

    `digest` is that of `sync.feed.digest_of` over the rows that are put. Removals up to `oldest_tombstone`
    have been forgotten.
    """

    __tablename__ = "feed_heads"

    scope: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[UUID] = mapped_column(server_default=sa.func.gen_random_uuid())
    seq: Mapped[int]
    oldest_tombstone: Mapped[int] = mapped_column(server_default="0", default=0)
    digest: Mapped[str] = mapped_column(
        BIT(DIGEST_BITS), server_default=sa.text("repeat('0', 256)::bit(256)")
    )


class FeedRow(Model):
    """The newest change of one entity in one scope."""

    __tablename__ = "feed"
    __table_args__ = (
        sa.UniqueConstraint("scope", "kind", "entity_id"),
        sa.Index("ix_feed_tombstones", "changed_at", postgresql_where=sa.text("op = 'remove'")),
    )

    scope: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    entity_id: Mapped[UUID]
    op: Mapped[str]
    rev: Mapped[int]
    changed_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


def staff_scope(staff_id: UUID) -> str:
    """Return the name of a visitor's own scope."""
    return f"staff:{staff_id}"


def hex_digest(bits: str) -> str:
    """Return a digest of a scope, or of a phone's record, as it stands on the wire: 64 hex digits."""
    return int(bits, 2).to_bytes(DIGEST_BYTES).hex()


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

_ROW_DIGEST: Final = """
    CAST('x' || encode(sha256(convert_to(kind || '/' || entity_id || '/' || rev, 'UTF8')), 'hex') AS bit(256))
"""

# The head is locked by now, so `old` is what stands; bit_xor of nothing is null.
_WRITE_ROWS = sa.text(
    f"""
    WITH change AS (
        SELECT kind, entity_id, op, n
        FROM unnest(CAST(:kinds AS text[]), CAST(:ids AS uuid[]), CAST(:ops AS text[]))
             WITH ORDINALITY AS told (kind, entity_id, op, n)
    ), old AS (
        SELECT feed.kind, feed.entity_id, feed.rev FROM feed JOIN change USING (kind, entity_id)
        WHERE feed.scope = :scope AND feed.op = 'put'
    ), written AS (
        INSERT INTO feed (scope, seq, kind, entity_id, op, rev)
        SELECT :scope, :base + n, kind, entity_id, op, 1 FROM change
        ON CONFLICT (scope, kind, entity_id) DO UPDATE
        SET seq = excluded.seq, op = excluded.op, rev = feed.rev + 1, changed_at = now()
        RETURNING kind, entity_id, rev, op
    ), rolled AS (
        SELECT bit_xor({_ROW_DIGEST}) AS bits
        FROM (SELECT kind, entity_id, rev FROM old
              UNION ALL SELECT kind, entity_id, rev FROM written WHERE op = 'put') AS difference
    )
    UPDATE feed_heads SET digest = digest # rolled.bits FROM rolled
    WHERE scope = :scope AND rolled.bits IS NOT NULL
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
