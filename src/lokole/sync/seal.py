"""The cryptography of a sealed package: who can open it, and chunks that cannot be moved (protocol 6.1 to 6.3).

Layout: prelude (``LKL``, version, ephemeral X25519 key, hint of the taker), then chunks: two bytes of length and mark, ciphertext with its tag.
One key per package, from an ephemeral secret that is drawn once; libsodium by PyNaCl does the work.
What is inside the chunks is the business of ``sync/container.py``; signing is, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from nacl import bindings
from nacl.exceptions import CryptoError

from lokole.mail.errors import BadPackage

MAGIC = b"LKL"
VERSION = 2
#: bytes of what is sealed in every chunk but the last
CHUNK = 16_384
PRELUDE = len(MAGIC) + 1 + 32 + 8

_TAG = bindings.crypto_aead_xchacha20poly1305_ietf_ABYTES
_NONCE_ZEROS = bytes(bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES - 8)
_LAST = 0x8000
_RESERVED = 0x4000
#: a full chunk with its two bytes, as it stands in the file
WRITTEN_CHUNK = 2 + CHUNK + _TAG


@dataclass(frozen=True, slots=True)
class Seal:
    """The prelude of one package and the key of its chunks."""

    prelude: bytes
    key: bytes


def new_seal(recipient_public: bytes, entropy: Callable[[int], bytes]) -> Seal:
    """A seal for the holder of an Ed25519 key; takes ``entropy(32)`` once. A key that is none raises ``ValueError``."""
    secret = entropy(32)
    if len(secret) != 32:
        raise ValueError("entropy gave the wrong number of bytes")
    try:
        theirs = bindings.crypto_sign_ed25519_pk_to_curve25519(recipient_public)
        shared = bindings.crypto_scalarmult(secret, theirs)
    except (CryptoError, RuntimeError, TypeError) as error:
        raise ValueError("the taker's public key is none") from error
    ephemeral = bindings.crypto_scalarmult_base(secret)
    prelude = MAGIC + bytes((VERSION,)) + ephemeral + _hint(ephemeral, recipient_public)
    return Seal(prelude, _chunk_key(shared, prelude, recipient_public))


def read_seal(stream: BinaryIO, *, recipient_seed: bytes, recipient_public: bytes) -> Seal:
    """The seal that ``stream`` begins with; raises :class:`BadPackage`: not-sealed, future-version, truncated, not-for-us, altered."""
    prelude = read_up_to(stream, PRELUDE)
    if prelude[: len(MAGIC)] != MAGIC:
        raise BadPackage("this is no sealed package", code="not-sealed")
    if prelude[len(MAGIC) : len(MAGIC) + 1] not in (b"", bytes((VERSION,))):
        raise BadPackage("the package is of a version that is not known here", code="future-version")
    if len(prelude) < PRELUDE:
        raise BadPackage("the package was cut off", code="truncated")
    ephemeral, hint = prelude[4:36], prelude[36:]
    if hint != _hint(ephemeral, recipient_public):
        raise BadPackage("the package is for somebody else", code="not-for-us")
    try:
        mine = bindings.crypto_sign_ed25519_sk_to_curve25519(recipient_seed + recipient_public)
        shared = bindings.crypto_scalarmult(mine, ephemeral)
    except (CryptoError, RuntimeError) as error:  # a point of small order: nobody honest makes one
        raise BadPackage("the package does not open", code="altered") from error
    return Seal(prelude, _chunk_key(shared, prelude, recipient_public))


def _hint(ephemeral: bytes, recipient_public: bytes) -> bytes:
    return hashlib.sha256(b"lokole-taker-2" + ephemeral + recipient_public).digest()[:8]


def _chunk_key(shared: bytes, prelude: bytes, recipient_public: bytes) -> bytes:
    return hashlib.blake2b(prelude + recipient_public, digest_size=32, key=shared, person=b"lokole-package-2").digest()


def closed_chunks(seal: Seal, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What follows the prelude, a chunk at a time; ``pieces`` of any size hold at least one byte together."""
    waiting = bytearray()
    number = 0
    for piece in pieces:
        waiting += piece
        # the last chunk is never empty, so a full one is held back until something follows it
        while len(waiting) > CHUNK:
            yield _close(seal, number, bytes(waiting[:CHUNK]), last=False)
            del waiting[:CHUNK]
            number += 1
    if not waiting:
        raise ValueError("there is nothing to seal")
    yield _close(seal, number, bytes(waiting), last=True)


def _close(seal: Seal, number: int, content: bytes, *, last: bool) -> bytes:
    mark = ((_LAST if last else 0) | (len(content) - 1)).to_bytes(2, "big")
    return mark + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(content, mark, _nonce(number), seal.key)


def open_chunk(seal: Seal, number: int, stream: BinaryIO) -> tuple[bytes, bool]:
    """Chunk ``number``, which ``stream`` is at, and whether it is the last; raises :class:`BadPackage`: truncated, altered."""
    mark = read_up_to(stream, 2)
    if len(mark) < 2:
        raise BadPackage("the package was cut off", code="truncated")
    word = int.from_bytes(mark, "big")
    last, size = bool(word & _LAST), (word & (CHUNK - 1)) + 1
    if word & _RESERVED or not (last or size == CHUNK):
        raise BadPackage("the package does not open", code="altered")
    sealed = read_up_to(stream, size + _TAG)
    if len(sealed) < size + _TAG:
        raise BadPackage("the package was cut off", code="truncated")
    try:
        content = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, mark, _nonce(number), seal.key)
    except CryptoError:
        raise BadPackage("the package does not open", code="altered") from None
    if last and stream.read(1):
        raise BadPackage("something follows the end of the package", code="altered")
    return content, last


def _nonce(number: int) -> bytes:
    return _NONCE_ZEROS + number.to_bytes(8, "big")


def read_up_to(stream: BinaryIO, size: int) -> bytes:
    """``size`` bytes of a stream that may give fewer at a time; fewer only at its end."""
    data = stream.read(size)
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data
