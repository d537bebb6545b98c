"""How is a stream of any length locked for one reader, so that nobody else can read or change it?

An ephemeral X25519 key agrees a secret with the reader's; HKDF-SHA256 makes a key that is used once; the
stream travels in pieces of 64 KiB under ChaCha20-Poly1305, numbered and the last one marked (STREAM), so
that pieces can neither be changed, swapped, dropped nor cut off. One piece is in memory at a time.
"""

from dataclasses import dataclass
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sync.envelope import keyid_of

PIECE: Final = 64 * 1024
TAG: Final = 16
KEY_BYTES: Final = 32
SUITE: Final = "X25519-HKDF-SHA256-ChaCha20Poly1305-64K"


class Source(Protocol):
    """What can be read from."""

    def read(self, size: int, /) -> bytes: ...


class Target(Protocol):
    """What can be written to."""

    def write(self, data: bytes, /) -> object: ...


class LockFault(ValueError):
    """A locked stream cannot be opened. `at` is the byte of the locked stream from which it is bad."""

    def __init__(self, detail: str, *, at: int, is_cut: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.at = at
        self.is_cut = is_cut


@dataclass(frozen=True, slots=True)
class BoxKey:
    """The public half: whoever has it can lock for its owner and open nothing."""

    raw: bytes

    @classmethod
    def from_raw(cls, raw: bytes) -> Self:
        """Read 32 raw bytes; ValueError when they are not."""
        X25519PublicKey.from_public_bytes(raw)
        return cls(raw)

    @property
    def keyid(self) -> str:
        """The first 16 hex digits of SHA-256 over the raw key."""
        return keyid_of(self.raw)


@dataclass(frozen=True, slots=True, repr=False)
class BoxOpener:
    """The private half."""

    key: X25519PrivateKey

    @classmethod
    def from_secret(cls, secret: bytes, *, purpose: bytes) -> Self:
        """Derive the pair from secret material that has other uses too; the purpose keeps them apart."""
        seed = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(secret)
        return cls(X25519PrivateKey.from_private_bytes(seed))

    @property
    def public(self) -> BoxKey:
        return BoxKey(self.key.public_key().public_bytes_raw())


def _cipher(shared: bytes, *, ephemeral: bytes, recipient: bytes, context: bytes) -> ChaCha20Poly1305:
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=ephemeral + recipient, info=context)
    return ChaCha20Poly1305(derived.derive(shared))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


class Locker:
    """Writes a locked stream. `ephemeral` must reach the reader; `context` binds what stands around it."""

    def __init__(
        self, target: Target, *, recipient: BoxKey, ephemeral: X25519PrivateKey, context: bytes
    ) -> None:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient.raw))
        public = ephemeral.public_key().public_bytes_raw()
        self._cipher = _cipher(shared, ephemeral=public, recipient=recipient.raw, context=context)
        self._target = target
        self._waiting = bytearray()
        self._number = 0

    def write(self, data: bytes, /) -> None:
        """Take more of the stream."""
        self._waiting += data
        while len(self._waiting) > PIECE:  # a full piece may still be the last: it waits for more
            self._write_piece(is_last=False)

    def finish(self) -> None:
        """Write the last piece. Without it the stream counts as cut off."""
        self._write_piece(is_last=True)

    def _write_piece(self, *, is_last: bool) -> None:
        piece = bytes(self._waiting[:PIECE])
        del self._waiting[:PIECE]
        self._target.write(self._cipher.encrypt(_nonce(self._number, is_last=is_last), piece, None))
        self._number += 1


class Unlocker:
    """Reads a locked stream; every byte it returns was checked."""

    def __init__(self, source: Source, *, opener: BoxOpener, ephemeral: bytes, context: bytes) -> None:
        try:
            shared = opener.key.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        except ValueError:
            raise LockFault("the key it was locked with is not one", at=0) from None
        recipient = opener.public.raw
        self._cipher = _cipher(shared, ephemeral=ephemeral, recipient=recipient, context=context)
        self._source = source
        self._ahead = self._read(PIECE + TAG)
        self._number = 0
        self._open = b""
        self._is_over = False

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; nothing at the end. Raises LockFault where the stream is bad."""
        while not self._open and not self._is_over:
            self._open_piece()
        taken, self._open = self._open[:size], self._open[size:]
        return taken

    def _open_piece(self) -> None:
        piece, self._ahead = self._ahead, self._read(PIECE + TAG)
        self._is_over = not self._ahead
        self._open = self._decrypt(piece)
        self._number += 1

    def _decrypt(self, piece: bytes) -> bytes:
        at = self._number * (PIECE + TAG)
        if len(piece) < TAG:
            raise LockFault("it was cut off", at=at + len(piece), is_cut=True)
        try:
            return self._cipher.decrypt(_nonce(self._number, is_last=self._is_over), piece, None)
        except InvalidTag:
            pass
        if self._is_over and self._is_good(piece):
            raise LockFault("it was cut off", at=at + len(piece), is_cut=True)
        end = at + len(piece)
        what = "it was cut off or changed" if self._is_over else "it was changed"
        raise LockFault(f"{what} between its bytes {at} and {end}", at=at)

    def _is_good(self, piece: bytes) -> bool:
        """Whether the piece at the end is a good one that was not the last."""
        try:
            self._cipher.decrypt(_nonce(self._number, is_last=False), piece, None)
        except InvalidTag:
            return False
        return True

    def _read(self, size: int) -> bytes:
        """Read until there are `size` bytes or no more."""
        parts = []
        while size and (part := self._source.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
