"""Style, pictures and scripts: a few small files, held in memory with their gzip form.

Their address carries a digest of their content, so that a browser keeps them for ever and still sees a new release at once.
The picture sheet ``i.svg`` is one request for all icons and all drum names; pages refer to it by ``<use>``.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import cast

from flask import current_app

from lokole.webmail import drum

_SYMBOL = re.compile('<symbol id="([a-z0-9]+)"')
_TYPES = {
    "style.css": "text/css; charset=utf-8",
    "letter.css": "text/css; charset=utf-8",
    "i.svg": "image/svg+xml",
    "favicon.png": "image/png",
    "icon.png": "image/png",
    "pictures.svg": "image/svg+xml",
    "lokole.js": "text/javascript; charset=utf-8",
    "guard.js": "text/javascript; charset=utf-8",
    "people.js": "text/javascript; charset=utf-8",
    "keep.js": "text/javascript; charset=utf-8",
    "worker.js": "text/javascript; charset=utf-8",
    "write.js": "text/javascript; charset=utf-8",
    "offline.js": "text/javascript; charset=utf-8",
    "attach.js": "text/javascript; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file; ``digest`` is the part of its address that changes with its content."""

    name: str
    type: str
    digest: str
    content: bytes
    gzipped: bytes | None


def loaded() -> dict[str, Asset]:
    """The files of the application that answers the current request."""
    return cast("dict[str, Asset]", current_app.extensions["lokole-assets"])


def icons() -> list[str]:
    """The names of the icons on the sheet, drum names left out."""
    names = _SYMBOL.findall(loaded()["i.svg"].content.decode())
    return [name for name in names if not (name[0] == "d" and name[1:].isdecimal())]


def load() -> dict[str, Asset]:
    """All files by name; ``RuntimeError`` when the installation lacks one."""
    folder = resources.files("lokole.webmail").joinpath("static")
    found = {}
    for name, type_ in _TYPES.items():
        try:
            content = folder.joinpath(name).read_bytes()
        except OSError as error:
            raise RuntimeError(f"this installation lacks {name}") from error
        if name == "i.svg":
            content = content.replace(b"</svg>", drum.symbols().encode() + b"</svg>")
        small = gzip.compress(content, 9, mtime=0) if type_ != "image/png" else None
        digest = hashlib.sha256(content).hexdigest()[:7]
        found[name] = Asset(name, type_, digest, content, small)
    return found
