"""A checkpoint is a C2SP signed note of three lines; nobody reads one that does not verify."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.checkpoint import Checkpoint, CheckpointFault, key_id, open_checkpoint, sign_checkpoint

ORIGIN = "fieldvisit.example/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
HEAD = Checkpoint(ORIGIN, 20852163, bytes(range(32)))


def a_note() -> str:
    return sign_checkpoint(HEAD, key=KEY)


def opened(note: str) -> Checkpoint:
    return open_checkpoint(note, origin=ORIGIN, key=KEY.public_key())


def test_what_was_signed_is_what_is_read():
    assert opened(a_note()) == HEAD


def test_it_looks_as_the_specification_shows_it():
    lines = a_note().split("\n")

    assert lines[:4] == [ORIGIN, "20852163", base64.b64encode(bytes(range(32))).decode(), ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert len(base64.b64decode(lines[4].rsplit(" ", 1)[1])) == 4 + 64
    assert lines[5:] == [""]


def test_key_ids_are_those_of_other_implementations():
    """The key of the example in the documentation of Go's note package, whose id is c74f20a3."""
    encoded = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    key = Ed25519PublicKey.from_public_bytes(encoded[1:])
    signature = base64.b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )

    assert key_id("PeterNeumann", key).hex() == "c74f20a3"
    assert signature[:4] == key_id("PeterNeumann", key)
    key.verify(signature[4:], text.encode())


def test_a_witness_may_sign_beside_the_log():
    witness = sign_checkpoint(Checkpoint("witness.example", 1, bytes(32)), key=Ed25519PrivateKey.generate())

    assert opened(a_note() + witness.split("\n")[4] + "\n") == HEAD


@pytest.mark.parametrize(
    ("altered", "why"),
    [
        (lambda note: note.replace("20852163", "20852164"), "does not verify"),
        (lambda note: note.replace("\n\n", "\nmore\n\n"), "does not verify"),
        (lambda note: note.replace("— fieldvisit", "— other"), "no signature of the log's key"),
        (lambda note: note.replace("— ", "- "), "a signature line that is none"),
        (lambda note: note[:-10], "no signatures after a blank line"),
        (lambda note: note.replace("\n\n", "\n"), "no signatures after a blank line"),
        (lambda note: note.replace("\n", "\r\n"), "control characters"),
        (lambda note: note + "x" * 20_000, "longer than"),
        (lambda note: "", "no signatures"),
        (lambda note: note[:-3] + "!=\n", "broken base64"),
    ],
)
def test_an_altered_note_is_no_checkpoint(altered, why: str):
    with pytest.raises(CheckpointFault, match=why):
        opened(altered(a_note()))


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n012\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n-1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n12\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{ORIGIN}\n12\n",
        f"other.example/log\n12\n{base64.b64encode(bytes(32)).decode()}\n",
    ],
    ids=["leading zero", "negative", "short root", "two lines", "another log"],
)
def test_what_our_key_signed_is_still_read_strictly(text: str):
    signature = sign_checkpoint(HEAD, key=KEY).split("\n")[4].rsplit(" ", 1)[1]
    named = base64.b64decode(signature)[:4]
    line = base64.b64encode(named + KEY.sign(text.encode())).decode()

    with pytest.raises(CheckpointFault):
        opened(f"{text}\n— {ORIGIN} {line}\n")


def test_a_log_without_a_proper_name_signs_nothing():
    with pytest.raises(ValueError, match="origin"):
        sign_checkpoint(Checkpoint("two words", 1, bytes(32)), key=KEY)
