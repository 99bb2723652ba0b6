"""The compressions a package may come in, recognised by their first bytes and expanded under a bound.

Nothing is ever held but the piece being looked at; whatever a codec raises becomes :class:`BadPackage`.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import BinaryIO, Protocol

from lokole.mail.errors import BadPackage
from lokole.sync import zstd
from lokole.sync.limits import Limits
from lokole.sync.zstd import Compressor

_CHUNK = 128 * 1024
#: concatenated streams in one file (RFC 1952 section 2.2, RFC 8878 section 3.1); a writer makes one
_MAX_STREAMS = 1_000


class Compression(StrEnum):
    """How an archive is compressed; the value is the word of ``?compression=`` in version 1."""

    GZ = "gz"
    ZSTD = "zstd"
    BZ2 = "bz2"
    XZ = "xz"
    TAR = "tar"  # not compressed

    @property
    def extension(self) -> str:
        """How the name of such a package ends in version 1, such as ``.tar.zstd``."""
        return ".tar" if self is Compression.TAR else f".tar.{self}"

    @property
    def content_type(self) -> str:
        """The media type of such a package on the exchange paths (protocol 4)."""
        return f"application/vnd.lokole.package.v1+tar{'' if self is Compression.TAR else f'.{self}'}"


CONTENT_TYPES = {compression.content_type: compression for compression in Compression}

_MAGIC = (
    (b"\x1f\x8b", Compression.GZ),
    (b"\x28\xb5\x2f\xfd", Compression.ZSTD),
    (b"BZh", Compression.BZ2),
    (b"\xfd7zXZ\x00", Compression.XZ),
)


def sniff(head: bytes) -> Compression:
    """Which compression begins with ``head`` (at least 6 bytes, when there are that many)."""
    for magic, compression in _MAGIC:
        if head.startswith(magic):
            return compression
    if len(head) >= 4 and 0x50 <= head[0] <= 0x5F and head[1:4] == b"\x2a\x4d\x18":
        return Compression.ZSTD  # a skippable frame (RFC 8878 section 3.1.2)
    return Compression.TAR


class _Counted:
    """A stream with its first bytes put back, counting what was taken from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._head = b""
        self.taken = 0

    def peek(self, size: int) -> bytes:
        while len(self._head) < size and (more := self._stream.read(size - len(self._head))):
            self._head += more
        return self._head

    def read(self, size: int) -> bytes:
        data, self._head = (self._head, b"") if self._head else (self._stream.read(size), b"")
        self.taken += len(data)
        return data


def expand(stream: BinaryIO, limits: Limits) -> tuple[Compression, Iterator[bytes]]:
    """The compression of ``stream`` and its expanded content in small pieces.

    The iterator raises :class:`BadPackage` when the data is damaged, ends early, or goes beyond ``limits``;
    what ``stream`` itself raises passes through.
    """
    counted = _Counted(stream)
    compression = sniff(counted.peek(6))
    return compression, _bounded(_pieces(compression, counted, limits), counted, limits)


def _bounded(pieces: Iterator[bytes], counted: _Counted, limits: Limits) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limits.max_expanded_bytes:
            raise BadPackage("the package expands beyond its limit")
        if size > limits.ratio_counts_from and size > limits.max_ratio * counted.taken:
            raise BadPackage("the package expands too much for its size")
        yield piece


def _pieces(compression: Compression, counted: _Counted, limits: Limits) -> Iterator[bytes]:
    match compression:
        case Compression.TAR:
            while data := counted.read(_CHUNK):
                yield data
        case Compression.ZSTD:
            try:
                yield from zstd.expanded(counted.read, window_log=limits.zstd_window_log, max_frames=_MAX_STREAMS)
            except (ValueError, MemoryError) as error:
                raise BadPackage(f"not readable as zstd: {error}") from error
        case Compression.GZ:
            yield from _streams("gz", _Gzip, counted)
        case Compression.BZ2:
            yield from _streams("bz2", bz2.BZ2Decompressor, counted)
        case Compression.XZ:
            yield from _streams(
                "xz", lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=limits.xz_memory), counted
            )


class _Decoder(Protocol):
    """What bz2 and lzma have in common; :class:`_Gzip` gives zlib the same face."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = len(piece) < max_length
        return piece


def _streams(name: str, new: Callable[[], _Decoder], counted: _Counted) -> Iterator[bytes]:
    data = counted.read(_CHUNK)
    for _stream in range(_MAX_STREAMS):
        decoder = new()
        while True:
            try:
                piece = decoder.decompress(data, _CHUNK)
            except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, MemoryError) as error:
                raise BadPackage(f"not readable as {name}") from error
            data = b""
            if piece:
                yield piece
            if decoder.eof:
                break
            if decoder.needs_input or not piece:
                data = counted.read(_CHUNK)
                if not data:
                    raise BadPackage(f"the {name} data ends early")
        data = decoder.unused_data or counted.read(_CHUNK)
        if _only_padding(data, counted):
            return
    raise BadPackage(f"too many {name} streams in one package")


def _only_padding(data: bytes, counted: _Counted) -> bool:
    """Whether nothing but zero bytes is left, as tapes and some tools leave behind a stream."""
    while not data.strip(b"\0"):
        if not data:
            return True
        data = counted.read(_CHUNK)
    return False


#: Level by compression when none is asked for: zstd 10 takes 25 MiB, xz 4 48 MiB, the rest little.
DEFAULT_LEVEL = {Compression.GZ: 9, Compression.ZSTD: 10, Compression.BZ2: 9, Compression.XZ: 4, Compression.TAR: 0}


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def compressor(compression: Compression, level: int | None = None) -> Compressor:
    """A writer of one compressed stream; the same input always gives the same bytes (no time, no name in it).

    ``level`` is the codec's own: gz and bz2 1 to 9, xz 0 to 9, zstd 1 to 19; None takes :data:`DEFAULT_LEVEL`.
    """
    chosen = DEFAULT_LEVEL[compression] if level is None else level
    match compression:
        case Compression.GZ:
            return zlib.compressobj(chosen, wbits=31)
        case Compression.ZSTD:
            return zstd.compressor(chosen)
        case Compression.BZ2:
            return bz2.BZ2Compressor(chosen)
        case Compression.XZ:
            return lzma.LZMACompressor(preset=chosen)
        case Compression.TAR:
            return _Plain()
