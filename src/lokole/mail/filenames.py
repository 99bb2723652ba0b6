"""File names of attachments: what a sender claims, as a name that any file system and page can take.

It does not make names unique: a letter may carry two files of one name.
"""

from __future__ import annotations

import re
import unicodedata

_NOT_ALLOWED = re.compile(r'[\x00-\x1f\x7f<>:"|?*\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')
_EXTENSIONS = {
    "application/gzip": ".gz",
    "application/json": ".json",
    "application/msword": ".doc",
    "application/pdf": ".pdf",
    "application/rtf": ".rtf",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/zip": ".zip",
    "audio/amr": ".amr",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
    "text/css": ".css",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/xml": ".xml",
    "video/3gpp": ".3gp",
    "video/mp4": ".mp4",
}


def extension_of(media_type: str) -> str:
    """The usual extension with its dot, ``.eml`` for messages, ``.bin`` when there is none."""
    if media_type.startswith(("message/", "multipart/")):
        return ".eml"
    return _EXTENSIONS.get(media_type, ".bin")


def safe_filename(name: str, limit: int = 120) -> str:
    """``name`` without folders, control characters and reversing marks, at most ``limit`` characters; ``file`` when nothing is left."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = " ".join(_NOT_ALLOWED.sub("", name).split()).strip(". ")
    if len(name) > limit:
        stem, dot, extension = name.rpartition(".")
        name = (
            stem[: limit - len(extension) - 1].rstrip() + dot + extension
            if dot and len(extension) <= 10
            else name[:limit]
        )
    return name or "file"
