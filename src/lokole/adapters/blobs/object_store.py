"""Blobs in Azure, S3 (or what speaks like it) and Google Cloud, by obstore.

What fits into memory (8 MiB) is created only when its key is free, in one request that the store decides. More is sent in parts after
asking whether the key is there: two writers of one long blob at the same moment both write it, which is harmless because keys are digests of
their content or unique. The container must exist; nothing here makes one.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from lokole.adapters.blobs.keys import checked, folder_of
from lokole.mail.errors import NotFound, Temporary

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_WHOLE_BYTES = 8 * 1024 * 1024
_PART_BYTES = 5 * 1024 * 1024
_READ_BYTES = 1024 * 1024

#: every request ends; the caller's job tries again much later
CLIENT: ClientConfig = {"timeout": timedelta(seconds=120), "connect_timeout": timedelta(seconds=15)}
RETRIES: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}


class ObjectBlobStore:
    """See :class:`~lokole.ports.blobs.BlobStore`; ``store`` is obstore's. Safe to share between threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, key: str, content: bytes | Iterable[bytes]) -> bool:
        checked(key)
        pieces = iter((content,) if isinstance(content, bytes) else content)
        begin: list[bytes] = []
        size = 0
        for piece in pieces:
            begin.append(piece)
            size += len(piece)
            if size > _WHOLE_BYTES:
                return self._put_long(key, chain(begin, pieces))
        with _translated():
            try:
                obstore.put(self._store, key, b"".join(begin), mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
        return True

    def open(self, key: str) -> BinaryIO:
        return cast("BinaryIO", io.BufferedReader(_Reader(self, key, self.size(key)), _READ_BYTES))

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        checked(key)
        with _translated():
            if start == 0 and length is None:
                return bytes(obstore.get(self._store, key).bytes())
            # a range that begins at the end, or is empty, is an error to some stores
            size = self.size(key)
            end = size if length is None else min(size, start + length)
            if start >= end:
                return b""
            return bytes(obstore.get_range(self._store, key, start=start, end=end))

    def size(self, key: str) -> int:
        checked(key)
        with _translated():
            return int(obstore.head(self._store, key)["size"])

    def delete(self, key: str) -> None:
        checked(key)
        try:
            with _translated():
                obstore.delete(self._store, key)
        except NotFound:
            return

    def list(self, prefix: str = "") -> Iterator[str]:
        folder = folder_of(prefix)  # obstore's own prefix is whole segments
        if folder is None:
            return iter(())
        found: list[str] = []
        with _translated():
            for batch in obstore.list(self._store, folder or None, chunk_size=1000):
                found += [one["path"] for one in batch if one["path"].startswith(prefix)]
        return iter(sorted(found))

    def _put_long(self, key: str, pieces: Iterator[bytes]) -> bool:
        try:
            self.size(key)
        except NotFound:
            pass
        else:
            return False
        with _translated():
            obstore.put(
                self._store,
                key,
                pieces,
                use_multipart=True,
                chunk_size=_PART_BYTES,
                max_concurrency=2,
            )
        return True


class _Reader(io.RawIOBase):
    def __init__(self, store: ObjectBlobStore, key: str, size: int) -> None:
        self._blobs, self._key, self._size, self._at = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        wanted = min(len(view), self._size - self._at)
        if wanted <= 0:
            return 0
        with _translated():
            piece = bytes(obstore.get_range(self._blobs._store, self._key, start=self._at, end=self._at + wanted))
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("no such blob") from error
    except (BaseError, TimeoutError, ConnectionError) as error:
        raise Temporary(f"the object store did not answer well: {type(error).__name__}") from error
