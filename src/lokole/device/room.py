"""How full the disk of the box is, and what of it is the box's own."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import make_url

from lokole.device.settings import DeviceSettings
from lokole.webmail.parts import Room


def room_of(settings: DeviceSettings, *, whole: bool) -> Room:
    """The disk that keeps the box; with ``whole`` its database and files are weighed, which reads the folder of the latter."""
    disk = shutil.disk_usage(settings.data)
    if not whole:
        return Room(free=disk.free, total=disk.total)
    database = Path(make_url(settings.database_url).database or "")
    beside = [database.with_name(database.name + ending) for ending in ("", "-wal", "-shm")]
    return Room(
        free=disk.free,
        total=disk.total,
        database=sum(_size(path) for path in beside),
        files=_weight(Path(unquote(urlsplit(settings.blobs_url).path))),
    )


def _weight(folder: Path) -> int:
    found = 0
    for inside, _folders, names in os.walk(folder):
        found += sum(_size(Path(inside) / name) for name in names)
    return found


def _size(path: Path) -> int:
    with suppress(OSError):  # it may go while it is looked at
        return path.stat().st_size
    return 0
