"""Which store does a setting name? The app factory calls this once; everybody else receives a MediaStore."""

from pathlib import Path
from urllib.parse import urlsplit

from server.media.access import S3Access
from server.media.disk import DiskStore
from server.media.moving import MovingStore
from server.media.store import MediaStore, Retention


def open_stores(
    url: str,
    *,
    access: S3Access,
    retention: Retention,
    before: str | None = None,
    access_before: S3Access | None = None,
) -> MediaStore:
    """Open a store; while evidence moves there from another, the two together. Else ValueError."""
    new = _opened(url, access, retention)
    if before is None:
        return new
    return MovingStore(new=new, old=_opened(before, access_before or access, retention))


def _opened(url: str, access: S3Access, retention: Retention) -> MediaStore:
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc:
        from server.media import s3  # noqa: PLC0415 - boto3 is six megabytes that a folder does without

        prefix = parts.path.strip("/")
        return s3.connect(
            bucket=parts.netloc,
            prefix=f"{prefix}/" if prefix else "",
            endpoint=access.endpoint,
            access_key=access.access_key,
            secret_key=access.secret_key,
            region=access.region,
            retention=retention,
        )
    if parts.scheme in ("", "file") and parts.path:
        return DiskStore(Path(parts.path))
    raise ValueError(f"not a media store: {url!r}; give a folder or s3://bucket/prefix")


def open_store(
    url: str,
    *,
    endpoint: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    region: str = "us-east-1",
) -> MediaStore:
    """Open "s3://bucket/prefix", or a folder given as a path or "file:///path". Else ValueError."""
    return open_stores(url, access=S3Access(endpoint, access_key, secret_key, region), retention=Retention())
