"""Keys rotate while the office works: nothing is unreadable for a moment, whatever is killed when."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from flask import Flask

from server import blind, pii
from server.authority import Role
from server.cli import main
from server.config import KEYSETS, Config
from server.database import db, transaction
from server.keysets import PII, KeysetFile, older_of, primary_of, stage_of
from server.models.cases import Debtor, Hold
from server.workflows.rekeying import encrypted_tables, primaries, rows_not_under, rows_under
from tests.builders import a_case, a_client_bank
from tests.conftest import SECRETS
from tests.office import Office

CHECKOUT = Path(__file__).parents[2]
DEBTORS = 120


def test_rotation_goes_on_after_a_kill_while_the_office_writes(
    office: Office, config: Config, keysets: KeysetFile, filed: dict[str, str]
) -> None:
    names = many_debtors()
    old = primary_of(keysets.read(PII))
    with office_writing(office) as noted, a_lock_on_one_debtor(config, next(iter(names))) as let_go:
        with rotating(filed) as command:
            until(command, "locked")
            command.kill()
        new = primary_of(keysets.read(PII))
        half = rows_under(old)["debtors"], rows_under(new)["debtors"]
        in_between = names_now()

        with rotating(filed) as command:
            begun = until(command, "goes on")
            until(command, "locked")
            let_go.set()
            told = command.communicate(timeout=300)[0]

    assert half[0] >= 1 and half[1] >= DEBTORS - 1, "the kill fell beside the rotation"
    assert in_between == names
    assert command.returncode == 0, told
    assert "goes on" in begun and old != new
    assert rows_not_under(primaries()) == {}
    assert names_now() == names
    assert noted and notes_now() == noted


@pytest.mark.parametrize("given", ["a file", "variables"])
def test_an_older_key_stays_until_nothing_needs_it(
    given: str, keysets: KeysetFile, environ: dict[str, str], filed: dict[str, str]
) -> None:
    many_debtors(3)
    start = run("rotate-keys", "--next", environ=filed)
    added = keysets.read(PII)
    promoted = run("rotate-keys", "--next", environ=filed)
    if given == "variables":
        filed = {**environ, PII: keysets.read(PII)}  # LOOKUP_KEYSET stays as it was

    refused = run("retire-keys", environ=filed)
    rotated = run("rotate-keys", environ=filed)
    retired = run("retire-keys", environ=filed)

    assert (start.exit_code, promoted.exit_code) == (0, 0)
    assert stage_of(added) == "added" and primary_of(added) == primary_of(SECRETS[PII])
    assert refused.exit_code == 1 and "debtors 3" in refused.output
    assert rotated.exit_code == 0, rotated.output
    assert retired.exit_code == 0, retired.output
    old = primary_of(SECRETS[PII])
    if given == "variables":
        (line,) = [line for line in retired.stdout.splitlines() if line.startswith(PII)]
        assert older_of(line.partition("=")[2].strip("'")) == []
        return
    assert older_of(keysets.read(PII)) == []
    kept = keysets.path.with_name(f"{keysets.path.name}.retired-{old}")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert primary_of(kept.read_text()) == old
    assert len(names_now()) == 3


def test_keysets_in_the_environment_are_printed_stage_by_stage(environ: dict[str, str]) -> None:
    ciphertext = pii.encrypt("debtors.name", "李小明")
    stages = []
    for _ in range(2):
        printed = run("rotate-keys", environ=environ)
        assert printed.exit_code == 0
        environ[PII] = printed.stdout.partition("=")[2].strip().strip("'")
        pii.configure(environ[PII])
        stages.append((stage_of(environ[PII]), pii.decrypt("debtors.name", ciphertext)))
    written = pii.encrypt("debtors.name", "李小明")
    pii.configure(SECRETS[PII])

    assert stages == [("added", "李小明"), ("rotating", "李小明")]
    assert written[:5] != ciphertext[:5]


def test_keysets_move_from_the_environment_into_a_file(environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "secret" / "keysets.json"
    file.parent.mkdir()

    moved = run("rotate-keys", "--into", str(file), environ=environ)

    assert moved.exit_code == 0 and f"KEYSETS_FILE={file}" in moved.output
    assert KeysetFile(file).read(PII) == SECRETS[PII]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_row_that_no_key_opens_is_named_and_the_rest_is_rewritten(
    keysets: KeysetFile, filed: dict[str, str]
) -> None:
    names = many_debtors(3)
    spoilt = next(iter(names))
    with transaction() as session:
        change = "UPDATE debtors SET name = set_byte(name, 19, get_byte(name, 19) # 255) WHERE id = :id"
        session.execute(sa.text(change), {"id": spoilt})

    rotated = run("rotate-keys", environ=filed)

    assert rotated.exit_code == 1
    assert f"UNREADABLE  debtors {spoilt}" in rotated.output
    assert rows_under(primary_of(keysets.read(PII))) == {"debtors": 2}


def test_two_rotations_do_not_run_at_once(filed: dict[str, str], config: Config) -> None:
    with psycopg.connect(config.libpq_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [0x6B657973])

        refused = run("rotate-keys", environ=filed)

    assert refused.exit_code == 1 and "Another process" in refused.output


def test_every_encrypted_column_is_known_and_bound_to_its_own_name(app: Flask) -> None:
    written = "\n".join(path.read_text() for path in (CHECKOUT / "server" / "models").glob("*.py"))

    known = {
        bound: f"{table.name}.{name}" for table in encrypted_tables() for name, bound in table.columns.items()
    }

    assert set(known) == set(re.findall(r'Encrypted\("([a-z_.]+)"\)', written))
    assert all(bound == column for bound, column in known.items())
    assert len(known) > 25


def test_a_broken_file_stops_nobody(keysets: KeysetFile) -> None:
    ciphertext = pii.encrypt("debtors.name", "李小明")

    keysets.path.write_text("{")
    read = (
        pii.decrypt("debtors.name", ciphertext),
        pii.decrypt("debtors.name", pii.encrypt("debtors.name", "王")),
    )

    assert read == ("李小明", "王")


# The stage.


def many_debtors(count: int = DEBTORS) -> dict[UUID, str]:
    """Debtors with names, and one contact."""
    client = a_client_bank()
    debtors = [
        Debtor(
            client_id=client.id,
            reference=f"ROTATED-{number}",
            name=f"李{number}",
            phone=f"1380000{number:04}",
        )
        for number in range(count)
    ]
    with transaction() as session:
        session.add_all(debtors)
    return {debtor.id: debtor.name or "" for debtor in debtors}


def names_now() -> dict[UUID, str | None]:
    """What a web process reads now."""
    db.session.expire_all()
    rows = db.session.execute(sa.select(Debtor.id, Debtor.name).where(Debtor.reference.like("ROTATED-%")))
    return {row.id: row.name for row in rows}


def notes_now() -> set[str]:
    """The notes of all holds."""
    return set(db.session.scalars(sa.select(Hold.note)))


@contextmanager
def office_writing(office: Office) -> Iterator[set[str]]:
    """A supervisor who raises holds without a pause; yields the notes that were acknowledged."""
    supervisor, noted, enough = office.person(Role.SUPERVISOR), set[str](), Event()
    cases, refused = [str(a_case().id) for _ in range(4)], list[str]()

    def write() -> None:
        number = 0
        while not enough.is_set() and not refused:
            number += 1
            note, case_id = f"note {number}", cases[number % len(cases)]
            answer = supervisor.post(f"/api/v1/cases/{case_id}/holds", json={"reason": "other", "note": note})
            if answer.status_code != 201:
                refused.append(answer.text)
                return
            noted.add(note)
            supervisor.post(f"/api/v1/holds/{answer.get_json()['id']}/release", json=RELEASE)

    writer = Thread(target=write)
    writer.start()
    try:
        yield noted
    finally:
        enough.set()
        writer.join(timeout=60)
    assert refused == []


RELEASE = {"given_by": "supervisor", "instruction": "settled"}


@contextmanager
def a_lock_on_one_debtor(config: Config, debtor_id: UUID) -> Iterator[Event]:
    """Somebody who keeps a debtor's row locked until the event is set; the sweep must pass over it."""
    let_go, is_locked = Event(), Event()

    def hold() -> None:
        with psycopg.connect(config.libpq_url) as other:
            other.execute("SELECT id FROM debtors WHERE id = %s FOR UPDATE", [debtor_id])
            is_locked.set()
            let_go.wait(timeout=600)

    holder = Thread(target=hold)
    holder.start()
    assert is_locked.wait(timeout=60)
    try:
        yield let_go
    finally:
        let_go.set()
        holder.join(timeout=60)


@contextmanager
def rotating(environ: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own."""
    command = [sys.executable, "-m", "server.cli", "rotate-keys", "--batch", "25"]
    with subprocess.Popen(
        command, env=dict(environ), cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[str], word: str) -> str:
    """Read what the command says up to the line with a word."""
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if word in line:
            return told
    raise AssertionError(f"it never said {word!r}:\n{told}")


def run(*arguments: str, environ: Mapping[str, str]) -> Result:
    """Run a command in this process, and leave the keys that this process works with as they were."""
    rings = pii._ring, blind._ring  # pyright: ignore[reportPrivateUsage]
    unset = dict.fromkeys(("KEYSETS_FILE", *KEYSETS))
    try:
        return CliRunner().invoke(main, arguments, env={**unset, **environ})
    finally:
        pii._ring, blind._ring = rings  # pyright: ignore[reportPrivateUsage]
