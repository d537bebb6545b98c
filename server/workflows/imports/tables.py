"""Which table does each kind of row belong to, what does a new row hold, and whom does it name?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from server.models.cases import Address, Case, Client, Contact, Debtor, LedgerEntry, StatusCode
from server.models.deadlines import Payment, Promise
from sync.protocol import uuid7


@dataclass(frozen=True, slots=True)
class Target:
    """A table that imports write to.

    `parents`: the reference in the file -> the kind it names. `defaults`: what a new row holds where the
    file says nothing. What the office decides itself (reviews, who recorded) is never in a file.
    """

    table: sa.Table
    parents: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def blank_row(self) -> dict[str, Any]:
        """Return a new row that says nothing yet."""
        return dict.fromkeys(self.table.c.keys()) | dict(self.defaults) | {"id": uuid7()}


def _table(model: type[Any]) -> sa.Table:
    return model.__table__


TARGETS: Final[dict[str, Target]] = {
    "clients": Target(_table(Client), defaults={"instructions": ""}),
    "status_codes": Target(_table(StatusCode), defaults={"title": "", "meaning": "other"}),
    "debtors": Target(_table(Debtor), defaults={"hardship": []}),
    "cases": Target(
        _table(Case),
        parents={"debtor_reference": "debtors"},
        defaults={
            "principal_fen": 0,
            "hand": "first",
            "status_code": "",
            "special_flags": [],
            "special_note": "",
            "state": "open",
        },
    ),
    "contacts": Target(
        _table(Contact),
        parents={"case_reference": "cases"},
        defaults={
            "relation": "",
            "liable": False,
            "sensitive_occupation": "",
            "stop_contact": False,
            "stop_reason": "",
        },
    ),
    "addresses": Target(
        _table(Address),
        parents={"case_reference": "cases", "contact_reference": "contacts"},
        defaults={"kind": "home", "datum": "WGS-84", "status": "unverified", "source": ""},
    ),
    "ledger": Target(
        _table(LedgerEntry),
        parents={"case_reference": "cases"},
        defaults={"effective": False, "counterpart": "", "result": "", "asks_for_visit": False},
    ),
    "promises": Target(
        _table(Promise),
        parents={"case_reference": "cases"},
        defaults={
            "source": "import",
            "state": "open",
            "paid_fen": 0,
            "accepted_by_client_authorisation": "",
        },
    ),
    "payments": Target(_table(Payment), parents={"case_reference": "cases"}, defaults={"source": "import"}),
}
