"""From one address to the storage of a first Lokole's server: ``azure://ACCOUNT`` or ``folder:///path``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from lokole.adapters.archive.folder import FolderArchive
from lokole.mail.errors import Refused
from lokole.ports.archive import Archive


def open_archive(url: str, key: str | None = None) -> Archive:
    """The storage that ``url`` names, without a container; ``key`` is the account's and never stands in ``url``.

    Raises Refused with code ``setting`` and a sentence that says what is wrong.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if parts.scheme == "folder" and not parts.netloc and parts.path.startswith("/"):
        root = Path(unquote(parts.path))
        if not root.is_dir():
            raise Refused(f"there is no folder {root}", code="setting")
        return FolderArchive(root)
    if parts.scheme == "azure" and parts.netloc and not parts.path.strip("/") and not set(options) - {"endpoint"}:
        # imported here: a folder needs no obstore
        from lokole.adapters.archive.azure import AzureArchive

        return AzureArchive(parts.netloc, key, options.get("endpoint"))
    shown = url.partition("?")[0]
    raise Refused(
        f"the storage {shown!r} cannot be opened: known are azure://ACCOUNT[?endpoint=URL] and folder:///path",
        code="setting",
    )
