"""The rule that keys of blobs keep, whatever the store: no key can leave the store or mean two things."""

from __future__ import annotations

import re

from lokole.mail.errors import Refused

_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,255}")
_MAX_KEY = 900


def checked(key: str) -> str:
    """``key`` when it keeps the rule of :class:`~lokole.ports.blobs.BlobStore`; raises Refused with code ``key``."""
    segments = key.split("/")
    if len(key) > _MAX_KEY or not all(_SEGMENT.fullmatch(part) and part not in (".", "..") for part in segments):
        raise Refused("this is not the key of a blob", code="key")
    return key


def folder_of(prefix: str) -> str | None:
    """The whole segments of ``prefix`` ("" without any); None when no key can begin with it."""
    folder = prefix.rpartition("/")[0]
    try:
        return checked(folder) if "/" in prefix else ""
    except Refused:
        return None
