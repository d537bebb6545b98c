"""What does a row of a file change about what is stored? Pure: two rows in, one row out.

A file may tighten what protects people and never loosens it: hardship and stop requests are only ever
added, a closed case stays closed, a verification of ours outlives the client's old file, a changed place must
be verified again. An older balance never replaces a newer one, and a promise is never rewritten.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, time
from typing import Any, Final

from server.intake.cells import CHINA

Values = dict[str, Any]
MONEY: Final = ("principal_fen", "outstanding_fen", "balance_as_of")
PROMISED: Final = {"amount_fen": "amount", "due_on": "due_on", "made_at": "made_at"}
PLACE: Final = ("text", "latitude", "longitude")


def merge(kind: str, stored: Mapping[str, Any] | None, said: Mapping[str, Any], *, now: datetime) -> Values:
    """Return the whole row after the import. `said` holds resolved parents and only what the file says."""
    return MERGERS.get(kind, _overlay)(stored, said, now)


def refusal(kind: str, stored: Mapping[str, Any] | None, said: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the column and the reason why a row may not change what is stored; None: it may."""
    if stored is None:
        return None
    if kind == "debtors" and stored.get("erased_at") is not None:
        return "reference", "Belongs to somebody whose data were erased. Use a new reference."
    if kind == "ledger" and {**stored, **said}["effective"] and said.get("connected") is False:
        return "connected", "Nobody answered, and yet it was effective. Correct one of them."
    if kind in ("promises", "payments") and stored["source"] != "import":
        return "reference", "Belongs to an entry of the office. Use the client's own reference."
    if kind == "promises":
        for name, column in PROMISED.items():
            if said.get(name, stored[name]) != stored[name]:
                return column, "Differs from what was promised under this reference. Use a new reference."
    return None


def is_older_balance(kind: str, stored: Mapping[str, Any] | None, said: Mapping[str, Any]) -> bool:
    """Whether a row says a balance older than the one that is known (C4): the known one stays."""
    if kind != "cases" or stored is None:
        return False
    on, known = said.get("balance_as_of"), stored["balance_as_of"]
    return on is not None and known is not None and on < known


def _overlay(stored: Mapping[str, Any] | None, said: Mapping[str, Any], now: datetime) -> Values:
    return {**(stored or {}), **said}


def _debtor(stored: Mapping[str, Any] | None, said: Mapping[str, Any], now: datetime) -> Values:
    merged = _overlay(stored, said, now)
    known = stored["hardship"] if stored else []
    merged["hardship"] = sorted({*known, *said.get("hardship", ())})
    return merged


def _case(stored: Mapping[str, Any] | None, said: Mapping[str, Any], now: datetime) -> Values:
    """A new special flag asks for a new review (A1), a new note for a new acknowledgement (A6).

    Who owes nothing any more is no longer collected from (D18).
    """
    if is_older_balance("cases", stored, said):
        said = {name: value for name, value in said.items() if name not in MONEY}
    merged = _overlay(stored, said, now)
    is_settled = "outstanding_fen" in said and merged["outstanding_fen"] <= 0
    if is_settled or (stored and stored["state"] == "closed"):
        merged["state"] = "closed"
    if merged["state"] == "closed":
        merged["closed_at"] = merged.get("closed_at") or now
    if stored and not set(merged["special_flags"]) <= set(stored["special_flags"]):
        merged |= {"reviewed_at": None, "reviewed_by": None}
    if stored and merged["special_note"] != stored["special_note"]:
        merged |= {"note_acknowledged_at": None, "note_acknowledged_by": None}
    return merged


def _contact(stored: Mapping[str, Any] | None, said: Mapping[str, Any], now: datetime) -> Values:
    merged = _overlay(stored, said, now)
    if stored and stored["stop_contact"] and not merged["stop_contact"]:
        merged |= {"stop_contact": True, "stop_reason": stored["stop_reason"]}
    return merged


def _address(stored: Mapping[str, Any] | None, said: Mapping[str, Any], now: datetime) -> Values:
    """Decide whose word on the address counts: the newest, and none from before the place changed."""
    place_said = {**said}
    on = place_said.pop("verified_on", None)
    word = place_said.pop("status", None)
    source = place_said.pop("source", None)
    if stored and said.get("text", stored["text"]) != stored["text"] and said.get("latitude") is None:
        place_said |= {"latitude": None, "longitude": None}
    merged = _overlay(stored, place_said, now)
    has_moved = stored is None or any(merged.get(name) != stored[name] for name in PLACE)
    if has_moved:
        merged |= {"status": "unverified", "source": "", "verified_at": None, "verified_by": None}
    said_at = None if on is None else datetime.combine(on, time(0), CHINA)
    known_at = merged["verified_at"]
    is_news = known_at is None or (said_at is not None and said_at > known_at)
    if word in ("verified", "invalid") and is_news:
        merged |= {"status": word, "verified_at": said_at or now, "verified_by": None}
    if source is not None and is_news:
        merged["source"] = source
    return merged


def _entry(stored: Mapping[str, Any] | None, said: Mapping[str, Any], now: datetime) -> Values:
    """Of a call that turns out to have been effective, somebody answered."""
    merged = _overlay(stored, said, now)
    return merged | {"connected": True} if merged["effective"] and merged["connected"] is False else merged


def _payment(stored: Mapping[str, Any] | None, said: Mapping[str, Any], now: datetime) -> Values:
    merged = _overlay(stored, said, now)
    return merged if stored else merged | {"recorded_at": now}


MERGERS: Final[dict[str, Callable[[Mapping[str, Any] | None, Mapping[str, Any], datetime], Values]]] = {
    "debtors": _debtor,
    "cases": _case,
    "contacts": _contact,
    "addresses": _address,
    "ledger": _entry,
    "payments": _payment,
}
