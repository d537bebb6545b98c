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
    """Listens on `port`; each new connection uses up the next fault, and is left alone when none is left."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.faults: deque[Fault] = deque()
        self.broken = 0
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                fault = self.faults.popleft() if self.faults else None
                threading.Thread(target=self._serve, args=(client, fault), daemon=True).start()

    def _serve(self, client: socket.socket, fault: Fault | None) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self._upstream) as server:
            ending = self._pass_on(client, server, fault)
            if ending is None:
                self._keep_for_the_next(fault)
            else:
                self.broken += 1
                _end(server, ending)
                _end(client, "rst")
        client.close()

    def _keep_for_the_next(self, fault: Fault | None) -> None:
        """A connection that was too short for its fault leaves it to the next one."""
        if fault is not None:
            self.faults.appendleft(fault)

    def _pass_on(self, client: socket.socket, server: socket.socket, fault: Fault | None) -> Ending | None:
        """Carry bytes both ways until a side ends (None) or the fault is due (how to break)."""
        left = None if fault is None or isinstance(fault, LoseAnswer) else fault.after
        while True:
            readable, _, _ = select.select([client, server], [], [])
            if server in readable:
                piece = server.recv(65536)
                if piece and isinstance(fault, LoseAnswer):
                    return "fin"
                if not piece:
                    return None
                client.sendall(piece)
            if client in readable:
                piece = client.recv(65536 if left is None else min(65536, left))
                if not piece:
                    return None
                server.sendall(piece)
                left = None if left is None else left - len(piece)
                if left == 0 and isinstance(fault, Stall):
                    select.select([server], [], [], fault.seconds)
                    return "rst"
                if left == 0 and isinstance(fault, CutRequest):
                    return fault.ending


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
