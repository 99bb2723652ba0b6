"""Packages that are on their way down: what has come of each, on the disk, so that a cut costs one chunk at most (protocol 4.11).

A file ``SHA256.part`` for each, made longer chunk by chunk, each durable before the next is waited for; what came of a chunk when the
line dropped is kept too. After a SIGKILL, or the next night, the package goes on from there.
What is here is believed only when the digest of the whole is right; whoever finds it wrong forgets it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from lokole.mail.errors import Temporary
from lokole.ports.sync_peer import Offered, SyncPeer

CHUNK_BYTES = 16 * 1024
_ENDING = ".part"


class Parts:
    """The parts in ``folder``; without one nothing is kept, and every package begins from its first byte."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def fetch(self, peer: SyncPeer, offered: Offered) -> Iterator[bytes]:
        """All bytes of ``offered``: what is here, and the rest from ``peer``. Raises what ``peer`` raises, and Temporary for the disk."""
        if self._folder is None or offered.size <= CHUNK_BYTES:
            yield from peer.download(offered)
            return
        path = self._path(self._folder, offered.ref)
        try:
            here = path.stat().st_size if path.exists() else 0
            if here > offered.size:
                path.unlink()
                here = 0
            if here < offered.size:
                _receive(path, peer.download(offered, start=here))
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise Temporary(f"a package that came in part could not be kept ({error.strerror})") from error

    def forget(self, ref: str) -> None:
        """The package is kept elsewhere now, or what is here of it is wrong."""
        if self._folder is not None:
            self._path(self._folder, ref).unlink(missing_ok=True)

    def keep_only(self, refs: Collection[str]) -> None:
        """Forget what the server offers no more."""
        if self._folder is not None and self._folder.is_dir():
            for path in self._folder.glob(f"*{_ENDING}"):
                if path.name.removesuffix(_ENDING) not in refs:
                    path.unlink(missing_ok=True)

    @staticmethod
    def _path(folder: Path, ref: str) -> Path:
        return folder / f"{ref}{_ENDING}"


def _receive(path: Path, pieces: Iterator[bytes]) -> None:
    """Add ``pieces`` to the file, durable chunk by chunk."""
    new = not path.exists()
    with path.open("ab", buffering=0) as file:
        if new:
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        rest = bytearray()
        try:
            for piece in pieces:
                rest += piece
                if len(rest) >= CHUNK_BYTES:
                    whole = len(rest) // CHUNK_BYTES * CHUNK_BYTES
                    _add(file.fileno(), rest[:whole])
                    del rest[:whole]
        finally:
            if rest:
                _add(file.fileno(), rest)


def _add(file: int, content: bytearray) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
    os.fdatasync(file)
