"""How much of a process's time may Python's search for cyclic garbage take?

Answers to large questions hold hundreds of thousands of small objects that live for seconds and form no
cycles. With Python's own thresholds the collector walks them again and again: a third of the time of judging
100,000 cases (`bench/visitability.py`). Reference counting frees them all the same; only cycles wait longer.
"""

import gc
from typing import Final

YOUNG: Final = 50_000
"""New objects before the youngest are looked at; Python's default is 700."""
ROUNDS: Final = 100
"""Looks at the youngest before those that survived one are looked at again; Python's default is 10."""


def start_uncollected() -> None:
    """Let start-up make its 300,000 objects unwatched, for nearly all stay: a fifth of its time.

    `collect_seldom` ends it.
    """
    gc.disable()


def collect_seldom() -> None:
    """Take what start-up made out of the collector's sight and let it look more seldom at the rest."""
    gc.freeze()
    gc.set_threshold(YOUNG, ROUNDS, 20)
    gc.enable()
