"""Where bytes are kept: attachments, raw MIME, packages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol


class BlobStore(Protocol):
    """Immutable blobs under keys such as ``tenant/sha256``; segments of ``[A-Za-z0-9._-]``, joined by ``/``, none of them ``.`` or ``..``.

    Every method may raise :class:`~lokole.mail.errors.Temporary` (store out of reach, disk full);
    a key that breaks the rule above raises :class:`~lokole.mail.errors.Refused`.
    Nothing is visible under a key before all of it is durable.
    """

    def put(self, key: str, content: bytes | Iterable[bytes]) -> bool:
        """Store ``content`` under ``key``, create only; durable when it returns.

        Returns True when it was created, False when the key existed already (which is left as it was).
        """

    def open(self, key: str) -> BinaryIO:
        """A readable stream from the start; raises NotFound."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """``length`` bytes (all when None) from offset ``start``; past the end gives fewer or none; raises NotFound."""

    def size(self, key: str) -> int:
        """Size in bytes; raises NotFound."""

    def delete(self, key: str) -> None:
        """Forget ``key``; a key that is not there is no error."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """All keys that begin with ``prefix`` (plain text comparison), sorted."""
