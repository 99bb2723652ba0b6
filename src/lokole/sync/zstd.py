"""Zstandard (RFC 8878), whichever library the machine has.

Python 3.14 brings ``compression.zstd``; older ones get the same interface from ``backports.zstd``;
32-bit ARM has a wheel of neither, there Debian's ``python3-zstandard`` stands in.
Frames are written without checksum and without content size, as the first Lokole wrote them.
Nothing here bounds the expanded size; ``sync/compression.py`` counts.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

_CHUNK = 128 * 1024


class Compressor(Protocol):
    """What all codecs of ``sync/compression.py`` have in common when writing."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _library() -> tuple[str, Any]:
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            return name, importlib.import_module(name)
        except ImportError:
            continue
    raise RuntimeError("no Zstandard library: install backports.zstd, or python3-zstandard from the distribution")


def compressor(level: int, *, library: tuple[str, Any] | None = None) -> Compressor:
    """A compressor of one frame; ``level`` 1 to 19."""
    name, zstd = library or _library()
    made: Compressor
    if name == "zstandard":
        made = zstd.ZstdCompressor(level=level, write_checksum=False, write_content_size=False).compressobj()
    else:
        made = zstd.ZstdCompressor(level=level)
    return made


def expanded(
    read: Callable[[int], bytes], *, window_log: int, max_frames: int, library: tuple[str, Any] | None = None
) -> Iterator[bytes]:
    """What the frames that ``read(size)`` gives hold, in pieces of bounded size.

    A frame that asks for a window above ``2**window_log``, that is damaged or (with the newer libraries) ends early raises ``ValueError``.
    """
    name, zstd = library or _library()
    try:
        if name == "zstandard":
            yield from _with_zstandard(zstd, read, window_log)
        else:
            yield from _with_standard_interface(zstd, read, window_log, max_frames)
    except zstd.ZstdError as error:
        raise ValueError("damaged zstd data, or a window that is too large") from error


def _with_standard_interface(
    zstd: Any, read: Callable[[int], bytes], window_log: int, max_frames: int
) -> Iterator[bytes]:
    options = {zstd.DecompressionParameter.window_log_max: window_log}
    data = read(_CHUNK)
    for _frame in range(max_frames):
        frame = zstd.ZstdDecompressor(options=options)
        while not frame.eof:
            piece: bytes = frame.decompress(data, _CHUNK)
            data = b""
            if piece:
                yield piece
            if not frame.eof and (frame.needs_input or not piece):
                data = read(_CHUNK)
                if not data:
                    raise ValueError("the zstd frame ends early")
        data = frame.unused_data or read(_CHUNK)
        if not data:
            return
    raise ValueError("too many zstd frames")


class _Source:
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


def _with_zstandard(zstd: Any, read: Callable[[int], bytes], window_log: int) -> Iterator[bytes]:
    # This library cannot say that a frame ended early; the end marker of the archive inside tells.
    decompressor = zstd.ZstdDecompressor(max_window_size=2**window_log)
    reader = decompressor.stream_reader(_Source(read), read_size=_CHUNK, read_across_frames=True)
    while piece := reader.read(_CHUNK):
        yield piece
