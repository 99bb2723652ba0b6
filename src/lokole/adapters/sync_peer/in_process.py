"""The two ends of an exchange in one process: what a box meets where no server runs.

It keeps packages as a server does (immutable, by digest and number, offered until acknowledged) and nothing else:
whoever has the other end reads :attr:`InProcessExchange.uploaded` and calls :meth:`InProcessExchange.offer`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from lokole.mail.errors import BadPackage, NotFound, Refused
from lokole.mail.model import PackageRef
from lokole.ports.sync_peer import Compared, Offered, Offers
from lokole.sync.digest import Summary
from lokole.sync.records import PackageDigest

CHUNK_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A package that came up, as it was named and numbered."""

    ref: PackageRef
    epoch: int
    seq: int
    type: str
    content: bytes


class InProcessExchange:
    """Implements :class:`lokole.ports.sync_peer.SyncPeer` for a box; ``epoch`` is that of the other end."""

    def __init__(self, *, epoch: int = 1) -> None:
        self.epoch = epoch
        self.uploaded: list[Uploaded] = []
        self.acknowledged: set[tuple[int, int]] = set()
        self.bytes_up = 0
        self.bytes_down = 0
        #: of each time that somebody asked for packages, whether they had told all that they know
        self.heard_all: list[bool] = []
        self._offered: dict[int, tuple[Offered, bytes]] = {}

    # --- the box's side ----------------------------------------------------------------------

    def upload(
        self, ref: PackageRef, *, epoch: int, seq: int, type: str, size: int, content: BinaryIO, again: bool = False
    ) -> None:
        read = content.read()
        self.bytes_up += len(read)
        if len(read) != size or hashlib.sha256(read).hexdigest() != ref:
            raise Refused("the package is not the one of its name", code="digest")
        for known in self.uploaded:
            if known.ref == ref:
                return
            if (known.epoch, known.seq) == (epoch, seq):
                raise Refused("this number belongs to another package", code="seq")
        self.uploaded.append(Uploaded(ref, epoch, seq, type, read))

    def offers(self, *, after: int, digest: Summary | None = None, unsent: bool = False) -> Offers:
        self.heard_all.append(not unsent)
        waiting = [
            offered
            for seq, (offered, _) in sorted(self._offered.items())
            if seq > after and (self.epoch, seq) not in self.acknowledged
        ]
        return Offers(waiting, epoch=self.epoch)

    def compare(self, packages: Sequence[PackageDigest]) -> Compared:
        return Compared()

    def download(self, offered: Offered, *, start: int = 0) -> Iterator[bytes]:
        for known, content in self._offered.values():
            if known.ref == offered.ref:
                for at in range(start, len(content), CHUNK_BYTES):
                    chunk = content[at : at + CHUNK_BYTES]
                    self.bytes_down += len(chunk)
                    yield chunk
                return
        raise NotFound("no such package")

    def acknowledge(self, *, epoch: int, seq: int, beyond: list[int], check: str = "") -> None:
        numbers = {number for number in self._offered if number <= seq} | set(beyond)
        self.acknowledged.update((epoch, number) for number in numbers)

    def close(self) -> None:
        """There is no line to hang up."""

    # --- the other side ----------------------------------------------------------------------

    def offer(self, content: bytes, *, type: str, seq: int | None = None) -> Offered:
        """Let ``content`` wait for the box under the next number, or ``seq``; raises BadPackage when the number is taken."""
        number = max(self._offered, default=0) + 1 if seq is None else seq
        if number in self._offered:
            raise BadPackage("this number belongs to another package")
        ref = PackageRef(hashlib.sha256(content).hexdigest())
        offered = Offered(ref, self.epoch, number, len(content), type)
        self._offered[number] = (offered, content)
        return offered
