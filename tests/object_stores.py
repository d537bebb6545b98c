"""Two S3 implementations served on this machine, as fixtures for whoever needs an object store."""

import re
import secrets
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "media"
PATIENCE_SECONDS = 60


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`rclone serve s3` where it finds a port, with random keys: checks signatures, ignores If-None-Match."""
    folder = tmp_path_factory.mktemp("rclone")
    (folder / BUCKET).mkdir()
    access_key, secret_key = secrets.token_hex(8), secrets.token_hex(16)
    command = [_rclone(), "serve", "s3", str(folder), "--addr", "127.0.0.1:0"]
    command += ["--auth-key", f"{access_key},{secret_key}", "--vfs-cache-mode", "writes", "--config", ""]
    command += ["--cache-dir", str(tmp_path_factory.mktemp("rclone-cache"))]
    words = tmp_path_factory.mktemp("rclone-words") / "said"
    with words.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            endpoint = _endpoint(process, words)
            yield {"endpoint": endpoint, "access_key": access_key, "secret_key": secret_key}
        finally:
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


def _endpoint(process: "subprocess.Popen[bytes]", words: Path) -> str:
    """Wait until it says where it listens: a port that we had found free might be somebody's by then."""
    until = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < until:
        if found := re.search(r"Starting s3 server on \[(http://[^/]+)/\]", words.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"rclone serve s3 did not start:\n{words.read_text()}")
