"""What has leaves in the log: which rows of which tables, and what is logged of each?"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Alteration:
    """One thing that is not as it was logged."""

    what: str
    where: str


@dataclass(frozen=True, slots=True)
class Logged:
    """What has leaves of a kind: a table, which of its rows, and what is logged of one (`record` in SQL).

    `once`: how often such a leaf is honestly written. "subject": once about a thing; "row": once for a row,
    of which several may have one id (other phones, other bytes); "never": it may be written again. What is
    written oftener is somebody's who did it again past the product.
    """

    kind: str
    table: str
    key: str = "id"
    rows: str = "true"
    record: str = "log_record(one)"
    once: Literal["subject", "row", "never"] = "subject"


_DECIDED: Final = "one.state IN ('confirmed', 'dismissed')"
LOGGED: Final = (
    Logged("item", "items", key="item_id", once="row"),
    Logged("conflict", "conflicting_items", key="item_id", once="row"),
    Logged("raw", "raw_submissions", once="row"),
    Logged("evidence", "evidence", rows="one.state = 'verified'", once="never"),
    Logged("loose", "evidence", rows="one.loose_sha256 IS NOT NULL", record="log_loose(one)"),
    Logged("decision", "decisions"),
    Logged("finding", "findings", rows=_DECIDED),
    Logged("weight", "findings", rows=_DECIDED, record="log_weight(one)"),
    Logged("raised", "findings", rows="one.raised_by IS NOT NULL", record="log_raised(one)"),
    Logged("access", "access_log"),
    Logged("plan", "audit_plans"),
    Logged("audit", "audits"),
    Logged("comment", "finding_comments"),
    Logged("second_look", "second_looks"),
    Logged("hearing", "hearings"),
    Logged("telling", "hearing_tellings"),
    Logged("reply", "finding_replies"),
    Logged("breach", "breaches"),
    Logged("breach_ending", "breach_endings"),
    Logged("erasure", "erasures"),
    Logged("desk_decision", "desk_decisions"),
    Logged("correction", "corrections"),
    Logged("run", "reconciliation_runs"),
    Logged("month", "closed_months"),
    Logged("proposal", "proposal_decisions"),
    Logged("fraud", "proven_frauds"),
    Logged("month_reply", "month_replies"),
    Logged("report", "report_files"),
    Logged("hand_in", "report_hand_ins"),
)
DIGESTED: Final = (
    ("item", "items", "item_id", "the phone"),
    ("conflict", "conflicting_items", "item_id", "the phone"),
    ("correction", "corrections", "id", "the office"),
)
"""Kind, table, its id, and who signed. `sha256` is over DSSE's pre-authentication encoding of the bytes."""
