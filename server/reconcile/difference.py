"""What is different between the findings on record and those of a new judgement?

Findings that an auditor decided, or raised, stay as they are whatever a judgement says; what it would change
of a decided one is told all the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

What = Literal["new", "gone", "changed"]
COMPARED: Final = ("rule", "severity", "confidence", "claim", "observation", "citation")


@dataclass(frozen=True, slots=True)
class Known:
    """A finding as it is kept: plain values only. `state` is "open" for one that a judgement just made."""

    key: str
    check: str
    rule: str
    severity: str
    confidence: float
    claim: str
    observation: Mapping[str, Any]
    citation: Mapping[str, Any]
    state: str = "open"
    is_raised: bool = False

    @property
    def is_decided(self) -> bool:
        """Whether an auditor has confirmed or dismissed it."""
        return self.state in ("confirmed", "dismissed")


@dataclass(frozen=True, slots=True)
class Change:
    """One finding that came, went, or is another than before. `fields`: in what it is another."""

    what: What
    check: str
    key: str
    before: Known | None
    after: Known | None
    fields: tuple[str, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Whether the finding was decided, and therefore stays as it is."""
        return self.before is not None and self.before.is_decided

    def to_json(self) -> dict[str, Any]:
        """Return the kept form: how heavy before and after, never what was observed."""
        sides = {"before": self.before, "after": self.after}
        return {
            "what": self.what,
            "check": self.check,
            "key": self.key,
            "decided": self.is_decided,
            "fields": list(self.fields),
        } | {
            name: None if one is None else {"severity": one.severity, "confidence": one.confidence}
            for name, one in sides.items()
        }


def difference(stored: Iterable[Known], judged: Sequence[Known]) -> tuple[Change, ...]:
    """Compare what is on record with a judgement, in the order of the keys.

    A superseded finding that a judgement makes again is new; one that it does not make is no change.
    """
    before = {one.key: one for one in stored if not one.is_raised}
    after = {one.key: one for one in judged}
    changes = [
        change
        for key in sorted(before.keys() | after.keys())
        if (change := _compare(before.get(key), after.get(key))) is not None
    ]
    return tuple(changes)


def _compare(before: Known | None, after: Known | None) -> Change | None:
    if after is None:
        if before is None or before.state == "superseded":
            return None
        return Change("gone", before.check, before.key, before, None)
    if before is None or before.state == "superseded":
        return Change("new", after.check, after.key, None, after)
    fields = tuple(name for name in COMPARED if getattr(before, name) != getattr(after, name))
    return Change("changed", after.check, after.key, before, after, fields) if fields else None
