"""Blobs as files of one folder; what ``put`` has answered survives a power cut.

Layout: the key is the path below the folder. A file is written beside its place under a name beginning with ``.new-``,
flushed to the disk (fsync), then linked to its name, which fails when the name is taken: create only, without a gap.
The folder is flushed too, and every folder made on the way, because a name that is not on the disk is a file that is not there.
What a power cut leaves under ``.new-`` is swept at the next start (:meth:`FolderBlobStore.sweep`).
It does not compress, encrypt or count; a file once there is never written again.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lokole.adapters.blobs.keys import checked, folder_of
from lokole.mail.errors import NotFound, Temporary

_NEW = ".new-"


class FolderBlobStore:
    """See :class:`~lokole.ports.blobs.BlobStore`. ``root`` is made when it is not there, mode 0700. Threads and processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        with _writing():
            self._make_folder(self.root)

    def put(self, key: str, content: bytes | Iterable[bytes]) -> bool:
        path = self._path(key)
        if path.exists():
            # whoever is creating it may not have come to flush its name yet
            with _writing():
                _flush_folder(path.parent)
            return False
        with _writing():
            self._make_folder(path.parent)
            beside = path.parent / f"{_NEW}{secrets.token_hex(8)}"
            try:
                with beside.open("xb") as file:
                    for piece in (content,) if isinstance(content, bytes) else content:
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
                created = _link(beside, path)
            finally:
                beside.unlink(missing_ok=True)
            _flush_folder(path.parent)
        return created

    def open(self, key: str) -> BinaryIO:
        with _reading():
            return self._path(key).open("rb")

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        with _reading(), self._path(key).open("rb") as file:
            file.seek(start)
            return file.read() if length is None else file.read(length)

    def size(self, key: str) -> int:
        with _reading():
            found = self._path(key).stat()
        if not stat.S_ISREG(found.st_mode):
            raise NotFound("no such blob")
        return found.st_size

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _writing():
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _flush_folder(path.parent)

    def list(self, prefix: str = "") -> Iterator[str]:
        within = folder_of(prefix)
        if within is None:
            return iter(())
        base = self.root / within
        with _writing():
            found = [
                path.relative_to(self.root).as_posix()
                for folder, _, names in os.walk(base)
                for path in (Path(folder, name) for name in names if not name.startswith(_NEW))
            ]
        return iter(sorted(key for key in found if key.startswith(prefix)))

    def sweep(self) -> int:
        """Remove what interrupted writes left; call it before anything else uses the folder. Returns how many files."""
        count = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                if name.startswith(_NEW):
                    Path(folder, name).unlink(missing_ok=True)
                    count += 1
        return count

    def _path(self, key: str) -> Path:
        if checked(key).rpartition("/")[2].startswith(_NEW):
            raise NotFound("no such blob")
        return self.root / key

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for one in reversed(missing):
            with suppress(FileExistsError):
                one.mkdir(mode=0o700)
            _flush_folder(one.parent)


def _link(beside: Path, path: Path) -> bool:
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    except OSError as error:
        # a file system without hard links (FAT, some network folders): a name reserved first, then replaced
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        if path.exists():
            return False
        beside.replace(path)
    return True


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _reading() -> Iterator[None]:
    with _writing():
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound("no such blob") from error


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # disk full, read-only, input/output error: later it may work; the path stays out of the message
        kind = errno.errorcode.get(error.errno or 0, "OSError")
        raise Temporary(f"the folder of blobs did not take it: {kind}") from error
