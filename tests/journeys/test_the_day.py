"""The whole story, on other parts: the same Procfile on an external PostgreSQL and an S3-compatible server.

What `make demo` tells on the embedded parts is told here, and told again on the same data; every step of the
story is a check, so a status of 0 means that all of it came out. Other implementations of S3 are held to the
store's contract (`tests/media/test_store.py`) and to whole uploads (`tests/api/test_files_s3.py`).
"""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import boto3
import httpx
import pytest

from server.demo import story
from server.demo.agency import CASES
from server.demo.processes import Processes
from server.embedded import EmbeddedPostgres
from tests.journeys.leaks import leaks, provoked, texts_of
from tests.object_stores import BUCKET, rclone_s3
from tests.ports import reserved_port

__all__ = ["rclone_s3"]
CHECKOUT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


@pytest.fixture
def external_postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL that is none of the product's business to start or stop."""
    with EmbeddedPostgres(folder / "external", log=folder / "external.log") as cluster:
        yield cluster.url()


def test_the_day_comes_out_as_told_on_external_parts(
    external_postgres: str, rclone_s3: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, var, prefix = rclone_s3, folder / "var", "journey"
    monkeypatch.setenv("FIELDVISIT_VAR", str(var))
    environ = {
        **os.environ,
        "FIELDVISIT_VAR": str(var),
        "DATABASE_URL": external_postgres,
        "MEDIA_STORE": f"s3://{BUCKET}/{prefix}",
        "S3_ENDPOINT_URL": keys["endpoint"],
        "AWS_ACCESS_KEY_ID": keys["access_key"],
        "AWS_SECRET_ACCESS_KEY": keys["secret_key"],
        "WEB_CONCURRENCY": "1",
        **story.environment(datetime.now(UTC)),
    }
    told: list[str] = []

    with reserved_port() as port:
        with Processes(
            checkout=CHECKOUT, environ=environ, logs=var / "log", port=port, say=told.append
        ) as product:
            product.start_all()
            assert any("migrating" in line for line in told)
            assert _asked(product, "/readyz").status_code == 200
            assert story.run(product.base_url, environ=environ, say=told.append) == 0, "\n".join(told)
            assert story.run(product.base_url, environ=environ, say=told.append) == 0, "\n".join(told)
            assert "fieldvisit_requests_total" in _asked(product, "/metrics").text
            answered = provoked(product.base_url, var=var)
            logs = texts_of([*(var / "log").iterdir(), folder / "external.log"])
            assert logs.count("\n") > 100
            assert leaks(f"{logs}\n{answered}", url=external_postgres, var=var) == []
            assert leaks(f"{logs} {CASES[0].debtor}", url=external_postgres, var=var) == ["debtors.name"]

        with pytest.raises(httpx.ConnectError):
            _asked(product, "/readyz")
    assert not (var / "postgres").exists() and not (var / "media").exists()
    stored = _objects(keys, prefix)
    assert sum("/evidence/" in name for name in stored) >= 20
    assert sum("/thumbnails/" in name for name in stored) >= 14


def _asked(product: Processes, path: str) -> httpx.Response:
    return httpx.get(product.base_url + path, trust_env=False, timeout=PATIENCE_SECONDS)


def _objects(keys: Mapping[str, str], prefix: str) -> list[str]:
    client = boto3.client(
        "s3",
        endpoint_url=keys["endpoint"],
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
        region_name="us-east-1",
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [one["Key"] for page in pages for one in page.get("Contents", [])]
