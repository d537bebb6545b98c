"""Who is killed when: one web process of several, all of web, or everything at once with the database."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from server.demo.processes import Processes

PATIENCE_SECONDS: Final = 300
EVERYTHING: Final = ("web", "worker", "db")


def pull(
    product: Processes,
    dice: random.Random,
    *,
    kills: int,
    calm_seconds: float,
    say: Callable[[str], None] = lambda _: None,
) -> Counter[str]:
    """Kill so many times, each time a moment after the product was up again; return who was killed."""
    killed: Counter[str] = Counter()
    for n in range(kills):
        time.sleep(dice.uniform(0.02, 2 * calm_seconds))
        what = "everything" if n % 10 == 5 else dice.choice(("a web process", "a web process", "web"))
        _KILL[what](product, dice)
        product.wait_until_ready(timeout_seconds=PATIENCE_SECONDS)
        killed[what] += 1
        say(f"{n + 1} of {kills} kills: {dict(killed)}")
    return killed


def _a_web_process(product: Processes, dice: random.Random) -> None:
    """One of those that serve; its master starts another."""
    children = _children_of(product.pid("web"))
    if children:
        with suppress(ProcessLookupError):  # one that was killed before, and is only now waited for
            os.kill(dice.choice(children), signal.SIGKILL)


def _all_of_web(product: Processes, dice: random.Random) -> None:
    product.kill("web")
    product.start("web")


def _everything(product: Processes, dice: random.Random) -> None:
    """As a power cut does, in no particular order."""
    for name in dice.sample(EVERYTHING, len(EVERYTHING)):
        product.kill(name)
    product.start_all()


_KILL: Final = {"a web process": _a_web_process, "web": _all_of_web, "everything": _everything}


def _children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(one) for one in listed.read_text().split()] if listed.exists() else []
