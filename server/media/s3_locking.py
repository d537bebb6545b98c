"""How does S3 keep evidence from being removed, even by whoever holds our keys?

A bucket with Object Lock takes a date with every final object until which no version of it can be deleted.
Such a bucket is versioned: a plain delete only hides an object, so things are removed version by version.
Turn Object Lock on without a default retention: segments of uploads must stay removable.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from server.media.store import ObjectLocked, Retention

_UNVERSIONED: Final = "null"
_REFUSED: Final = frozenset(("AccessDenied", "ObjectLocked", "InvalidRequest"))
"""What stores answer when an object's lock forbids its removal."""
_KNOWS_NONE: Final = frozenset(("NotImplemented", "MethodNotAllowed", "501"))
_SLACK: Final = timedelta(days=1)


@dataclass(slots=True)
class Locking:
    """Object Lock of one bucket. Whether it has it is asked once."""

    client: Any
    bucket: str
    retention: Retention
    _enabled: bool | None = None

    @property
    def is_on(self) -> bool:
        """Whether final objects are put with a date."""
        return bool(self.retention.days) and self.is_versioned

    @property
    def is_versioned(self) -> bool:
        """Whether the bucket has Object Lock, and so keeps what a plain delete hides."""
        if self._enabled is None:
            self._enabled = self._ask()
        return self._enabled

    def on_put(self) -> dict[str, Any]:
        """Return what a final object is put with, and a multipart upload of one begun with."""
        if not self.is_on:
            return {}
        until = self.retention.until(datetime.now(UTC))
        return {"ObjectLockMode": self.retention.mode, "ObjectLockRetainUntilDate": until}

    def on_body(self, content: bytes) -> dict[str, str]:
        """Return the checksum without which S3 refuses bytes that are to be locked."""
        if not self.is_on:
            return {}
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        return {"ContentMD5": base64.b64encode(digest).decode()}

    def ensure(self, target: dict[str, str]) -> None:
        """See to it that an object is locked as long as one stored today: it may have lain there before."""
        if not self.is_on:
            return
        until = self.retention.until(datetime.now(UTC))
        locked = self.client.head_object(**target).get("ObjectLockRetainUntilDate")
        if locked is None or locked < until - _SLACK:
            held = {"Mode": self.retention.mode, "RetainUntilDate": until}
            self.client.put_object_retention(**target, Retention=held)

    def remove(self, prefix: str) -> None:
        """Remove every version of everything under a prefix. Raises ObjectLocked at one that is locked."""
        for name, version in self._versions(prefix):
            self._remove_version(name, version)

    def remove_one(self, name: str) -> None:
        """Remove every version of one object, also where a bucket has versions but no locks."""
        versions = [version for one, version in self._versions(name) if one == name]
        for version in versions:
            self._remove_version(name, version)
        if not versions and not self.is_versioned:
            self.client.delete_object(Bucket=self.bucket, Key=name)

    def _remove_version(self, name: str, version: str) -> None:
        named = {} if version == _UNVERSIONED else {"VersionId": version}
        try:
            self.client.delete_object(Bucket=self.bucket, Key=name, **named)
        except ClientError as fault:
            if _code(fault) not in _REFUSED:
                raise
            raise ObjectLocked(name, until=self._locked_until(name, version)) from fault

    def _versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield names and versions, markers too; nothing where a store knows no versions."""
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
        try:
            for page in pages:
                for one in (*page.get("DeleteMarkers", ()), *page.get("Versions", ())):
                    yield one["Key"], one.get("VersionId", _UNVERSIONED)
        except ClientError as fault:
            if _code(fault) not in _KNOWS_NONE:
                raise

    def _locked_until(self, name: str, version: str) -> datetime | None:
        try:
            told = self.client.head_object(Bucket=self.bucket, Key=name, VersionId=version)
        except ClientError:
            return None
        return told.get("ObjectLockRetainUntilDate")

    def _ask(self) -> bool:
        """Stores that know nothing of it say so in many ways (404, 405, 501); a busy one is asked again."""
        try:
            told = self.client.get_object_lock_configuration(Bucket=self.bucket)
        except ClientError as fault:
            status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if status < 500 or status == 501:
                return False
            raise
        return told.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"


def _code(fault: ClientError) -> str:
    return str(fault.response.get("Error", {}).get("Code", ""))
