"""Two S3 implementations served on this machine, as fixtures for whoever needs an object store."""

import secrets
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "media"


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`rclone serve s3` on a free port, with random keys: checks signatures, ignores If-None-Match."""
    folder = tmp_path_factory.mktemp("rclone")
    (folder / BUCKET).mkdir()
    access_key, secret_key = secrets.token_hex(8), secrets.token_hex(16)
    port = _free_port()
    command = [_rclone(), "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{access_key},{secret_key}", "--vfs-cache-mode", "writes", "--config", ""]
    command += ["--cache-dir", str(tmp_path_factory.mktemp("rclone-cache"))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _wait_for_port(port)
        yield {"endpoint": f"http://127.0.0.1:{port}", "access_key": access_key, "secret_key": secret_key}
        process.terminate()


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[dict[str, str]]:
    """moto's server: conditional writes as AWS does them; accepts any key."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)
    yield {"endpoint": endpoint, "access_key": "any", "secret_key": "any"}
    server.stop()


def _rclone() -> str:
    return str(Path(sysconfig.get_path("scripts")) / "rclone")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for_port(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit("rclone serve s3 did not start")
