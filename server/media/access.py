"""How is an S3 store reached? Read from the environment by `server.config`, used by `opening`."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class S3Access:
    """Where an S3 store answers, and by which key. Without keys boto3's own sources are used."""

    endpoint: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    region: str = "us-east-1"
