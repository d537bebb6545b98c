"""Does what a supervisor approved also cover what needs approval now?

A supervisor approves what the reasons of that judgement said, not a rule for ever: three people were never
eight (A10), and one sensitive neighbour is not another (A4).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from server.rules.verdict import Reason


def covers(approved: Collection[Mapping[str, Any]], needed: Iterable[Reason]) -> bool:
    """Whether each of these reasons was approved. `approved`: the reasons of that verdict, in wire form."""
    return all(any(_covers(one, reason) for one in approved) for reason in needed)


def _covers(one: Mapping[str, Any], reason: Reason) -> bool:
    if (one["rule"], one["slug"], one["severity"]) != (reason.rule, reason.slug, "approval"):
        return False
    was, now = one["facts"], reason.facts
    return now.get("size", 0) <= was.get("size", 0) and set(now.get("contacts", ())) <= set(
        was.get("contacts", ())
    )
