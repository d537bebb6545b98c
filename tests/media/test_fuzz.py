"""Damaged files of every format are answered, whatever they do to a decoder."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from server.media.children import child_environment
from tests.media.fuzzing import SOURCES, mutated

SEED = 20261126
CHECKOUT = Path(__file__).parents[2]


def test_every_damaged_file_is_an_inspection_and_nothing_else(tmp_path: Path) -> None:
    runs = 4 * len(SOURCES)
    command = [sys.executable, "-m", "tests.media.fuzzing", f"--runs={runs}", f"--seed={SEED}"]

    done = subprocess.run(
        [*command, f"--keep={tmp_path}"],
        cwd=CHECKOUT, env=child_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{runs} files")


@pytest.mark.parametrize("seed", range(20))
def test_the_same_seed_damages_a_file_in_the_same_way(seed: int) -> None:
    whole = random.Random(seed).randbytes(1000)

    once, again = (mutated(whole, random.Random(seed)) for _ in range(2))

    assert once == again
    assert once != whole
    assert once[:12] == whole[:12]
