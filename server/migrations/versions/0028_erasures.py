"""An erasure meets no rule that was made for deciding: who decides is asked when somebody decides."""

from alembic import op

revision = "0028"
down_revision = "0027"

# 0014 asked at every UPDATE, also when an erasure blanked words that were written long ago.
DECIDING = {"audits": "visit_id, auditor_id", "second_looks": "finding_id, reviewer_id"}


def upgrade() -> None:
    for table, columns in DECIDING.items():
        _separate(table, on=f"INSERT OR UPDATE OF {columns}")


def downgrade() -> None:
    for table in DECIDING:
        _separate(table, on="INSERT OR UPDATE")


def _separate(table: str, *, on: str) -> None:
    op.execute(f"DROP TRIGGER separation_of_duties ON {table}")
    op.execute(
        f"CREATE TRIGGER separation_of_duties BEFORE {on} ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_involved()"
    )
