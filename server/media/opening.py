"""Which store does a setting name? The app factory calls this once; everybody else receives a MediaStore."""

from pathlib import Path
from urllib.parse import urlsplit

from server.media import s3
from server.media.disk import DiskStore
from server.media.store import MediaStore


def open_store(
    url: str,
    *,
    endpoint: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    region: str = "us-east-1",
) -> MediaStore:
    """Open "s3://bucket/prefix", or a folder given as a path or "file:///path". Else ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc:
        prefix = parts.path.strip("/")
        return s3.connect(
            bucket=parts.netloc,
            prefix=f"{prefix}/" if prefix else "",
            endpoint=endpoint,
            access_key=access_key,
            secret_key=secret_key,
            region=region,
        )
    if parts.scheme in ("", "file") and parts.path:
        return DiskStore(Path(parts.path))
    raise ValueError(f"not a media store: {url!r}; give a folder or s3://bucket/prefix")
