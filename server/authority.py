"""Who is asking, and what may their role do?

Pure values; the API fills an `Actor` from a token, jobs use `SYSTEM`. Nothing here reads a table.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """The roles of domain.md; a person may hold several."""

    VISITOR = "visitor"
    DISPATCHER = "dispatcher"
    SUPERVISOR = "supervisor"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in person, or the system itself when `staff_id` is None.

    `device_id` is set when the token belongs to an enrolled phone, which holds no role but the visitor's;
    `device_revoked` phones may only submit.
    """

    staff_id: UUID | None
    roles: frozenset[Role]
    token_id: UUID | None = None
    device_id: UUID | None = None
    device_revoked: bool = False

    def has(self, *roles: Role) -> bool:
        """Whether the actor holds at least one of these roles."""
        return not self.roles.isdisjoint(roles)


SYSTEM = Actor(staff_id=None, roles=frozenset(Role))
