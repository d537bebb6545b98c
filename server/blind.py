"""How is a person found by a number that is kept encrypted?

Beside the ciphertext stands a keyed digest of the number (HMAC-SHA256 through Tink's PRF, under a keyset of
its own, bound to the column): equal numbers have equal digests, and nobody without the key can tell which
number a digest is of, nor try numbers out. Sixteen bytes are kept. Fewer would hide nothing that the key does
not hide and would show the wrong person now and then. In front of them stands the key's number, so that both
keys of a rotation can be looked for.
"""

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
import tink
from sqlalchemy.dialects.postgresql import BYTEA
from tink import cleartext_keyset_handle, prf

from server.keysets import LOOKUP, KeysetFile, Ring, prefix_of

DIGEST_BYTES: Final = 16
SEPARATORS: Final = str.maketrans("", "", " -_.()/\t")
CHINA_PREFIXES: Final = ("+86", "0086", "86")
MOBILE_DIGITS: Final = 11
Normal = Callable[[str], str]

_ring: Ring[prf.PrfSet] | None = None


def configure(keyset: str, *, file: KeysetFile | None = None) -> None:
    """Set the process's keyset (Tink JSON), and the file it follows. Called once by the app factory."""
    global _ring
    _ring = Ring(LOOKUP, keyset, file, _open)


@lru_cache(maxsize=4)
def _open(keyset: str) -> prf.PrfSet:
    prf.register()
    return cleartext_keyset_handle.read(tink.JsonKeysetReader(keyset)).primitive(prf.PrfSet)


def _ready() -> Ring[prf.PrfSet]:
    if _ring is None:
        raise RuntimeError("blind.configure() was not called: start through server.app.create_app")
    return _ring


def writing_keyset() -> str:
    """Return the keyset that this process digests with now."""
    ring = _ready()
    ring.look_again()
    return ring.text


def normal_id_number(text: str) -> str:
    """Write an identity number as everybody's: full-width digits narrow, no separators, a capital X."""
    return unicodedata.normalize("NFKC", text).translate(SEPARATORS).upper()


def normal_phone(text: str) -> str:
    """Write a phone number as everybody's: no separators, and no country code in front of a mobile's."""
    digits = unicodedata.normalize("NFKC", text).translate(SEPARATORS)
    for prefix in CHINA_PREFIXES:
        rest = digits.removeprefix(prefix)
        if rest != digits and len(rest) == MOBILE_DIGITS and rest.startswith("1"):
            return rest
    return digits


class BlindIndex(sa.types.TypeDecorator[bytes]):
    """The keyed digest of another column of the row, to find rows by. `of`: which column of this table."""

    impl = BYTEA
    cache_ok = True

    def __init__(self, column: str, normal: Normal) -> None:
        super().__init__()
        self.column = column
        self.normal = normal

    @property
    def of(self) -> str:
        """Return the name of the column that this one is the digest of."""
        return self.column.rpartition(".")[2]

    def digest(self, text: str | None) -> bytes | None:
        """Return what stands in this column beside a value; beside one of no characters, only the key."""
        if text is None:
            return None
        prfs, normal = _ready().primitive(), self.normal(text)
        number = prfs.primary_id()
        return self._digest(number, prfs.primary(), normal) if normal else prefix_of(number)

    def digests(self, text: str) -> list[bytes]:
        """Return everything that may stand beside a value: one digest a key, older keys' included."""
        normal = self.normal(text)
        return [self._digest(number, one, normal) for number, one in _ready().primitive().all().items()]

    def _digest(self, number: int, one: prf.Prf, normal: str) -> bytes:
        return prefix_of(number) + one.compute(f"{self.column}\0{normal}".encode(), DIGEST_BYTES)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Compare with plain bytes."""
        return self.impl_instance
