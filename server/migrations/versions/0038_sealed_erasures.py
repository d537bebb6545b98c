"""Did the office erase somebody, or somebody with the database? Whoever erases signs it; what was, is signed now."""

import sqlalchemy as sa
from alembic import op

from server.signing import canonical, current_signer
from sync.wire import write_instant

revision = "0038"
down_revision = "0037"

SEALED = "application/vnd.fieldvisit.erasure+json"
ROWS = sa.text("SELECT id, debtor_id, erased_at, ended_at, kept_days, things_sha256 FROM erasures ORDER BY id")
SEAL = sa.text("UPDATE erasures SET seal = :seal WHERE id = :id")


# What erasures before this left: words of the office in columns that are not encrypted.
LEFT = (
    """
    UPDATE letters SET void_reason = '(erased)' FROM debtors
     WHERE debtors.id = debtor_id AND erased_at IS NOT NULL AND void_reason <> ''
    """,
    """
    UPDATE deliveries SET proof = '(erased)' FROM letters JOIN debtors ON debtors.id = debtor_id
     WHERE letters.id = letter_id AND erased_at IS NOT NULL AND proof <> ''
    """,
    """
    UPDATE client_notices SET subject = '' FROM cases JOIN debtors ON debtors.id = debtor_id
     WHERE cases.id = case_id AND erased_at IS NOT NULL AND subject <> ''
    """,
)


def upgrade() -> None:
    for statement in LEFT:
        op.execute(statement)
    op.add_column("erasures", sa.Column("seal", sa.LargeBinary(), nullable=True))
    connection = op.get_bind()
    for row in connection.execute(ROWS).all():
        connection.execute(SEAL, {"id": row.id, "seal": current_signer().sign(SEALED, _told(row))})
    op.alter_column("erasures", "seal", nullable=False)


def _told(row: sa.Row) -> bytes:
    """Say it as `retention.sealing` does."""
    return canonical(
        {
            "v": 1,
            "erasure_id": str(row.id),
            "debtor_id": str(row.debtor_id),
            "erased_at": write_instant(row.erased_at),
            "ended_at": write_instant(row.ended_at),
            "kept_days": row.kept_days,
            "things_sha256": row.things_sha256.hex(),
        }
    )


def downgrade() -> None:
    op.drop_column("erasures", "seal")
