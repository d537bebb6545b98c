"""How much does a visit deserve an auditor's eye?

The score is a sum of points, each of which says what it is for. It depends on the visit's day, not on the day
of asking: weighing again gives the same.
"""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """One finding nobody decided. `repeats`: the visitor has a standing finding of the same check."""

    check: str
    severity: str
    confidence: float
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Some points of a score and what they are for."""

    because: str
    points: int


@dataclass(frozen=True, slots=True)
class Weights:
    """The values of `weights.toml`. `name` is a digest of the file: other values, another name."""

    name: str
    severity: Mapping[str, int]
    repeat_percent: int
    repeat_within_days: int
    first_time_points: int
    first_time_days: int
    sample_size: int
    sample_control_percent: int

    def to_json(self) -> dict[str, Any]:
        """Return the values as a plan keeps them."""
        return {
            "severity": dict(self.severity),
            "repeat_percent": self.repeat_percent,
            "repeat_within_days": self.repeat_within_days,
            "first_time_points": self.first_time_points,
            "first_time_days": self.first_time_days,
        }


@cache
def current_weights() -> Weights:
    """Return the weights this program scores with."""
    raw = (Path(__file__).parent / "weights.toml").read_bytes()
    told = tomllib.loads(raw.decode())
    return Weights(
        name=hashlib.sha256(raw).hexdigest()[:12],
        severity={name: one["points"] for name, one in told["severity"].items()},
        repeat_percent=told["repeat"]["percent"],
        repeat_within_days=told["repeat"]["within_days"],
        first_time_points=told["first_time"]["points"],
        first_time_days=told["first_time"]["days"],
        sample_size=told["sample"]["size"],
        sample_control_percent=told["sample"]["control_percent"],
    )


def weigh(
    findings: Iterable[OpenFinding], *, joined_on: date, visited_on: date, weights: Weights
) -> tuple[Part, ...]:
    """Return the parts of a visit's score, most points first."""
    parts = [_part(finding, weights) for finding in findings]
    if (visited_on - joined_on).days <= weights.first_time_days:
        parts.append(Part("first-time staff", weights.first_time_points))
    return tuple(sorted(parts, key=lambda part: (-part.points, part.because)))


def _part(finding: OpenFinding, weights: Weights) -> Part:
    percent = weights.repeat_percent if finding.repeats else 100
    points = round(weights.severity[finding.severity] * finding.confidence * percent / 100)
    repeated = ", repeated" if finding.repeats else ""
    return Part(f"{finding.severity}: {finding.check}{repeated}", points)


def score(parts: Iterable[Part]) -> int:
    """Return the sum."""
    return sum(part.points for part in parts)
