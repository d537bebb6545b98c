"""How does an app stop a session that runs in another thread?

It cancels the token it gave the session. The token is looked at before each request, with every piece of an
answer and between the pieces of a file, so a session ends within one request, never inside a change to the
outbox. What was done stays done and the next session goes on from there.
"""

import threading
from collections.abc import Callable


class Cancelled(Exception):
    """The app wanted the session to end. Nothing is wrong."""


class CancelToken:
    """One thread cancels, another looks. Cannot be taken back; make a new one for the next session."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Ask for the end. May be called from any thread, as often as you like."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for call in callbacks:
            call()

    @property
    def is_cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled if it is time to stop."""
        if self._event.is_set():
            raise Cancelled

    def wait(self, seconds: float) -> None:
        """Wait so long, or until cancelled."""
        self._event.wait(seconds)

    def on_cancel(self, call: Callable[[], None]) -> None:
        """Have something called at the moment of cancelling, or now if that has passed."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(call)
                return
        call()
