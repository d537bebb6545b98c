"""A TCP proxy that breaks connections on purpose, at the byte it is told."""

import contextlib
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Ending = Literal["fin", "rst"]


@dataclass(frozen=True)
class CutRequest:
    """Pass this many bytes towards the server, then break both sides."""

    after: int
    ending: Ending = "fin"


@dataclass(frozen=True)
class Stall:
    """Pass this many bytes towards the server, then none for a while, as in a lift; then reset both sides."""

    after: int
    seconds: float = 0.2


@dataclass(frozen=True)
class LoseAnswer:
    """Let the request through, wait for the first bytes of the answer, and throw them away."""


Fault = CutRequest | LoseAnswer | Stall


class BreakingProxy:
    """Listens on `port`. The next fault is that of the first connection that gets as far as it says.

    A fault is reserved for no connection: which of two that overlap the proxy sees first would be chance.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.faults: deque[Fault] = deque()
        self.broken = 0
        self._upstream = upstream
        self._next = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self._upstream) as server:
            ending = self._pass_on(client, server)
            if ending is not None:
                _end(server, ending)
                _end(client, "rst")
        client.close()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> Ending | None:
        """Carry bytes both ways until a side ends (None) or a fault is due (how to break)."""
        sent = 0
        while True:
            readable, _, _ = select.select([client, server], [], [])
            if server in readable:
                piece = server.recv(65536)
                if piece and self._is_answer_lost():
                    return "fin"
                if not piece:
                    return None
                client.sendall(piece)
            if client in readable:
                piece = client.recv(self._room(sent))
                if not piece:
                    return None
                server.sendall(piece)
                sent += len(piece)
                fault = self._due(sent)
                if isinstance(fault, Stall):
                    select.select([server], [], [], fault.seconds)
                    return "rst"
                if fault is not None:
                    return fault.ending

    def _room(self, sent: int) -> int:
        """How many bytes a connection may send before anything breaks."""
        with self._next:
            fault = self.faults[0] if self.faults else None
        if fault is None or isinstance(fault, LoseAnswer):
            return 65536
        return max(1, min(65536, fault.after - sent))

    def _due(self, sent: int) -> CutRequest | Stall | None:
        """Use up the next fault if it breaks a connection that sent so much."""
        with self._next:
            fault = self.faults[0] if self.faults else None
            if fault is None or isinstance(fault, LoseAnswer) or sent < fault.after:
                return None
            self.faults.popleft()
            self.broken += 1
            return fault

    def _is_answer_lost(self) -> bool:
        """Use up the next fault if it loses an answer."""
        with self._next:
            if not self.faults or not isinstance(self.faults[0], LoseAnswer):
                return False
            self.faults.popleft()
            self.broken += 1
            return True


def _end(connection: socket.socket, ending: Ending) -> None:
    with contextlib.suppress(OSError):
        if ending == "rst":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextlib.contextmanager
def breaking_proxy(upstream: tuple[str, int]) -> Iterator[BreakingProxy]:
    """Run a proxy for one test."""
    proxy = BreakingProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
