"""The storage of a first Lokole's server, which is only ever read."""

from __future__ import annotations

from typing import Protocol


class Archive(Protocol):
    """Objects by name in containers. A name may hold any letter, ``@`` too, and ``/`` between its parts; nothing here writes.

    Every method may raise :class:`~lokole.mail.errors.Temporary` (out of reach) and
    :class:`~lokole.mail.errors.Refused` with code ``setting`` (the key is wrong).
    """

    def names(self, container: str) -> list[str]:
        """The names of all objects of ``container``, sorted; raises NotFound when there is no such container."""

    def read(self, container: str, name: str, max_bytes: int) -> bytes:
        """The bytes of one object as they are stored; raises NotFound, and BadPackage when there are more than ``max_bytes``."""
