"""What does a row of a file change about what is stored? Pure: two rows in, one row out.

A file may tighten what protects people and never loosens it: hardship and stop requests are only ever
added, a closed case stays closed, a verification of ours outlives the client's old file, a changed place must
be verified again. An older balance never replaces a newer one, and a promise is never rewritten. A balance
that nobody told is unknown, not settled: the case is open, and C4 lets nobody go there before there is one.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, time
from typing import Any, Final

from server.intake.cells import CHINA

Values = dict[str, Any]
MONEY: Final = ("principal_fen", "outstanding_fen", "balance_as_of")
PROMISED: Final = {"amount_fen": "amount", "due_on": "due_on", "made_at": "made_at"}
OLDER_BALANCE: Final = "Is older than the balance that is known; amounts and day were left as they are (C4)."
NO_BALANCE: Final = "Is left out: this case has no balance yet (outstanding); nobody may visit before (C4)."
DAY_OF_NO_BALANCE: Final = "Names the day of a balance that no file has told; it was left out (C4)."
STAYS_CLOSED: Final = "The case is closed and stays so (D18). Entrust it again under a new reference."
OWES_NOTHING: Final = "The case owes nothing, so it is closed (D18)."
PLACE: Final = ("text", "latitude", "longitude")


def heard(kind: str, said: Mapping[str, Any], defaults: Mapping[str, Any]) -> Values:
    """Return what a row says. A null clears what was known; of a balance it says nothing (C4, D18)."""
    return {
        name: defaults.get(name) if value is None else value
        for name, value in said.items()
        if value is not None or kind != "cases" or name not in MONEY
    }


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


def notes(
    kind: str, stored: Mapping[str, Any] | None, said: Mapping[str, Any], merged: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Say column by column what a row says and the merged row does not, and what it lacks."""
    if kind != "cases":
        return
    if _is_older_balance(stored, said):
        yield "balance_as_of", OLDER_BALANCE
    elif _has_no_balance(stored, said):
        if stored is None and merged["state"] == "open":
            yield "outstanding", NO_BALANCE
        if said.get("balance_as_of") is not None:
            yield "balance_as_of", DAY_OF_NO_BALANCE
    if merged["state"] != "closed":
        return
    was_closed = stored is not None and stored["state"] == "closed"
    if said.get("state") == "open":
        yield "state", STAYS_CLOSED if was_closed else OWES_NOTHING
    elif stored is not None and was_closed and stored["outstanding_fen"] <= 0 < merged["outstanding_fen"]:
        yield "outstanding", STAYS_CLOSED


def _is_older_balance(stored: Mapping[str, Any] | None, said: Mapping[str, Any]) -> bool:
    """Whether a row says a balance older than the one that is known (C4): the known one stays."""
    if stored is None:
        return False
    on, known = said.get("balance_as_of"), stored["balance_as_of"]
    return on is not None and known is not None and on < known


def _has_no_balance(stored: Mapping[str, Any] | None, said: Mapping[str, Any]) -> bool:
    """Whether no file has told a balance, this row included."""
    is_unknown = stored is None or (stored["balance_as_of"] is None and stored["outstanding_fen"] == 0)
    return is_unknown and said.get("outstanding_fen") is None


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
    if _is_older_balance(stored, said):
        said = {name: value for name, value in said.items() if name not in MONEY}
    if _has_no_balance(stored, said):
        said = {**said, "outstanding_fen": 0, "balance_as_of": None}
        is_settled = False
    else:
        is_settled = "outstanding_fen" in said and said["outstanding_fen"] <= 0
    merged = _overlay(stored, said, now)
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
