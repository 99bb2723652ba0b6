"""The other end of an exchange, seen from the box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from lokole.mail.model import PackageRef
from lokole.sync.digest import Summary
from lokole.sync.records import PackageDigest


@dataclass(frozen=True, slots=True)
class Offered:
    """A package that waits at the server; ``size`` in bytes, ``type`` the content type of its payload."""

    ref: PackageRef
    epoch: int
    seq: int
    size: int
    type: str


class Offers(list[Offered]):
    """The packages that wait, oldest first, and what the server said beside: ``digest`` is ``ok``, ``differs`` or ``none``."""

    def __init__(self, packages: Iterable[Offered] = (), *, digest: str = "none", epoch: int | None = None) -> None:
        super().__init__(packages)
        self.digest = digest
        self.epoch = epoch


@dataclass(frozen=True, slots=True)
class Compared:
    """What the server found between both ends' packages (protocol 4.13)."""

    up: tuple[tuple[int, int], ...] = ()
    withdrawn: tuple[tuple[str, int, int], ...] = ()
    again: int = 0
    missing: int = 0
    letters: int = 0


class SyncPeer(Protocol):
    """Upload, look, download, acknowledge. Every call may be repeated; only ``acknowledge`` lets the server forget.

    Raises Temporary (no link, deadline), Refused (revoked, unknown, wrong), BadPackage (bytes are not what their name says).

    ``bytes_up`` and ``bytes_down`` are what has gone over the line so far, without TLS.
    """

    @property
    def bytes_up(self) -> int: ...

    @property
    def bytes_down(self) -> int: ...

    def upload(
        self, ref: PackageRef, *, epoch: int, seq: int, type: str, size: int, content: BinaryIO, again: bool = False
    ) -> None:
        """Hand over one package; returns only after the server has said that it holds it for good.

        With ``again`` some of it may be there from a time before: what the server has need not go again.
        """

    def offers(self, *, after: int, digest: Summary | None = None, unsent: bool = False) -> Offers:
        """The packages with a sequence number above ``after``, oldest first; ``digest`` is what is held here. Changes nothing.

        With ``unsent`` there is more to tell than has arrived, people above all: who is unknown there may live here (protocol 4.6).
        """

    def compare(self, packages: Sequence[PackageDigest]) -> Compared:
        """Say package by package what is held here, when the digests differ (protocol 4.13)."""

    def download(self, offered: Offered, *, start: int = 0) -> Iterator[bytes]:
        """The bytes of one package from ``start`` on, which is below its size; changes nothing."""

    def acknowledge(self, *, epoch: int, seq: int, beyond: list[int], check: str = "") -> None:
        """Say what is stored for good here: everything up to ``seq``, and those of ``beyond``; ``check`` as in protocol 4.8."""

    def close(self) -> None:
        """Hang up; nothing that was said is taken back."""
