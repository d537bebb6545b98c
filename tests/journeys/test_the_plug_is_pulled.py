"""The plug is pulled while phones sync: what was acknowledged is there, once, exactly as it was signed.

The real processes of the Procfile, killed with SIGKILL at moments a seed chooses: one web process, all of
web, and everything at once, the database included, as a power cut does. `make crash` plays it large.
"""

from pathlib import Path

import pytest

from tests.crash.story import Plan, tell


@pytest.mark.parametrize("seed", [8])
def test_nothing_acknowledged_is_lost_or_doubled(folder: Path, seed: int) -> None:
    print("seed", seed)
    plan = Plan(phones=10, kills=6, seed=seed, web_processes=1)

    verdict, killed = tell(plan, folder)

    assert verdict.faults == []
    assert set(killed) == {"a web process", "web", "everything"}
    assert verdict.broken_sessions >= plan.kills // 2, "the plug was pulled too seldom to matter"
    assert verdict.promises >= verdict.items > 5 * plan.phones
