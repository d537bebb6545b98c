"""With which settings does this process run?

Read once from the environment, typed, frozen. In development missing secrets are made once and kept in
`var/secrets.json`; in production a missing secret stops the boot. No setting switches authentication off.
"""

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from server.keysets import FILE, LOOKUP, PII, BadKeysets, KeysetFile, new_keyset, replace_file
from server.media.access import S3Access

MIB = 1024 * 1024
DEFAULT_RULE_PACK = "cn.law+cn.gbt.45251+cn.cba.2026+cn.house"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
SECRETS = ("SIGNING_KEY", "LINK_SECRET", PII, LOOKUP)
KEYSETS = (PII, LOOKUP)
"""Those of the secrets that rotate; they may stand in a file of their own instead of the environment."""


class BadConfig(Exception):
    """The environment cannot be run with; the message says which variable to mend and how."""


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting. Secrets are left out of `repr`."""

    production: bool
    database_url: str = field(repr=False)
    media_store: str
    signing_seed: bytes = field(repr=False)
    link_secret: bytes = field(repr=False)
    pii_keyset: str = field(repr=False)
    lookup_keyset: str = field(repr=False)
    keysets_file: KeysetFile | None = None
    media_store_before: str | None = None
    s3_access: S3Access = field(default_factory=S3Access)
    s3_access_before: S3Access = field(default_factory=S3Access)
    s3_lock_days: int = 730
    s3_lock_mode: str = "GOVERNANCE"
    transcriber_file: Path | None = None
    clock_shift_seconds: int = 0
    clock_shift_file: Path | None = None
    log_level: str = "INFO"
    rule_pack: str = DEFAULT_RULE_PACK
    pool_size: int = 16
    scrub_round_days: int = 30
    trusted_proxies: int = 0
    json_limit_bytes: int = 8 * MIB
    import_limit_bytes: int = 512 * MIB

    @property
    def sqlalchemy_url(self) -> str:
        """The database URL with the driver named."""
        _, _, rest = self.database_url.partition("://")
        return f"postgresql+psycopg://{rest}"

    @property
    def libpq_url(self) -> str:
        """The database URL as psycopg and libpq read it."""
        _, _, rest = self.database_url.partition("://")
        return f"postgresql://{rest}"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, var: Path, default_database_url: str) -> "Config":
        """Read the settings; `var` holds what development generates. Raises BadConfig."""
        production = _stage(environ) == "production"
        known = {name: environ[name] for name in SECRETS if environ.get(name)}
        keysets_file = _keysets_file(environ, known, default=None if production else var / "secrets.json")
        if not production:
            known = {**development_secrets(var), **known}
        if keysets_file is not None:
            known |= _keysets(keysets_file)
        missing = [name for name in SECRETS if name not in known]
        if missing:
            raise BadConfig(
                f"{', '.join(missing)} missing. `python -m server.cli make-secrets` prints a new set; "
                "keep it outside the checkout and set it in the environment."
            )
        shift = _integer(environ, "CLOCK_SHIFT_SECONDS", 0)
        shift_file = Path(environ["CLOCK_SHIFT_FILE"]) if environ.get("CLOCK_SHIFT_FILE") else None
        if production and (shift or shift_file):
            raise BadConfig(
                "CLOCK_SHIFT_SECONDS and CLOCK_SHIFT_FILE are for demonstrations: "
                "a production server runs on true time."
            )
        return cls(
            production=production,
            database_url=_database(environ.get("DATABASE_URL") or default_database_url),
            media_store=environ.get("MEDIA_STORE") or str(var / "media"),
            media_store_before=environ.get("MEDIA_STORE_BEFORE") or None,
            signing_seed=_seed(known["SIGNING_KEY"]),
            link_secret=known["LINK_SECRET"].encode(),
            pii_keyset=known[PII],
            lookup_keyset=known[LOOKUP],
            keysets_file=keysets_file,
            s3_access=_s3_access(environ),
            s3_access_before=_s3_access(environ, suffix="_BEFORE"),
            s3_lock_days=_integer(environ, "S3_LOCK_DAYS", 730, least=0),
            s3_lock_mode=_lock_mode(environ),
            transcriber_file=var / "transcriber.toml",
            clock_shift_seconds=shift,
            clock_shift_file=shift_file,
            log_level=_log_level(environ),
            rule_pack=environ.get("RULE_PACK") or DEFAULT_RULE_PACK,
            pool_size=_integer(environ, "POOL_SIZE", 16, least=1),
            scrub_round_days=_integer(environ, "SCRUB_ROUND_DAYS", 30, least=1),
            trusted_proxies=_integer(environ, "TRUSTED_PROXIES", 0, least=0),
        )


def _keysets_file(
    environ: Mapping[str, str], known: Mapping[str, str], *, default: Path | None
) -> KeysetFile | None:
    """Return the file that holds the keysets; None where they are environment variables."""
    named = environ.get(FILE)
    given = [name for name in KEYSETS if name in known]
    if named and given:
        raise BadConfig(f"KEYSETS_FILE and {', '.join(given)} are both set: keep the file, unset the rest.")
    path = Path(named) if named else default
    return None if path is None or given else KeysetFile(path)


def _keysets(file: KeysetFile) -> dict[str, str]:
    try:
        return {name: file.read(name) for name in KEYSETS}
    except BadKeysets as fault:
        raise BadConfig(str(fault)) from None


def _stage(environ: Mapping[str, str]) -> str:
    stage = environ.get("FIELDVISIT_ENV", "development")
    if stage not in ("development", "production"):
        raise BadConfig(f"FIELDVISIT_ENV is {stage!r}; it is either development or production.")
    return stage


def _log_level(environ: Mapping[str, str]) -> str:
    level = (environ.get("LOG_LEVEL") or "INFO").upper()
    if level not in LOG_LEVELS:
        raise BadConfig(f"LOG_LEVEL is {level!r}; it is one of {', '.join(LOG_LEVELS)}.")
    return level


def _database(url: str) -> str:
    """Return it if it can be read; what is wrong with it is not repeated, for a password is in it."""
    try:
        is_ours = urlsplit(url).scheme.partition("+")[0] in ("postgresql", "postgres")
        is_ours = is_ours and urlsplit(url).port != 0
    except ValueError:
        is_ours = False
    if not is_ours:
        raise BadConfig("DATABASE_URL must be postgresql://user:password@host:port/database.")
    return url


def _integer(environ: Mapping[str, str], name: str, default: int, *, least: int | None = None) -> int:
    try:
        value = int(environ.get(name) or default)
    except ValueError:
        raise BadConfig(f"{name} is {environ[name]!r}; it must be a whole number.") from None
    if least is not None and value < least:
        raise BadConfig(f"{name} is {value}; it must be at least {least}.")
    return value


def _lock_mode(environ: Mapping[str, str]) -> str:
    mode = (environ.get("S3_LOCK_MODE") or "GOVERNANCE").upper()
    if mode not in ("GOVERNANCE", "COMPLIANCE"):
        raise BadConfig(f"S3_LOCK_MODE is {mode!r}; it is either GOVERNANCE or COMPLIANCE.")
    return mode


def _s3_access(environ: Mapping[str, str], *, suffix: str = "") -> S3Access:
    """Read how an S3 store is reached; of the one before, what is not set is that of the new one."""

    def named(*names: str) -> str | None:
        wanted = [f"{name}{suffix}" for name in names] + list(names)
        return next((environ[name] for name in wanted if environ.get(name)), None)

    return S3Access(
        endpoint=named("S3_ENDPOINT_URL"),
        access_key=named("AWS_ACCESS_KEY_ID"),
        secret_key=named("AWS_SECRET_ACCESS_KEY"),
        region=named("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1",
    )


def _seed(encoded: str) -> bytes:
    try:
        seed = base64.b64decode(encoded, validate=True)
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise BadConfig("SIGNING_KEY must be the base64 of exactly 32 bytes (`make-secrets` prints one).")
    return seed


def make_secrets() -> dict[str, str]:
    """Make a fresh set of secrets."""
    return {
        "SIGNING_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "LINK_SECRET": secrets.token_urlsafe(32),
        PII: new_keyset(PII),
        LOOKUP: new_keyset(LOOKUP),
    }


def development_secrets(var: Path) -> dict[str, str]:
    """Return the secrets kept in `var/secrets.json`, making them at the first call.

    Several processes may start at once: the file appears whole, and everybody reads the winner's.
    """
    path = var / "secrets.json"
    if not path.exists():
        var.mkdir(parents=True, exist_ok=True)
        draft = var / f"secrets.{os.getpid()}.{secrets.token_hex(4)}"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(make_secrets()))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    known = json.loads(path.read_text())
    return known if set(SECRETS) <= set(known) else _completed(path)


def _completed(path: Path) -> dict[str, str]:
    """Add what a newer release needs to the secrets of an older one, once, whoever else is starting."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        known = json.loads(path.read_text())
        whole = {**make_secrets(), **known}
        if whole != known:
            replace_file(path, json.dumps(whole))
    finally:
        os.close(folder)
    return whole
