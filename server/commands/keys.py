"""`fieldvisit rotate-keys` and `retire-keys`: a new key for everything encrypted, while the office works.

With KEYSETS_FILE (in development: `var/secrets.json`) one command does all of it. Where the keysets are
environment variables no command can change what running processes hold, so it prints the next keyset each
time, the operator sets it and restarts everything, and calls again, until the values are rewritten.
"""

import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import sqlalchemy as sa

from server import blind, pii
from server.commands.opening import open_product
from server.database import db
from server.keysets import (
    LOOK_EVERY_SECONDS,
    LOOKUP,
    PII,
    BadKeysets,
    KeysetFile,
    new_keyset,
    older_of,
    only,
    primary_of,
    replace_file,
    stage_of,
    with_new_key,
    with_newest_writing,
)
from server.workflows.rekeying import (
    Primaries,
    all_ended,
    begun_until_now,
    encrypted_tables,
    primaries,
    rewrite,
    rows_not_under,
    rows_under,
)

LOCK: Final = 0x6B657973  # "keys": nobody else takes this number
PAUSE_SECONDS: Final = 0.2


@click.command("rotate-keys")
@click.option("--lookup", is_flag=True, help="A new key for look-ups instead of for encryption.")
@click.option("--batch", default=500, show_default=True, help="Rows rewritten in one transaction.")
@click.option("--next", "is_one_stage", is_flag=True, help="Only bring the file to its next stage.")
@click.option("--into", type=click.Path(path_type=Path), help="Write the environment's keysets to a file.")
def rotate_keys(lookup: bool, batch: int, is_one_stage: bool, into: Path | None) -> None:
    """Make a new key and bring everything encrypted under it. May be killed and started again at any time.

    If several machines have a copy of the file each: `--next`, copy it to all, `--next`, copy it to all,
    then without `--next`.
    """
    app = open_product()
    name, config = LOOKUP if lookup else PII, app.extensions["config"]
    keysets, file = {PII: config.pii_keyset, LOOKUP: config.lookup_keyset}, config.keysets_file
    if into is not None:
        _move(keysets, file, into)
        return
    if file is None and stage_of(keysets[name]) != "rotating":
        _print_next(name, keysets[name])
        return
    with app.app_context(), _alone():
        if file is not None:
            _advance(name, file, is_one_stage=is_one_stage)
        if not is_one_stage:
            sys.exit(_rewrite_all(file, batch=batch))


@click.command("retire-keys")
def retire_keys() -> None:
    """Take the older keys out of the keysets. Refused as long as anything is kept under one of them."""
    app = open_product()
    file: KeysetFile | None = app.extensions["config"].keysets_file
    with app.app_context(), _alone():
        keysets = {PII: pii.writing_keyset(), LOOKUP: blind.writing_keyset()}
        rotated = {name: keyset for name, keyset in keysets.items() if stage_of(keyset) == "rotating"}
        if not rotated:
            raise click.ClickException("There is no older key to retire; `rotate-keys` makes a newer one.")
        for number in (number for keyset in rotated.values() for number in older_of(keyset)):
            if using := rows_under(number):
                raise click.ClickException(
                    f"Key {number} is still needed ({_told(using)}). Run `rotate-keys` first."
                )
        for name, keyset in rotated.items():
            _retire(name, keyset, file)


def _retire(name: str, keyset: str, file: KeysetFile | None) -> None:
    primary = primary_of(keyset)
    kept = only(keyset, {primary}, primary=primary)
    if file is None:
        _print(name, kept, "Set this instead and restart every process. Keep the old value with the backups.")
        return
    with _faults_told():
        for number in older_of(keyset):
            aside = file.path.with_name(f"{file.path.name}.retired-{number}")
            replace_file(aside, only(keyset, {number}, primary=number))
            click.echo(f"Key {number} was moved to {aside}. Destroy it with the last backup that needs it.")
        file.write({name: kept})


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the right to rotate; the database gives it back when this process dies."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(LOCK))):
            raise click.ClickException("Another process is rotating the keys.")
        try:
            yield
        finally:
            connection.scalar(sa.select(sa.func.pg_advisory_unlock(LOCK)))


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        yield
    except BadKeysets as fault:
        raise click.ClickException(str(fault)) from None


def _move(keysets: Mapping[str, str], file: KeysetFile | None, into: Path) -> None:
    if file is not None or into.exists():
        raise click.ClickException(
            "The keysets are in a file already." if file else f"{into} exists already."
        )
    with _faults_told():
        KeysetFile(into).write(keysets)
    unset = " and ".join(keysets)
    click.echo(f"Now set KEYSETS_FILE={shlex.quote(str(into))}, unset {unset}, and restart every process.")


def _print_next(name: str, keyset: str) -> None:
    if stage_of(keyset) == "settled":
        told = "It adds a key that reads. Set it and restart EVERY process, then call again."
        _print(name, with_new_key(keyset, made=new_keyset(name)), told)
    else:
        told = "The new key writes now. Set it and restart EVERY process, then call again."
        _print(name, with_newest_writing(keyset), told)


def _print(name: str, keyset: str, told: str) -> None:
    click.echo(told, err=True)
    click.echo(f"{name}={shlex.quote(keyset)}")


def _advance(name: str, file: KeysetFile, *, is_one_stage: bool) -> None:
    """Bring the file to its next stage, or to the one in which the newest key writes."""
    with _faults_told():
        keyset = file.read(name)
    stage = stage_of(keyset)
    if stage == "settled":
        keyset = with_new_key(keyset, made=new_keyset(name))
        if not is_one_stage:
            keyset = with_newest_writing(keyset)
    elif stage == "added":
        keyset = with_newest_writing(keyset)
    else:
        click.echo("A rotation was begun earlier; it goes on.")
        return
    with _faults_told():
        file.write({name: keyset})
    click.echo(f"{file.path}: key {primary_of(keyset)} writes, {len(older_of(keyset))} others read.")


def _rewrite_all(file: KeysetFile | None, *, batch: int) -> int:
    """Sweep until nothing is left that an older key wrote; return the status to end with."""
    primary = primaries()
    if file is not None:  # by then every process writes with the new key
        time.sleep(max(0.0, file.path.stat().st_mtime + 2 * LOOK_EVERY_SECONDS - time.time()))
    mark = begun_until_now()
    while True:
        had_ended = all_ended(mark)
        unreadable = _sweep(primary, batch=batch)
        left = rows_not_under(primary)
        if sum(left.values()) > len(unreadable):
            click.echo(f"Somebody has rows locked ({_told(left)}); again.")
        elif had_ended:
            break
        time.sleep(PAUSE_SECONDS)
    for row in unreadable:
        click.echo(f"UNREADABLE  {row}: no key of the keyset opens it.")
    if not unreadable:
        click.echo("Everything is under the newest keys. Backups made before now need the older keys.")
        click.echo("When no such backup is needed on its own any more: `fieldvisit retire-keys`.")
    return 1 if unreadable else 0


def _sweep(primary: Primaries, *, batch: int) -> list[str]:
    """Rewrite what is stale, table by table; return the rows that cannot be read."""
    unreadable: list[str] = []
    for table in encrypted_tables():
        sweep = None
        for sweep in rewrite(table, primary=primary, batch=batch):
            if sweep.rewritten:
                click.echo(f"{sweep.table}: {sweep.rewritten} rows")
        unreadable += sweep.unreadable if sweep is not None else []
    return unreadable


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
