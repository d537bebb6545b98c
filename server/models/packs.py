"""Which rule packs did an administrator enter, beside those that ship?"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from server.database import Model, one_of


class EnteredPack(Model):
    """One version of a client overlay, as it was written. `client_id` null: it binds every client's cases.

    `note` says by whose instruction. A version never changes; a new one takes its place, and withdrawing ends
    all of an id's versions at once.
    """

    __tablename__ = "rule_packs"
    __table_args__ = (
        one_of("layer", "client"),
        sa.CheckConstraint("version >= 0", name="version_counts"),
        sa.CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_by IS NULL)", name="withdrawn_by_somebody"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    layer: Mapped[str]
    client_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("clients.id"), index=True)
    toml: Mapped[str]
    note: Mapped[str] = mapped_column(default="", server_default="")
    entered_by: Mapped[UUID] = mapped_column(sa.ForeignKey("staff.id"))
    entered_at: Mapped[datetime]
    withdrawn_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("staff.id"))
    withdrawn_at: Mapped[datetime | None]
    withdrawn_because: Mapped[str] = mapped_column(default="", server_default="")
