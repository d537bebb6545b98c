"""How do the stored findings stand against the labels?

A finding is right where its visit's labels ask for it, neither right nor wrong where they allow it, and a
false alarm else. Notes are for the reader, not against anybody: one that is asked for counts, no other
does. What counts is a check in a visit: two findings of one check in one visit are one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.reconciliation.script import Script

SPLIT_BY_CLAIM = frozenset({"narrative-contradicts"})
"""Checks whose findings are told apart by the claim they doubt, in labels as here."""


@dataclass(frozen=True)
class Found:
    """One stored finding."""

    check: str
    claim: str
    severity: str
    observation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.check}/{self.claim}" if self.check in SPLIT_BY_CLAIM else self.check


@dataclass
class Tally:
    """Of one check: how often it had to find something, did, and did so wrongly."""

    asked: int = 0
    right: int = 0
    false: int = 0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.false) if self.right + self.false else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.asked if self.asked else 1.0


@dataclass
class Score:
    """The whole measurement."""

    checks: dict[str, Tally]
    honest: int
    fabricated: int
    alarms: int
    alarmed: int
    seen: int
    notes: int
    misses: list[tuple[Script, str]]
    false_alarms: list[tuple[Script, Found]]

    @property
    def overall(self) -> Tally:
        rows = self.checks.values()
        return Tally(
            sum(one.asked for one in rows), sum(one.right for one in rows), sum(one.false for one in rows)
        )


def score(scripts: Sequence[Script], found: Mapping[int, Sequence[Found]]) -> Score:
    """Compare label by label."""
    checks: dict[str, Tally] = {}
    result = Score(checks, 0, 0, 0, 0, 0, 0, [], [])
    for script in scripts:
        by_label: dict[str, Found] = {}
        for one in found.get(script.number, ()):
            if one.severity != "note" or one.label in script.must or one.label not in by_label:
                by_label[one.label] = one
        wrong = [
            one
            for label, one in by_label.items()
            if label not in script.must | script.may and one.severity != "note"
        ]
        result.notes += sum(
            one.severity == "note" and label not in script.must | script.may
            for label, one in by_label.items()
        )
        for label in script.must:
            row = checks.setdefault(label, Tally())
            row.asked += 1
            row.right += label in by_label
            if label not in by_label:
                result.misses.append((script, label))
        for one in wrong:
            checks.setdefault(one.label, Tally()).false += 1
            result.false_alarms.append((script, one))
        if script.is_honest:
            result.honest += 1
            result.alarms += len(wrong)
            result.alarmed += bool(wrong)
        else:
            result.fabricated += 1
            result.seen += bool(script.must & by_label.keys())
    return result


def table(result: Score) -> str:
    """Write the figures as a table."""
    lines = [
        f"{'check':<38} {'asked':>6} {'found':>6} {'missed':>7} {'false':>6} {'precision':>10} {'recall':>7}"
    ]
    rows = [*sorted(result.checks.items()), ("all checks", result.overall)]
    for name, row in rows:
        lines.append(
            f"{name:<38} {row.asked:>6} {row.right:>6} {row.asked - row.right:>7} {row.false:>6} "
            f"{row.precision:>10.3f} {row.recall:>7.3f}"
        )
    per = result.honest / result.alarmed if result.alarmed else float("inf")
    lines += [
        "",
        f"{result.fabricated} fabricated visits, {result.seen} caught by a finding that their label names",
        f"{result.honest} honest visits, {result.alarmed} with a false alarm ({result.alarms} in all): "
        f"one in {per:.0f}",
        f"{result.notes} notes that no label names",
    ]
    return "\n".join(lines)


def as_json(result: Score) -> dict[str, Any]:
    """Return the figures for the file."""
    return {
        "honest_visits": result.honest,
        "fabricated_visits": result.fabricated,
        "fabricated_visits_caught": result.seen,
        "honest_visits_with_false_alarm": result.alarmed,
        "false_alarms_on_honest_visits": result.alarms,
        "notes_beyond_labels": result.notes,
        "overall": _row(result.overall),
        "checks": {name: _row(row) for name, row in sorted(result.checks.items())},
        "missed": dict(
            Counter(f"{label} <- {', '.join(script.fabrications)}" for script, label in result.misses)
        ),
        "false": dict(
            Counter(
                f"{one.label} <- {', '.join(script.fabrications or script.noise) or 'nothing'}"
                for script, one in result.false_alarms
            )
        ),
    }


def _row(row: Tally) -> dict[str, float]:
    return {
        "asked": row.asked,
        "right": row.right,
        "false": row.false,
        "precision": row.precision,
        "recall": row.recall,
    }
