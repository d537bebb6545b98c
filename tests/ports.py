"""A port that stays ours until the server that a test starts listens there.

Whoever only asks the kernel for a free port and lets go of it may see it given to another server meanwhile,
for instance one of the run's other worker. A socket that is bound and never listens keeps it, also while
the server is down; one that sets SO_REUSEADDR, as ours do, may listen there all the same.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """Lend a port of 127.0.0.1 on which nobody listens who was not told of it."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]
