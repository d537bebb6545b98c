"""Is that the office answering, and may the phone try again?

Between a phone and the office stand captive portals, proxies and dead air. An answer counts only if it has
the office's form; everything else is a transient fault, after which the same request is simply made again.
Answers are read piece by piece up to a bound, so that nobody on the way can fill the phone's memory.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

import httpx

from sync.cancelling import CancelToken
from sync.patience import retry_after
from sync.wire import Reader, WireFault, parse

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
# Refusals that pass by themselves: sign in again, wait, or let another upload finish.
PASSING: Final = frozenset({401, 408, 423, 425, 429})
MOST_ANSWER_BYTES: Final = 32 * 1024**2
LONGEST_ANSWER_SECONDS: Final = 300

T = TypeVar("T")


class Reason(StrEnum):
    """Why syncing cannot go on, for an app to say in its own words."""

    OFFLINE = "offline"
    NOT_THE_OFFICE = "not-the-office"  # a captive portal, a proxy, another product
    BUSY = "busy"
    SIGN_IN = "sign-in"
    REFUSED = "refused"
    NO_ROOM = "no-room"  # of a loop's pause alone: a session ends with PhoneFull


class SyncFault(Exception):
    """Syncing cannot go on now. `is_transient`: try again later; otherwise a person is needed."""

    def __init__(
        self,
        message: str,
        *,
        is_transient: bool,
        retry_after: int | None = None,
        reason: Reason = Reason.NOT_THE_OFFICE,
    ) -> None:
        super().__init__(message)
        self.is_transient = is_transient
        self.retry_after = retry_after
        self.reason = reason

    @property
    def may_be_content(self) -> bool:
        """Whether somebody on the way may mind what was sent: nobody asked to sign in."""
        return self.is_transient and self.reason is not Reason.SIGN_IN


class AnswerTooLong(SyncFault):
    """The answer has more bytes than a phone takes in one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    url: httpx.URL

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def is_problem(self) -> bool:
        """Whether a refusal is the office's own; HEAD has no body, so its type is all there is."""
        return self.media_type == PROBLEM


@dataclass(frozen=True, slots=True)
class Connection:
    """Requests to the office that end in an answer, a SyncFault or Cancelled, never in anything else."""

    http: httpx.Client
    token: str | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    most_bytes: int = MOST_ANSWER_BYTES

    def send(
        self,
        method: str,
        url: str | httpx.URL,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Send a request and return whatever answered. Redirects are not followed: the office has none."""
        self.cancel.check()
        sent = dict(headers or {})
        if content is not None and method == "POST":
            sent = {"Content-Type": JSON, **sent}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        try:
            request = self.http.build_request(method, url, params=params, headers=sent, content=content)
            answer = self.http.send(request, stream=True, follow_redirects=False)
            try:
                return Answer(answer.status_code, answer.headers, self._read(answer), answer.url)
            finally:
                answer.close()
        except (httpx.HTTPError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not self.http.is_closed:
                raise
            self.cancel.check()  # closing the client is how an app cuts a request short
            raise SyncFault(
                f"no connection: {type(error).__name__}", is_transient=True, reason=Reason.OFFLINE
            ) from error

    def _read(self, answer: httpx.Response) -> bytes:
        parts, size, began = [], 0, time.monotonic()
        for part in answer.iter_bytes():
            self.cancel.check()
            size += len(part)
            if size > self.most_bytes:
                raise AnswerTooLong("the answer is too long for a phone", is_transient=True)
            if time.monotonic() - began > LONGEST_ANSWER_SECONDS:
                raise SyncFault("the answer trickles", is_transient=True, reason=Reason.OFFLINE)
            parts.append(part)
        return b"".join(parts)

    def expect(self, answer: Answer, status: int, read: Callable[[Reader], T]) -> T:
        """Read the JSON object of an answer with this status; a captive portal's page is no answer."""
        if answer.status_code != status:
            raise fault_of(answer)
        try:
            if answer.media_type != JSON:
                raise WireFault("", f"it says that it is {answer.media_type[:80] or 'nothing'}")
            return read(Reader(parse(answer.content)))
        except WireFault as fault:
            raise SyncFault(f"the answer is not from the office: {fault}", is_transient=True) from fault

    def place_of(self, answer: Answer) -> httpx.URL:
        """Return the `Location` an answer names, on the office's own origin whatever a proxy made of it.

        Raises SyncFault for another host: the token goes nowhere else.
        """
        office = self.http.base_url
        try:
            place = answer.url.join(answer.headers.get("Location", ""))
        except (httpx.InvalidURL, ValueError):
            place = answer.url
        if place.host != office.host or place.raw_path == answer.url.raw_path:
            raise SyncFault("the answer is not from the office: no Location", is_transient=True)
        return office.copy_with(raw_path=place.raw_path)


def fault_of(answer: Answer) -> SyncFault:
    """Say what an unexpected answer means for the phone."""
    is_final = 400 <= answer.status_code < 500 and answer.status_code not in PASSING
    is_ours = answer.is_problem
    text = answer.content[:300].decode("utf-8", "replace")
    return SyncFault(
        f"answered {answer.status_code}: {text}",
        is_transient=not (is_final and is_ours),
        retry_after=retry_after(answer.headers, is_office=is_ours),
        reason=_reason(answer.status_code, is_ours=is_ours, is_final=is_final),
    )


def _reason(status: int, *, is_ours: bool, is_final: bool) -> Reason:
    if is_ours and status == 401:
        return Reason.SIGN_IN
    if is_ours and is_final:
        return Reason.REFUSED
    if status == 503 or status == 429 or (is_ours and (status >= 500 or status in PASSING)):
        return Reason.BUSY
    return Reason.NOT_THE_OFFICE
