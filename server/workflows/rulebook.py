"""Which rules are there, where is each kept, and where do the values of the packs come from?"""

from datetime import time
from typing import Any

from server.rules import pack as packs
from server.rules.catalogue import Rule, catalogue
from server.rules.catalogue.places import Place, places
from server.rules.json_form import to_json
from server.rules.pack_file import PackFile


def list_rules(*, of_class: str | None = None, kept_by: str | None = None) -> list[tuple[Rule, Place]]:
    """Return the catalogue with the place where each rule is kept, or why it is not built."""
    rows = [(rule, places()[rule.id]) for rule in catalogue().values()]
    if of_class is not None:
        rows = [(rule, place) for rule, place in rows if of_class in rule.classes]
    if kept_by is not None:
        rows = [(rule, place) for rule, place in rows if place.kept_by == kept_by]
    return rows


def list_packs() -> list[dict[str, Any]]:
    """Return the packs that ship, with every parameter and its source."""
    return [shown(pack) for pack in packs.available().values()]


def shown(pack: PackFile) -> dict[str, Any]:
    """Return one pack as plain values."""
    return {
        "id": pack.id,
        "version": pack.version,
        "layer": pack.layer,
        "title": pack.title,
        "timezone": pack.timezone,
        "checklist": [to_json(item) for item in pack.checklist],
        "lexicon": [to_json(one) for one in pack.lexicon],
        "parameters": [
            {**to_json(parameter), "value": plain(parameter.value)} for parameter in pack.parameters
        ],
    }


def plain(value: Any) -> Any:
    """Return a parameter's value as JSON has it."""
    return value.isoformat() if isinstance(value, time) else to_json(value)
