"""How is what identifies a person kept from everybody who need not know it?

At rest: AES-256-GCM through Tink with a rotating keyset, bound to the column it stands in, so that a
ciphertext cannot be moved to another column. On screen: masked, unless the reader's role needs it and
the read is logged (workflows do that). Card numbers are never shown whole to anybody (H3, AMB10, I3).
"""

import re
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
import tink
from sqlalchemy.dialects.postgresql import BYTEA
from tink import aead, cleartext_keyset_handle

from server.keysets import PII, KeysetFile, Ring

_ring: Ring[aead.Aead] | None = None


def configure(keyset: str, *, file: KeysetFile | None = None) -> None:
    """Set the process's keyset (Tink JSON), and the file it follows. Called once by the app factory."""
    global _ring
    _ring = Ring(PII, keyset, file, _open)


@lru_cache(maxsize=4)
def _open(keyset: str) -> aead.Aead:
    aead.register()
    return cleartext_keyset_handle.read(tink.JsonKeysetReader(keyset)).primitive(aead.Aead)


def _ready() -> Ring[aead.Aead]:
    if _ring is None:
        raise RuntimeError("pii.configure() was not called: start through server.app.create_app")
    return _ring


def encrypt(column: str, text: str) -> bytes:
    """Encrypt a value for a column named "table.column"."""
    return _ready().primitive().encrypt(text.encode(), column.encode())


def decrypt(column: str, ciphertext: bytes) -> str:
    """Decrypt a value of a column. tink.TinkError if it is not ours, altered, or of another column.

    What a newer key wrote is read as soon as it is met: the keyset is looked at again before giving up.
    """
    ring = _ready()
    known = ring.primitive()
    try:
        return known.decrypt(ciphertext, column.encode()).decode()
    except tink.TinkError:
        ring.look_again()
        if ring.primitive() is known:
            raise
    return ring.primitive().decrypt(ciphertext, column.encode()).decode()


def writing_keyset() -> str:
    """Return the keyset that this process encrypts with now."""
    ring = _ready()
    ring.look_again()
    return ring.text


class Encrypted(sa.types.TypeDecorator[str]):
    """A text column that is ciphertext in the database. Not searchable, on purpose."""

    impl = BYTEA
    cache_ok = True

    def __init__(self, column: str) -> None:
        super().__init__()
        self.column = column

    def process_bind_param(self, value: str | None, dialect: Any) -> bytes | None:
        """Encrypt on the way in."""
        return None if value is None else encrypt(self.column, value)

    def process_result_value(self, value: bytes | None, dialect: Any) -> str | None:
        """Decrypt on the way out."""
        return None if value is None else decrypt(self.column, bytes(value))


def mask_name(name: str | None) -> str | None:
    """张小明 -> 张**; the family name stays, because colleagues must be able to speak of the case."""
    return None if name is None else name[:1] + "*" * max(1, len(name) - 1)


def mask_phone(phone: str | None) -> str | None:
    """13812345678 -> 138****5678; anything shorter than seven characters is hidden whole."""
    if phone is None:
        return None
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 7 else "****"


def mask_number(number: str | None) -> str | None:
    """Identity and account numbers are hidden whole (AMB10: print neither number)."""
    return None if number is None else "****"


_DISTRICT = re.compile(r"^.{2,12}?(?:(?<![小社园])区|[县旗])(?=.)|^.{2,12}?市(?=.)")


def mask_address(text: str | None) -> str | None:
    """Keep the part up to the district; hide street, building and door."""
    if text is None:
        return None
    district = _DISTRICT.match(text)
    return (district.group() if district else "") + "****"
