"""A row of frames: kind and length as varints, then the body (protocol 7.1).

A reader needs no trust in the length: bodies grow as they come, one that is too long is stepped over and only its beginning kept.
What a kind means is not known here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lokole.mail.errors import BadPackage
from lokole.sync.limits import Limits
from lokole.sync.tar import ByteSource
from lokole.sync.varint import read_varint, varint

_PIECE = 128 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """Frame ``number``, counted from 1; of one that is not ``whole`` the body is only the beginning."""

    number: int
    kind: int
    body: bytes
    whole: bool = True


def write_frame(kind: int, body: bytes) -> Iterator[bytes]:
    """One frame, in pieces, so that a file is not in memory a second time."""
    yield varint(kind) + varint(len(body))
    yield body


def read_frames(pieces: Iterator[bytes], *, max_bytes: Callable[[int], int], limits: Limits) -> Iterator[Frame]:
    """The frames of ``pieces``; ``max_bytes(kind)`` bounds a body. Raises :class:`BadPackage` where they cannot be read on."""
    source = _Source(pieces)
    for number in range(1, limits.max_records + 1):
        try:
            kind = read_varint(source)
            size = None if kind is None else read_varint(source)
        except ValueError as error:
            raise BadPackage(f"frame {number} cannot be read: {error}") from None
        if kind is None:
            return
        if kind == 0 or size is None:
            raise BadPackage(f"frame {number} cannot be read")
        whole = size <= max_bytes(kind)
        body = source.body(size if whole else limits.max_kept_of_long_line)
        rest = size - len(body)
        while rest and not whole and (piece := source.some(min(rest, _PIECE))):
            rest -= len(piece)
        if rest:
            raise BadPackage(f"the payload ends inside frame {number}")
        yield Frame(number, kind, body, whole)
    if source.some(1):
        raise BadPackage("too many records in the package")


class _Source(ByteSource):
    def read(self, size: int, /) -> bytes:
        return self.up_to(size)

    def body(self, size: int) -> bytes:
        """``size`` bytes, fewer at the end; held once, which joining pieces would not do."""
        held = io.BytesIO()
        while held.tell() < size and (piece := self.some(size - held.tell())):
            held.write(piece)
        return held.getvalue()
