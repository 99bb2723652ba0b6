"""Do both ends hold the same letters? Windows of packages, a summary of a few dozen bytes, and what differs (protocol 8.5).

Pure: whoever has the tables says what each package carried and what is held; windows are numbers, so that no clock is compared.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lokole.mail.errors import BadPackage, Refused
from lokole.mail.model import EmailId
from lokole.sync.bodies import MAX_WINDOWS, read_hash
from lokole.sync.records import PackageDigest, Window

NO_LETTERS = bytes(16)
NO_NAME = bytes(8)
_WINDOW = re.compile(r"([du])=([A-Za-z0-9_-]{11})\.([1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})")
_REST = re.compile(r"n=(0|[1-9][0-9]{0,17}),h=([A-Za-z0-9_-]{22})")
_MAX_HEADER = 1_000
MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Summary:
    """What an end holds in ``windows``: the number of letters, and 16 bytes that are equal only where every package is."""

    windows: tuple[Window, ...]
    count: int
    hash: bytes

    def agrees(self, other: Summary) -> bool:
        """Whether two ends hold the same of the same windows."""
        return (sorted(self.windows), self.count, self.hash) == (sorted(other.windows), other.count, other.hash)


@dataclass(frozen=True, slots=True)
class Difference:
    """A package of which the two ends do not hold the same; None is an end that does not know it at all."""

    direction: str
    epoch: int
    seq: int
    ours: PackageDigest | None
    theirs: PackageDigest | None

    @property
    def missing_here(self) -> int:
        """How many letters the other end holds that we do not, as far as counts tell."""
        return max(0, _count(self.theirs) - _count(self.ours))

    @property
    def missing_there(self) -> int:
        """How many letters we hold that the other end does not, as far as counts tell."""
        return max(0, _count(self.ours) - _count(self.theirs))

    @property
    def is_another(self) -> bool:
        """Whether the ends mean different packages by this number."""
        names = {one.name for one in (self.ours, self.theirs) if one is not None and one.name != NO_NAME}
        return len(names) > 1

    @property
    def missing_id(self) -> EmailId | None:
        """The one letter that is missing at one end, when it is just one."""
        if self.missing_here + self.missing_there != 1:
            return None
        return EmailId(xor(_xor(self.ours), _xor(self.theirs)))


def package_digest(direction: str, epoch: int, seq: int, ids: Iterable[bytes], *, sha256: str = "") -> PackageDigest:
    """The digest of a package that carried the letters ``ids`` (16 bytes each; one named twice counts once).

    ``sha256`` is its name in hexadecimal: with it another package under the same number shows, even one without letters.
    """
    unique = set(ids)
    total = NO_LETTERS
    for one in unique:
        total = xor(total, one)
    return PackageDigest(direction, epoch, seq, len(unique), total, bytes.fromhex(sha256)[:8] or NO_NAME)


def ack_check(names: Iterable[str]) -> bytes:
    """8 bytes that say which packages an acknowledgement means: the one of its ``seq`` (none for 0) and those beyond, in order.

    ``names`` are digests in hexadecimal. A restored maker has other packages under the same numbers, and must not believe them taken.
    """
    return hashlib.sha256(b"".join(bytes.fromhex(name) for name in names)).digest()[:8]


def xor(one: bytes, other: bytes) -> bytes:
    """Two ids of 16 bytes combined by exclusive or."""
    if len(one) != 16 or len(other) != 16:
        raise ValueError("an id is 16 bytes")
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(16, "big")


def inside(digests: Iterable[PackageDigest], windows: Sequence[Window]) -> Iterator[PackageDigest]:
    """Those of ``digests`` that the windows cover."""
    for one in digests:
        if any(
            (one.direction, one.epoch) == (window.direction, window.epoch) and window.first <= one.seq <= window.last
            for window in windows
        ):
            yield one


def summarise(digests: Iterable[PackageDigest], windows: Sequence[Window]) -> Summary:
    """The summary of what lies in ``windows``; a package named twice raises ``ValueError``."""
    rows = sorted(inside(digests, windows), key=_place)
    if len({_place(one) for one in rows}) < len(rows):
        raise ValueError("a package is there once")
    hashed = hashlib.sha256()
    for one in rows:
        hashed.update(bytes((one.direction == "down",)))
        hashed.update(one.epoch.to_bytes(8, "big") + one.seq.to_bytes(8, "big") + one.count.to_bytes(4, "big"))
        hashed.update(one.xor + one.name)
    return Summary(tuple(sorted(windows)), sum(one.count for one in rows), hashed.digest()[:16])


def diff(
    ours: Iterable[PackageDigest], theirs: Iterable[PackageDigest], windows: Sequence[Window] | None = None
) -> list[Difference]:
    """Every package of which the ends do not hold the same, inside ``windows`` when they are given, in order."""
    here = {_place(one): one for one in (ours if windows is None else inside(ours, windows))}
    there = {_place(one): one for one in (theirs if windows is None else inside(theirs, windows))}
    return [
        Difference(*place, here.get(place), there.get(place))
        for place in sorted(here.keys() | there.keys())
        if not _alike(here.get(place), there.get(place))
    ]


def _alike(ours: PackageDigest | None, theirs: PackageDigest | None) -> bool:
    if ours is None or theirs is None:
        return False
    # a name that one end does not say is no difference
    named = ours.name != NO_NAME and theirs.name != NO_NAME
    return (ours.count, ours.xor) == (theirs.count, theirs.xor) and not (named and ours.name != theirs.name)


def _place(one: PackageDigest) -> tuple[str, int, int]:
    return one.direction, one.epoch, one.seq


def _count(one: PackageDigest | None) -> int:
    return 0 if one is None else one.count


def _xor(one: PackageDigest | None) -> bytes:
    return NO_LETTERS if one is None else one.xor


# --- as text -------------------------------------------------------------------------------------


def write_header(summary: Summary) -> str:
    """The value of ``Lokole-Digest``: ``d=EPOCH.FIRST-LAST,u=…,n=COUNT,h=HASH``; at most 8 windows, else ``ValueError``."""
    if len(summary.windows) > MAX_WINDOWS:
        raise ValueError("a digest has at most 8 windows")
    parts = [
        f"{one.direction[0]}={_text(one.epoch.to_bytes(8, 'big'))}.{one.first}-{one.last}" for one in summary.windows
    ]
    return ",".join([*parts, f"n={summary.count}", f"h={_text(summary.hash)}"])


def read_header(value: str) -> Summary:
    """Read ``Lokole-Digest``; raises :class:`Refused` with code ``digest``."""
    parts = value.strip().split(",") if len(value) <= _MAX_HEADER else []
    rest = _REST.fullmatch(",".join(parts[-2:]))
    found = [_WINDOW.fullmatch(part) for part in parts[:-2]]
    if rest is None or len(found) > MAX_WINDOWS or not all(found):
        raise Refused("Lokole-Digest cannot be read", code="digest")
    try:
        windows = tuple(sorted(_window(match) for match in found if match is not None))
        return Summary(windows, int(rest[1]), read_hash(rest[2]))
    except (ValueError, BadPackage, binascii.Error):
        raise Refused("Lokole-Digest cannot be read", code="digest") from None


def _window(match: re.Match[str]) -> Window:
    epoch = int.from_bytes(base64.urlsafe_b64decode(match[2] + "="), "big")
    first, last = int(match[3]), int(match[4])
    if epoch > MAX_NUMBER or last > MAX_NUMBER or last < first - 1:
        raise ValueError("no window")
    return Window("down" if match[1] == "d" else "up", epoch, first, last)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
