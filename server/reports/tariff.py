"""What would the house rules charge, and how far does the law let them? (E1-E8, AMB8, AMB9)

Read once from `tariff.toml`. A closed month keeps the tariff it was closed with, so that a later edition
changes nothing that was proposed.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Tariff:
    """Every amount (fen), tolerance and limit."""

    tolerated: int
    excess_fen: int
    inconsistent_fen: int
    inconsistent_rules: frozenset[str]
    inconsistent_severities: frozenset[str]
    complaint_fen: int
    balance_rules: frozenset[str]
    balance_per_thousand: int
    fraud_least_fen: int
    fraud_most_fen: int
    repeat_months: int
    limit_percent: int
    reply_days: int


def read_tariff(text: str) -> Tariff:
    """Read a tariff; KeyError names what is missing, ValueError what cannot be."""
    raw: dict[str, Any] = tomllib.loads(text)
    tariff = Tariff(
        tolerated=raw["E2"]["tolerated"],
        excess_fen=raw["E2"]["each_fen"],
        inconsistent_fen=raw["E3"]["each_fen"],
        inconsistent_rules=frozenset(raw["E3"]["rules"]),
        inconsistent_severities=frozenset(raw["E3"]["severities"]),
        complaint_fen=raw["E4"]["each_fen"],
        balance_rules=frozenset(raw["E5"]["rules"]),
        balance_per_thousand=raw["E5"]["most_per_thousand"],
        fraud_least_fen=raw["E6"]["least_fen"],
        fraud_most_fen=raw["E6"]["most_fen"],
        repeat_months=raw["E8"]["months_back"],
        limit_percent=raw["limit"]["most_percent_of_wage"],
        reply_days=raw["reply"]["calendar_days"],
    )
    if not 0 < tariff.fraud_least_fen <= tariff.fraud_most_fen:
        raise ValueError("E6: the range begins above its end")
    if not 0 <= tariff.limit_percent <= 20:
        raise ValueError("limit: the law allows at most 20 percent of the wage")
    return tariff


@cache
def tariff() -> Tariff:
    """Return the shipped tariff."""
    return read_tariff(Path(__file__).with_name("tariff.toml").read_text("utf-8"))
