"""The whole story: phones go to work, the plug is pulled, and then it is asked what is left."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.database import db
from tests.crash import field, plug, stage
from tests.crash.verdict import Verdict, judge

PATIENCE_SECONDS: Final = 900


@dataclass(frozen=True, slots=True)
class Plan:
    """How large the run is."""

    phones: int
    kills: int
    seed: int
    files: int = 2
    web_processes: int = 2
    pause_seconds: float = 1.0
    calm_seconds: float = 0.4


def tell(
    plan: Plan, folder: Path, *, say: Callable[[str], None] = lambda _: None
) -> tuple[Verdict, Counter[str]]:
    """Play it in a folder that the database's account may enter."""
    dice, is_over = random.Random(plan.seed), threading.Event()
    with stage.running(folder / "var", web_processes=plan.web_processes) as office:
        app = office.app()
        with app.app_context():
            fields = [
                field.a_field(folder / f"phone-{n}", plan.seed + n, files=plan.files)
                for n in range(plan.phones)
            ]
            db.session.remove()
            db.engine.dispose()
        say(f"{plan.phones} phones go to work; {plan.kills} kills follow, seed {plan.seed}")
        threads = field.all_at_work(
            fields, office.product.base_url, is_over, pause_seconds=plan.pause_seconds
        )
        try:
            killed = plug.pull(
                office.product, dice, kills=plan.kills, calm_seconds=plan.calm_seconds, say=say
            )
        finally:
            is_over.set()
        say("the plug is left alone; the phones finish")
        deadline = time.monotonic() + PATIENCE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        assert not any(thread.is_alive() for thread in threads), "a phone never finished"
        return judge(office.app(), fields), killed
