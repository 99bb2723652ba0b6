"""The part of tar that a package needs, as a stream: find regular files, never make one.

An archive is a row of 512-byte blocks: a header, the file's bytes padded to a block, the next header, two zero blocks at the end
(POSIX.1-1988 ustar; POSIX.1-2001 pax and GNU long names only bring other names and sizes).
The standard library's reader keeps every header it has seen and takes an extended header whole, however long it says it is;
this one holds a block at a time.
It does not know sparse files, links or folders but as something to step over, and it extracts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lokole.mail.errors import BadPackage

BLOCK = 512
#: What writers pad an archive to (20 blocks), so that first boxes and old tools read it without remark.
RECORD = 20 * BLOCK
#: An extended header that is longer than this is not read.
_MAX_EXTENDED = 64 * 1024
_REGULAR = frozenset((b"0", b"\0", b"7"))
#: Types that carry no data whatever their size field says.
_EMPTY = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))


class ByteSource:
    """Pieces of any size, read by count."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")

    def some(self, size: int) -> memoryview:
        """At least one byte and at most ``size``; empty at the end."""
        while not self._piece:
            try:
                self._piece = memoryview(next(self._pieces))
            except StopIteration:
                return memoryview(b"")
        taken, self._piece = self._piece[:size], self._piece[size:]
        return taken

    def up_to(self, size: int) -> bytes:
        """``size`` bytes, fewer only at the end."""
        taken = bytearray()
        while len(taken) < size and (more := self.some(size - len(taken))):
            taken += more
        return bytes(taken)

    def put_back(self, data: bytes) -> None:
        """Give ``data`` again before what follows."""
        self._piece = memoryview(data + bytes(self._piece))


def rest(source: ByteSource) -> Iterator[memoryview]:
    """Everything that is left in ``source``."""
    while piece := source.some(1 << 17):
        yield piece


@dataclass(slots=True)
class Member:
    """One header of the archive and its data, which can be read once, before the next member is asked for."""

    name: str
    regular: bool
    left: int  # bytes of data not yet read
    source: ByteSource

    def pieces(self) -> Iterator[memoryview]:
        """The data; raises :class:`BadPackage` when the archive ends inside it."""
        while self.left:
            piece = self.source.some(self.left)
            if not piece:
                raise BadPackage("the archive ends inside a member", code="truncated")
            self.left -= len(piece)
            yield piece


def looks_like_tar(head: bytes) -> bool:
    """Whether ``head`` (512 bytes) is a header, or the zero block that ends an empty archive."""
    return len(head) == BLOCK and (not head.strip(b"\0") or _checksum_is_right(head))


def members(source: ByteSource, *, max_members: int) -> Iterator[Member]:
    """Every file, folder and link of an archive in its order.

    Raises :class:`BadPackage` at damage, at more than ``max_members`` headers, and when the end marker is missing or followed by anything but zeros.
    """
    extended: dict[str, str] = {}
    for _header in range(max_members + 1):
        block = source.up_to(BLOCK)
        if len(block) < BLOCK:
            raise BadPackage("the archive ends without its end marker", code="truncated")
        if not block.strip(b"\0"):
            _expect_only_zeros(source)
            return
        if not _checksum_is_right(block):
            raise BadPackage("a header of the archive is damaged")
        kind = block[156:157]
        size = _number(block[124:136])
        if kind in (b"x", b"L"):
            content = _extended_header(source, size)
            if kind == b"x":
                extended |= _pax_records(content)
            else:
                extended["path"] = content.rstrip(b"\0").decode("utf-8", "replace")
            continue
        if "size" in extended:
            size = _decimal(extended["size"])
        name = extended.get("path", _name(block))
        sparse = kind == b"S" or any(key.startswith("GNU.sparse.") for key in extended)
        regular = kind in _REGULAR and not sparse and not name.endswith("/")
        if kind == b"S":
            _skip_sparse_map(source, block)
        member = Member(name, regular, 0 if kind in _EMPTY else size, source)
        padding = -member.left % BLOCK
        yield member
        for _piece in member.pieces():
            pass
        if len(source.up_to(padding)) < padding:
            raise BadPackage("the archive ends inside a member", code="truncated")
        if kind not in (b"g", b"K"):
            extended = {}
    raise BadPackage("too many members in the archive")


def _expect_only_zeros(source: ByteSource) -> None:
    for piece in rest(source):
        if bytes(piece).strip(b"\0"):
            raise BadPackage("something follows the end of the archive")


def _checksum_is_right(block: bytes) -> bool:
    try:
        said = int(block[148:156].strip(b" \0") or b"-1", 8)
    except ValueError:
        return False
    total = sum(block[:148]) + 8 * 0x20 + sum(block[156:])
    if said == total:
        return True
    # Some old tools summed signed bytes.
    return said == total - 256 * sum(byte > 127 for byte in block[:148] + block[156:])


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU base-256
        if field[0] != 0x80:
            raise BadPackage("a header of the archive has a negative size")
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not all(0x30 <= digit <= 0x37 for digit in digits):
        raise BadPackage("a header of the archive has no readable size")
    return int(digits or b"0", 8)


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise BadPackage("an extended header of the archive has no readable size")
    return int(text)


def _name(block: bytes) -> str:
    name = block[:100].split(b"\0", 1)[0]
    if block[257:263] == b"ustar\0" and block[345] != 0:
        name = block[345:500].split(b"\0", 1)[0] + b"/" + name
    return name.decode("utf-8", "replace")


def _extended_header(source: ByteSource, size: int) -> bytes:
    if size > _MAX_EXTENDED:
        raise BadPackage("an extended header of the archive is too long")
    padded = size + -size % BLOCK
    content = source.up_to(padded)
    if len(content) < padded:
        raise BadPackage("the archive ends inside an extended header", code="truncated")
    return content[:size]


def _pax_records(content: bytes) -> dict[str, str]:
    """``"%d %s=%s\\n"`` records (POSIX.1-2001 pax, extended header format)."""
    records = {}
    at = 0
    while at < len(content):
        digits, space, _rest = content[at : at + 12].partition(b" ")
        if not space or not digits.isdigit():
            raise BadPackage("an extended header of the archive is damaged")
        end = at + int(digits)
        key, equals, value = content[at + len(digits) + 1 : end].partition(b"=")
        if end > len(content) or not equals or not value.endswith(b"\n"):
            raise BadPackage("an extended header of the archive is damaged")
        records[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "replace")
        at = end
    return records


def _skip_sparse_map(source: ByteSource, block: bytes) -> None:
    more = block[482] != 0
    while more:
        extension = source.up_to(BLOCK)
        if len(extension) < BLOCK:
            raise BadPackage("the archive ends inside a sparse member", code="truncated")
        more = extension[504] != 0


def header(name: str, size: int, *, mtime: int) -> bytes:
    """A ustar header of a regular file; ``size`` below 8 GiB in bytes, ``mtime`` in seconds since 1970."""
    if size >= 8**11:
        raise ValueError("a member of a package is below 8 GiB")
    block = bytearray(BLOCK)
    block[0 : len(name)] = name.encode("ascii")
    block[100:108] = b"0000644\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % mtime
    block[148:156] = b" " * 8
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[329:345] = b"0000000\x000000000\0"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
