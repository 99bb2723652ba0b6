"""Archives and letters for the tests of this folder, made with the standard library only."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from lokole.mail.errors import BadPackage
from lokole.sync.package import SERVER, Limits, read_package
from lokole.sync.records import Record


def letter(uid: str, **fields: Any) -> bytes:
    """One line with its line end."""
    return json.dumps({"_uid": uid, "from": "a@b.c", "to": ["x@y.z"], "subject": uid, **fields}).encode() + b"\n"


def archive(*members: tuple[str, bytes] | tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive of files, and of entries that have no content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return out.getvalue()


def read_all(data: bytes, limits: Limits = SERVER) -> tuple[list[Record], str | None]:
    """The records, and why the package could not be read on, if so."""
    records: list[Record] = []
    try:
        for record in read_package(io.BytesIO(data), limits=limits):
            records.append(record)
    except BadPackage as error:
        return records, str(error)
    return records, None


def uids(records: list[Record]) -> list[str]:
    """The uid of each, ``bad`` for what could not be read."""
    return [getattr(record, "uid", getattr(record, "address", "bad")) for record in records]
