"""Whole numbers in as few bytes as they take: LEB128, seven bits a byte, the lowest first (protocol 6)."""

from __future__ import annotations

from typing import Protocol

_MAX_BYTES = 9


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def varint(number: int) -> bytes:
    """``number`` from 0 to 2^63 - 1 as 1 to 9 bytes; raises ``ValueError``."""
    if not 0 <= number < 2**63:
        raise ValueError("the number is out of range")
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def read_varint(stream: _Readable) -> int | None:
    """The number that ``stream`` is at, None at its end; raises ``ValueError`` when it breaks off, is too large or takes a byte too many."""
    number = 0
    for n in range(_MAX_BYTES):
        byte = stream.read(1)
        if not byte:
            if n:
                raise ValueError("the number breaks off")
            return None
        number |= (byte[0] & 0x7F) << (7 * n)
        if byte[0] < 0x80:
            if n and not byte[0]:
                raise ValueError("the number takes a byte too many")
            return number
    raise ValueError("the number is too large")
