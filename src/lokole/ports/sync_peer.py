"""The other end of an exchange, seen from the box."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from lokole.mail.model import PackageRef


@dataclass(frozen=True, slots=True)
class Offered:
    """A package that waits at the server; ``size`` in bytes, ``type`` the content type of its payload."""

    ref: PackageRef
    epoch: int
    seq: int
    size: int
    type: str


class SyncPeer(Protocol):
    """Upload, look, download, acknowledge. Every call may be repeated; only ``acknowledge`` lets the server forget.

    Raises Temporary (no link, deadline), Refused (revoked, unknown, wrong), BadPackage (bytes are not what their name says).

    ``bytes_up`` and ``bytes_down`` are what has gone over the line so far, without TLS.
    """

    @property
    def bytes_up(self) -> int: ...

    @property
    def bytes_down(self) -> int: ...

    def upload(self, ref: PackageRef, *, epoch: int, seq: int, type: str, size: int, content: BinaryIO) -> None:
        """Hand over one package; returns only after the server has said that it holds it for good."""

    def offers(self, *, after: int) -> list[Offered]:
        """The packages with a sequence number above ``after``, oldest first; changes nothing."""

    def download(self, offered: Offered) -> Iterator[bytes]:
        """The bytes of one package; changes nothing."""

    def acknowledge(self, *, epoch: int, seq: int, beyond: list[int]) -> None:
        """Say what is stored for good here: everything up to ``seq``, and those of ``beyond``."""

    def close(self) -> None:
        """Hang up; nothing that was said is taken back."""
