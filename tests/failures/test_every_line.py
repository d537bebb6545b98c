"""No line of "Failures to survive" is without a test, and no test named for one is gone."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.failures.lines import LINES

ROOT = Path(__file__).parents[2]
NAMED = [(line, test) for line, tests in LINES.items() for test in tests]


@cache
def defined_in(path: str) -> frozenset[str]:
    """The test functions a file defines."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("line", "test"), NAMED, ids=[f"{line}-{n}" for n, (line, _) in enumerate(NAMED)])
def test_a_line_is_kept_by_a_test_that_exists(line: str, test: str) -> None:
    path, _, name = test.partition("::")

    assert name in defined_in(path), f"{line!r} was kept by {test}, which is gone"


def test_every_failure_test_of_this_folder_is_named_for_a_line() -> None:
    here = {
        f"tests/failures/{path.name}::{name}"
        for path in Path(__file__).parent.glob("test_*.py")
        if path != Path(__file__)
        for name in defined_in(f"tests/failures/{path.name}")
        if name.startswith("test_")
    }

    assert here <= {test for _, test in NAMED}
