"""How many bytes does a phone send twice when its connection is cut at a random place?

It sends at the pace of a phone, is cut without a word (a reset) or with one (an end), asks with HEAD at once
or a second later, and sends the rest; the file that is there in the end must be the one it sent.
"""

import random
import socket
import struct
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

from bench.upload.rates import Measured
from bench.upload.sending import Content, connect, create, identity
from bench.upload.servers import MB, Sent, Server

FILE_BYTES = 12 * MB
PACE_BYTES = 3 * MB
_PIECE = 32 * 1024
_AT_ONCE = 8
_PATIENCE_SECONDS = 0.1


def cuts(servers: Sequence[Server], *, each: int, seed: int) -> Measured:
    """Cut uploads at random places; bytes sent again after each, in the middle and at worst."""
    found: Measured = {}
    for server in servers:
        for wait in (0.0, 1.0):
            chance = random.Random(seed)
            places = [chance.randrange(1, FILE_BYTES) for _ in range(each)]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                lost = list(
                    pool.map(
                        lambda numbered, to=server, pause=wait: _cut(
                            to, numbered[1], is_reset=numbered[0] % 2 == 0, wait_seconds=pause
                        ),
                        enumerate(places),
                    )
                )
            asks = "at once" if wait == 0 else "a second later"
            lost.sort()
            found[f"{server.name}, asked {asks}"] = {
                "cuts": each,
                "median_kib": round(lost[each // 2] / 1024, 1),
                "worst_kib": round(lost[-1] / 1024, 1),
            }
    return found


def _cut(server: Server, place: int, *, is_reset: bool, wait_seconds: float) -> int:
    """Send up to `place`, cut, ask, send the rest; return how many bytes had to be sent again."""
    content = Content.make(FILE_BYTES)
    with closing(connect(server)) as connection:
        where = create(server, connection, content)
    whole = b"".join(content.pieces())
    gone = _send_and_cut(server, where, whole, place, is_reset=is_reset)
    time.sleep(wait_seconds)
    offset = _finish(server, where, whole)
    path = server.keeps(server.folder, Sent(where, content.sha256, 0.0))
    if not path.is_file() or path.read_bytes() != whole:
        raise SystemExit(f"{server.name} does not have what was sent after a cut")
    return gone - offset


def _send_and_cut(server: Server, where: str, whole: bytes, place: int, *, is_reset: bool) -> int:
    """Return how many bytes the network had taken when it broke."""
    raw = socket.create_connection(("127.0.0.1", server.port))
    lines = [f"PATCH {where} HTTP/1.1", "Host: office", "Upload-Offset: 0", f"Content-Length: {len(whole)}"]
    lines += ["Content-Type: application/offset+octet-stream"]
    lines += [f"{name}: {value}" for name, value in identity(server).items()]
    raw.sendall("\r\n".join([*lines, "", ""]).encode())
    started, sent = time.perf_counter(), 0
    while sent < place:
        piece = whole[sent : min(sent + _PIECE, place)]
        raw.sendall(piece)
        sent += len(piece)
        time.sleep(max(0.0, started + sent / PACE_BYTES - time.perf_counter()))
    if is_reset:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
    return sent


def _finish(server: Server, where: str, whole: bytes) -> int:
    """Ask until the server answers, send the rest until it is taken; return the offset it told first."""
    first: int | None = None
    for _ in range(50):
        with closing(connect(server)) as connection, suppress(OSError):
            connection.request("HEAD", where, headers=identity(server))
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (200, 204):
                time.sleep(_PATIENCE_SECONDS)
                continue
            offset = int(answer.headers["Upload-Offset"])
            first = offset if first is None else first
            headers = {**identity(server), "Upload-Offset": str(offset)}
            headers["Content-Type"] = "application/offset+octet-stream"
            connection.request("PATCH", where, body=whole[offset:], headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 204 and int(answer.headers["Upload-Offset"]) == len(whole):
                return first
        time.sleep(_PATIENCE_SECONDS)
    raise SystemExit(f"{server.name} does not let an upload be resumed")
