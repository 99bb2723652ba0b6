"""A store that lives as long as its process: for tests and simulations. Safe to share between threads."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from lokole.adapters.blobs.keys import checked
from lokole.mail.errors import NotFound


class MemoryBlobStore:
    """See :class:`~lokole.ports.blobs.BlobStore`; "durable" means as durable as the process."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, key: str, content: bytes | Iterable[bytes]) -> bool:
        checked(key)
        whole = content if isinstance(content, bytes) else b"".join(content)
        with self._lock:
            if key in self._blobs:
                return False
            self._blobs[key] = whole
            return True

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self._find(key))

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        whole = self._find(key)
        return whole[start:] if length is None else whole[start : start + length]

    def size(self, key: str) -> int:
        return len(self._find(key))

    def delete(self, key: str) -> None:
        with self._lock:
            self._blobs.pop(checked(key), None)

    def list(self, prefix: str = "") -> Iterator[str]:
        with self._lock:
            found = sorted(key for key in self._blobs if key.startswith(prefix))
        return iter(found)

    def _find(self, key: str) -> bytes:
        with self._lock:
            found = self._blobs.get(checked(key))
        if found is None:
            raise NotFound("no such blob")
        return found
