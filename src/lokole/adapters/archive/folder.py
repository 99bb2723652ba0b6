"""A folder in which each container is a folder and each object a file below it, as the LOCAL provider keeps them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

from lokole.mail.errors import BadPackage, NotFound, Temporary


class FolderArchive:
    """See :class:`~lokole.ports.archive.Archive`. Access times stay as they were where the files are ours."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, container: str) -> list[str]:
        base = self._path(container)
        if not base.is_dir():
            raise NotFound("no such container")
        found = []
        for folder, _, names in os.walk(base, onerror=_not_readable):
            found += [Path(folder, name).relative_to(base).as_posix() for name in names]
        return sorted(found)

    def read(self, container: str, name: str, max_bytes: int) -> bytes:
        path = self._path(container, *name.split("/"))
        try:
            with open(path, "rb", opener=_leaving_no_trace) as file:
                content = file.read(max_bytes + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound("no such object") from error
        except OSError as error:
            _not_readable(error)
        if len(content) > max_bytes:
            raise BadPackage("it is too large")
        return content

    def _path(self, *parts: str) -> Path:
        if not all(part and part not in (".", "..") and "\x00" not in part and "/" not in part for part in parts):
            raise NotFound("no such object")
        return self._root.joinpath(*parts)


def _leaving_no_trace(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # only the owner may ask for it
        return os.open(path, flags)


def _not_readable(error: OSError) -> NoReturn:
    raise Temporary(f"the folder cannot be read: {errno.errorcode.get(error.errno or 0, 'OSError')}") from error
