"""The built status page (``statuspage/`` of the repository, `make statuspage`) as a browser is given it, whoever serves it.

A file below ``assets/`` carries a digest of its content in its name, so that a browser may keep it for a year;
the page that names them is asked for again each time.
"""

from __future__ import annotations

import functools
import gzip
import json
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

#: what the page may do: run and show what comes with it, ask a server, show the picture of who came in by GitHub
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self' https: http://localhost:* http://127.0.0.1:*; "
    "img-src 'self' https://github.com https://avatars.githubusercontent.com; base-uri 'none'; form-action 'none'"
)
_NAME = re.compile(r"(?:assets/)?[A-Za-z0-9_-][A-Za-z0-9._-]*")
_YEAR = 365 * 24 * 60 * 60
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class StatusFile:
    """One file; ``small`` is ``body`` in gzip, None where that is not smaller."""

    body: bytes
    small: bytes | None
    type: str
    headers: Mapping[str, str]


@functools.cache
def get_file(name: str) -> StatusFile | None:
    """The file ``name`` (``""`` is the page itself), or None; kept in memory, as they are few."""
    name = name or "index.html"
    if _NAME.fullmatch(name) is None:
        return None
    try:
        body = resources.files("lokole.server").joinpath("status", *name.split("/")).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None
    suffix = f".{name.rpartition('.')[2]}"
    small = gzip.compress(body, 9, mtime=0)
    return StatusFile(
        body,
        small if len(small) < len(body) else None,
        _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream"),
        {
            "Cache-Control": f"public, max-age={_YEAR}, immutable" if name.startswith("assets/") else "no-cache",
            "Content-Security-Policy": f"{CSP}; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "Vary": "Accept-Encoding",
        },
    )


def config(*, endpoint: str = "", github: bool = False, links: Mapping[str, str] | None = None) -> bytes:
    """``config.json``: where the page's server is ("" is where the page comes from), how one signs in there, and links at its foot."""
    return json.dumps({"endpoint": endpoint, "github": github, "links": dict(links or {})}).encode()
