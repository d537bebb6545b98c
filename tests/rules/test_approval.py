"""What an approval covers when the visit is judged again: what was said then, and nothing beyond it."""

from typing import Any

import pytest

from server.rules.approval import covers
from server.rules.verdict import Reason, Severity, a_reason


def reason(rule: str, slug: str, severity: Severity = "approval", **facts: Any) -> Reason:
    return a_reason(rule, slug, severity, **facts)


THREE = reason("A10", "team-size", size=3, maximum=2)
SMALL = reason("B18", "small-balance", outstanding_fen=40_000)
NEIGHBOUR = reason("A4", "sensitive-third-party", contacts=["a", "b"])


@pytest.mark.parametrize(
    ("approved", "needed", "is_covered"),
    [
        pytest.param([THREE], [THREE], True, id="the same again"),
        pytest.param([reason("A10", "team-size", size=4)], [THREE], True, id="a smaller team"),
        pytest.param([THREE], [reason("A10", "team-size", size=4)], False, id="a larger team"),
        pytest.param([SMALL], [reason("B18", "small-balance", outstanding_fen=1)], True, id="less owed"),
        pytest.param(
            [NEIGHBOUR], [reason("A4", "sensitive-third-party", contacts=["b"])], True, id="one is left"
        ),
        pytest.param(
            [NEIGHBOUR], [reason("A4", "sensitive-third-party", contacts=["b", "c"])], False, id="another one"
        ),
        pytest.param([THREE, SMALL], [SMALL, THREE], True, id="both"),
        pytest.param([THREE], [THREE, SMALL], False, id="one of two"),
        pytest.param(
            [reason("X4", "alone", "warn", size=3)], [THREE], False, id="a warning approves nothing"
        ),
        pytest.param([], [], True, id="nothing needed"),
    ],
)
def test_an_approval_covers_what_was_approved(
    approved: list[Reason], needed: list[Reason], is_covered: bool
) -> None:
    assert covers([one.to_json() for one in approved], needed) is is_covered
