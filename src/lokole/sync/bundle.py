"""Several sealed packages in one file, for a stick or a passer-by's phone (protocol 9.2).

Layout: a tar archive, not compressed, of regular files that end in ``.lkl``; a single sealed package passes for a bundle of one.
Names are of no consequence and nothing is extracted by one; whether a package is for us its seal says.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from lokole.mail.errors import BadPackage
from lokole.sync import tar
from lokole.sync.container import EXTENSION, is_sealed

CONTENT_TYPE = "application/vnd.lokole.bundle+tar"
BUNDLE_EXTENSION = ".lkl.tar"
#: bytes of one package, and packages (and other members) of one bundle
MAX_PACKAGE_BYTES = 64 * 1024 * 1024
MAX_MEMBERS = 1_000
#: bytes of a bundle that either end takes
MAX_BUNDLE_BYTES = 64 * 1024 * 1024
_PIECE = 128 * 1024
_IN_MEMORY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file for a carrier: packages as (digest in hexadecimal, size in bytes, pieces). Iterating gives its bytes, once."""

    packages: Sequence[tuple[str, int, Iterable[bytes]]]

    @classmethod
    def fitting(
        cls, packages: Sequence[tuple[str, int, Iterable[bytes]]], *, max_bytes: int = MAX_BUNDLE_BYTES
    ) -> Bundle:
        """As many of ``packages`` as the other end takes at once: the last, which says what was taken here, then the oldest.

        What is left out waits for the next carrier; the last one goes whatever its size.
        """
        left = max_bytes - tar.RECORD - sum(_padded(size) for _name, size, _pieces in packages[-1:])
        kept = []
        for package in packages[:-1][: MAX_MEMBERS - 1]:
            left -= _padded(package[1])
            if left < 0:
                break
            kept.append(package)
        return cls((*kept, *packages[-1:]))

    @staticmethod
    def holds(size: int, *, max_bytes: int = MAX_BUNDLE_BYTES) -> bool:
        """Whether a package of ``size`` bytes can be in any bundle, beside the small one that says what was taken."""
        return size <= MAX_PACKAGE_BYTES and 2 * tar.RECORD + _padded(size) <= max_bytes

    @property
    def size(self) -> int:
        """The bytes of the whole file."""
        end = sum(_padded(size) for _name, size, _pieces in self.packages) + 2 * tar.BLOCK
        return end + -end % tar.RECORD

    def __iter__(self) -> Iterator[bytes]:
        return bundle_chunks(self.packages)


def _padded(size: int) -> int:
    return tar.BLOCK + size + -size % tar.BLOCK


def bundle_chunks(packages: Iterable[tuple[str, int, Iterable[bytes]]]) -> Iterator[bytes]:
    """A bundle of (digest in hexadecimal, size in bytes, pieces), in pieces; the same packages give the same bytes.

    Pieces that are not ``size`` bytes together raise ``ValueError``.
    """
    written = 0
    for sha256, size, pieces in packages:
        yield tar.header(sha256 + EXTENSION, size, mtime=0)
        left = size
        for piece in pieces:
            left -= len(piece)
            yield piece
        if left:
            raise ValueError("a package is not as long as it was said to be")
        yield bytes(-size % tar.BLOCK)
        written += _padded(size)
    end = 2 * tar.BLOCK
    yield bytes(end + -(written + end) % tar.RECORD)


def packages_in(
    stream: BinaryIO, *, spool_dir: Path | None = None, max_bytes: int = MAX_PACKAGE_BYTES
) -> Iterator[BinaryIO]:
    """Each package of a bundle, or the one that ``stream`` is, as a seekable stream that is open until the next is asked for.

    Beyond 1 MiB it lies in an unnamed file in ``spool_dir``, sealed as it came. Raises :class:`BadPackage` where the bundle breaks off,
    after the last whole member, or when a package is longer than ``max_bytes``.
    """
    source = tar.ByteSource(iter(lambda: stream.read(_PIECE), b""))
    head = source.up_to(3)
    source.put_back(head)
    if is_sealed(head):
        with _spooled(tar.rest(source), spool_dir, max_bytes) as package:
            yield package
        return
    for member in tar.members(source, max_members=MAX_MEMBERS):
        if member.regular and member.name.endswith(EXTENSION):
            with _spooled(member.pieces(), spool_dir, max_bytes) as package:
                yield package


@contextmanager
def _spooled(pieces: Iterator[memoryview], folder: Path | None, max_bytes: int) -> Iterator[BinaryIO]:
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=None if folder is None else str(folder)) as spool:
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > max_bytes:
                raise BadPackage("a package of the bundle is too long", code="too-large")
            spool.write(piece)
        spool.seek(0)
        yield cast(BinaryIO, spool)
