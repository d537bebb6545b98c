"""How does the demonstration's network break?

A transport around a real one: it loses requests and answers by a seeded dice, and cuts chosen uploads in
the middle of their bytes, so that the server really sees bodies that end too early.
"""

import random
from collections import Counter
from collections.abc import Iterator

import httpx

CUT_AFTER_BYTES = 60_000


class BreakingNetwork(httpx.BaseTransport):
    """Real HTTP that fails. `happened` counts what it did."""

    def __init__(self, *, seed: int, lose: float, lose_answer: float, cuts: int) -> None:
        self.happened: Counter[str] = Counter()
        self._wire = httpx.HTTPTransport(retries=0)
        self._dice = random.Random(seed)
        self._lose, self._lose_answer, self._cuts = lose, lose_answer, cuts
        self._owes_lost_push = True

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, or fail as a bad network does."""
        if request.method == "PATCH" and self._cuts > 0:
            return self._cut(request)
        if self._dice.random() < self._lose:
            self.happened["requests lost"] += 1
            raise httpx.ConnectError("no network", request=request)
        answer = self._wire.handle_request(request)
        if self._loses_answer(request):
            answer.close()
            self.happened["answers lost"] += 1
            raise httpx.ReadError("the answer was lost", request=request)
        return answer

    def _loses_answer(self, request: httpx.Request) -> bool:
        """The first push always loses its answer: the retry must get the same receipts."""
        if request.url.path.endswith("/sync/push") and self._owes_lost_push:
            self._owes_lost_push = False
            return True
        return self._dice.random() < self._lose_answer

    def _cut(self, request: httpx.Request) -> httpx.Response:
        """Send a part of the body, then break the connection."""
        content = request.read()
        self._cuts -= 1
        self.happened["uploads cut"] += 1

        def some() -> Iterator[bytes]:
            yield content[: min(CUT_AFTER_BYTES, len(content) // 2)]
            raise httpx.WriteError("the connection broke")

        headers = [(key, value) for key, value in request.headers.raw if key.lower() != b"content-length"]
        broken = httpx.Request(
            request.method,
            request.url,
            headers=[*headers, (b"Content-Length", str(len(content)).encode())],
            content=some(),
            extensions=request.extensions,
        )
        return self._wire.handle_request(broken)

    def close(self) -> None:
        """Close the real connections."""
        self._wire.close()
