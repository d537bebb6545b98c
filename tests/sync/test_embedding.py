"""`sync/` is a product of its own: it runs where nothing of the server is installed, and it is typed."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
MODULES = sorted(f"sync.{path.stem}" for path in (CHECKOUT / "sync").glob("*.py") if path.stem != "__init__")

# Everything but the standard library, `cryptography`, httpx and what those two bring along.
GUARD = """
import sys
ALLOWED = set(sys.stdlib_module_names) | {
    "sync", "cryptography", "_cffi_backend", "cffi", "pycparser",
    "httpx", "httpcore", "h11", "anyio", "sniffio", "idna", "certifi", "typing_extensions",
}
# The three look whether these are there and do without ("org" is Jython's).
OPTIONAL = {"org", "bcrypt", "brotli", "brotlicffi", "zstandard", "h2", "socksio", "click", "rich",
            "pygments", "trio"}
forbidden = []

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ALLOWED:
            return None
        if top not in OPTIONAL:
            forbidden.append(name)
        raise ModuleNotFoundError(f"{name} is not installed on a phone", name=name)

sys.meta_path.insert(0, Guard())
"""


def on_a_phone(code: str) -> subprocess.CompletedProcess[str]:
    script = GUARD + code + "\nassert not forbidden, forbidden\n"
    return subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{script}"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_module_imports_where_only_cryptography_and_httpx_are_installed() -> None:
    done = on_a_phone("\n".join(f"import {name}" for name in MODULES))

    assert done.returncode == 0, done.stderr


def test_the_guard_itself_works() -> None:
    assert on_a_phone("import flask").returncode != 0
    assert on_a_phone("import server").returncode != 0


@pytest.mark.parametrize("module", ["sync.envelope", "sync.wire", "sync.rescue", "sync.store", "sync.door"])
def test_what_speaks_no_http_needs_no_httpx(module: str) -> None:
    done = on_a_phone(f"ALLOWED.remove('httpx')\nimport {module}")

    assert done.returncode == 0, done.stderr


def test_it_says_that_it_is_typed() -> None:
    assert (CHECKOUT / "sync/py.typed").exists()
    assert '"py.typed"' in (CHECKOUT / "pyproject.toml").read_text()


EMBEDDER = """
from pathlib import Path
import httpx
from sync.cancelling import CancelToken
from sync.events import Event, FileMoved
from sync.loop import SyncLoop
from sync.phone import Clocks, Phone

def show(event: Event) -> None:
    match event:
        case FileMoved(evidence_id=name, arrived=arrived, size_bytes=size):
            print(name, arrived / size)
        case _:
            pass

phone = Phone(Path("x"), clocks=Clocks(), most_media_bytes=10)
office = httpx.Client(base_url="http://office")
token = CancelToken()
loop = SyncLoop(lambda: phone.sync(office, on_event=show, cancel=token), token, show)
bundles: list[Path] = phone.export_rescue(Path("."))
phone.enrol(7, http=office)  # the one mistake
"""


def test_a_type_checker_guides_an_embedder(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(EMBEDDER)
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text(f'{{"typeCheckingMode": "strict", "extraPaths": ["{CHECKOUT}"]}}')

    checker = Path(sys.executable).with_name("basedpyright")
    done = subprocess.run(
        [checker, "--project", settings, "--pythonpath", sys.executable, program],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    errors = [line for line in done.stdout.splitlines() if " - error:" in line]
    assert len(errors) == 1 and '"Literal[7]"' in errors[0] and "app.py:21" in errors[0], done.stdout
