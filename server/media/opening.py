"""Which store does a setting name? The app factory calls this once; everybody else receives a MediaStore."""

from pathlib import Path
from urllib.parse import urlsplit

from server.media.disk import DiskStore
from server.media.moving import MovingStore
from server.media.store import MediaStore, Retention


def open_stores(
    url: str,
    *,
    before: str | None = None,
    retention: Retention,
    endpoint: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    region: str = "us-east-1",
) -> MediaStore:
    """Open a store; while evidence moves there from another, the two together. Else ValueError."""

    def opened(one: str) -> MediaStore:
        parts = urlsplit(one)
        if parts.scheme == "s3" and parts.netloc:
            from server.media import s3  # noqa: PLC0415 - boto3 is six megabytes that a folder does without

            prefix = parts.path.strip("/")
            return s3.connect(
                bucket=parts.netloc,
                prefix=f"{prefix}/" if prefix else "",
                endpoint=endpoint,
                access_key=access_key,
                secret_key=secret_key,
                region=region,
                retention=retention,
            )
        if parts.scheme in ("", "file") and parts.path:
            return DiskStore(Path(parts.path))
        raise ValueError(f"not a media store: {one!r}; give a folder or s3://bucket/prefix")

    new = opened(url)
    return new if before is None else MovingStore(new=new, old=opened(before))


def open_store(
    url: str,
    *,
    endpoint: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    region: str = "us-east-1",
) -> MediaStore:
    """Open "s3://bucket/prefix", or a folder given as a path or "file:///path". Else ValueError."""
    access = {"endpoint": endpoint, "access_key": access_key, "secret_key": secret_key}
    return open_stores(url, retention=Retention(), before=None, region=region, **access)
