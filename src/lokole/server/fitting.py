"""A letter whose text is larger than a box reads in one piece: its beginning travels as the text, the whole of it as a file."""

from __future__ import annotations

import json

from lokole.mail.html import html_to_text, text_to_html
from lokole.mail.model import Attachment
from lokole.sync.package import BOX

#: As version 1 writes it, with six bytes for a letter outside ASCII; the other half is for people and subject.
MAX_TEXT_BYTES = BOX.max_text_bytes // 2
BEGINNING_CHARS = 50_000
_WORST = 12  # bytes of one character: two escaped surrogates


def fitting_text(body: str) -> tuple[str, tuple[Attachment, ...]]:
    """``body`` as a box can read it, and the file that holds what was too much; ``body`` itself and none when it fits."""
    if len(body) * _WORST <= MAX_TEXT_BYTES or len(json.dumps(body)) <= MAX_TEXT_BYTES:
        return body, ()
    beginning = html_to_text(body[: 4 * BEGINNING_CHARS])[:BEGINNING_CHARS]
    told = "This is the beginning of a very long letter. The whole of it is in the file letter.html."
    whole = f"<!doctype html><meta charset=utf-8>{body}".encode("utf-8", "replace")
    return f"<p><i>{told}</i></p>{text_to_html(beginning)}<p>…</p>", (Attachment("letter.html", whole, "text/html"),)
