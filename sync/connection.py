"""Is that the office answering, and may the phone try again?

Between a phone and the office stand captive portals, proxies and dead air. An answer counts only if it has
the office's form; everything else is a transient fault, after which the same request is simply made again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx

from sync.wire import Reader, WireFault, parse

PROBLEM: Final = "application/problem+json"
# Refusals that pass by themselves: sign in again, wait, or let another upload finish.
PASSING: Final = frozenset({401, 408, 423, 425, 429})

T = TypeVar("T")


class SyncFault(Exception):
    """Syncing cannot go on now. `is_transient`: try again later; otherwise a person is needed."""

    def __init__(self, message: str, *, is_transient: bool, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.is_transient = is_transient
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Connection:
    """Requests to the office that end in an answer or a SyncFault, never in anything else."""

    http: httpx.Client

    def send(self, method: str, url: str, **request: Any) -> httpx.Response:
        """Send a request and return whatever answered."""
        if isinstance(request.get("content"), bytes) and method == "POST":
            request["headers"] = {"Content-Type": "application/json", **request.get("headers", {})}
        try:
            return self.http.request(method, url, **request)
        except httpx.HTTPError as error:
            raise SyncFault(f"no connection: {type(error).__name__}", is_transient=True) from error

    def expect(self, answer: httpx.Response, status: int, read: Callable[[Reader], T]) -> T:
        """Read the JSON object of an answer with this status; a captive portal's page is no answer."""
        if answer.status_code != status:
            raise fault_of(answer)
        try:
            return read(Reader(parse(answer.content)))
        except WireFault as fault:
            raise SyncFault(f"the answer is not from the office: {fault}", is_transient=True) from fault

    @staticmethod
    def is_ours(answer: httpx.Response) -> bool:
        """Whether a refusal is the office's own; HEAD has no body, so its type is all there is."""
        return answer.headers.get("Content-Type", "").partition(";")[0].strip() == PROBLEM


def fault_of(answer: httpx.Response) -> SyncFault:
    """Say what an unexpected answer means for the phone."""
    is_final = 400 <= answer.status_code < 500 and answer.status_code not in PASSING
    asked = answer.headers.get("Retry-After", "")
    return SyncFault(
        f"answered {answer.status_code}: {answer.text[:300]}",
        is_transient=not (is_final and Connection.is_ours(answer)),
        retry_after=int(asked) if asked.isascii() and asked.isdigit() else None,
    )
