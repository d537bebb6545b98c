"""How does an app keep a phone in sync for as long as it runs?

`SyncLoop.run()` in a thread of the app's: session after session, with pauses that grow and jitter after
failures and heed `Retry-After`; `wake()` when a network appears or something was recorded; the token ends it.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sync.cancelling import Cancelled, CancelToken
from sync.connection import Reason, SyncFault
from sync.events import Listener, Paused, ignore
from sync.patience import BackOff
from sync.store import PhoneFull

PERSON_NEEDED = frozenset({Reason.SIGN_IN, Reason.REFUSED})


@dataclass(slots=True)
class SyncLoop:
    """Runs `session` (for instance `lambda: phone.sync(http, cancel=token)`) until `cancel` is cancelled."""

    session: Callable[[], object]
    cancel: CancelToken
    on_event: Listener = ignore
    every: timedelta = timedelta(minutes=5)
    back_off: BackOff = field(default_factory=BackOff)
    jitter: Callable[[], float] = random.random
    _nudge: threading.Event = field(default_factory=threading.Event, init=False)

    def __post_init__(self) -> None:
        self.cancel.on_cancel(self._nudge.set)

    def wake(self) -> None:
        """Sync now, not at the end of the pause. From any thread; several at once are one."""
        self._nudge.set()

    def run(self) -> None:
        """Sync until cancelled. Errors other than SyncFault and PhoneFull are bugs and end the loop."""
        failures = 0
        while not self.cancel.is_cancelled:
            self._nudge.clear()
            if self.cancel.is_cancelled:
                return
            try:
                self.session()
            except Cancelled:
                return
            except SyncFault as fault:
                failures += 1
                self._after(fault, failures)
            except PhoneFull as full:  # what the next sessions send, and the office keeps, makes room
                failures += 1
                self._after(SyncFault(str(full), is_transient=True, reason=Reason.NO_ROOM), failures)
            else:
                failures = 0
                self._until_next()

    def _after(self, fault: SyncFault, failures: int) -> None:
        asked = timedelta(seconds=fault.retry_after or 0)
        if fault.reason in PERSON_NEEDED:
            asked = max(asked, self.back_off.most)
        pause = self.back_off.wait(failures, jitter=self.jitter(), asked=asked)
        self.on_event(Paused(pause.total_seconds(), failures, fault.reason.value, str(fault)))
        self.cancel.wait(fault.retry_after or 0)  # what the office asked for, no wake() cuts short
        self._nudge.wait((pause - timedelta(seconds=fault.retry_after or 0)).total_seconds())

    def _until_next(self) -> None:
        self.on_event(Paused(self.every.total_seconds(), 0, None, ""))
        self._nudge.wait(self.every.total_seconds())
