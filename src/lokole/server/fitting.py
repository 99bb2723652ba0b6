"""A letter that is more than a box can take: the beginning of its text and the whole as a file, a few words instead of a file.

The words are in all languages of the pages, always the same: a letter that is packed once more must not look like another one (protocol 8.8).
"""

from __future__ import annotations

import json

from lokole.mail.html import html_to_text, text_to_html
from lokole.mail.model import Attachment
from lokole.sync.package import BOX

#: As version 1 writes it, with six bytes for a letter outside ASCII; the other half is for people and subject.
MAX_TEXT_BYTES = BOX.max_text_bytes // 2
BEGINNING_CHARS = 50_000
_WORST = 12  # bytes of one character: two escaped surrogates

# Lingala and Swahili are drafts for native readers, as the catalogues of the pages are
_BEGINNING = (
    "This is the beginning of a very long letter. The whole of it is in the file letter.html.",
    "Ceci est le début d’une très longue lettre. Elle est entière dans le fichier letter.html.",
    "Oyo ezali ebandeli ya mokanda ya molai mingi. Mokanda mobimba ezali na fisie letter.html.",
    "Huu ni mwanzo wa barua ndefu sana. Barua nzima iko kwenye faili letter.html.",
)
_TOO_LARGE = (
    "The file {name} has {size} bytes, which is too much for this way. It was left at the server.",
    "Le fichier {name} fait {size} octets, c’est trop pour ce chemin. Il est resté au serveur.",
    "Fisie {name} ezali na ba-octets {size}, ezali mingi mpo na nzela oyo. Etikali na serveur.",
    "Faili {name} lina baiti {size}, ni kubwa mno kwa njia hii. Limebaki kwenye seva.",
)
_LOST = (
    "The file {name} was lost at the server.",
    "Le fichier {name} a été perdu au serveur.",
    "Fisie {name} ebungaki na serveur.",
    "Faili {name} lilipotea kwenye seva.",
)


def too_large(filename: str, size: int) -> Attachment:
    """A few words in the place of a file of ``size`` bytes that does not fit."""
    return _instead(filename, [words.format(name=filename, size=size) for words in _TOO_LARGE])


def lost(filename: str) -> Attachment:
    """A few words in the place of a file that the disk has lost."""
    return _instead(filename, [words.format(name=filename) for words in _LOST])


def _instead(filename: str, words: list[str]) -> Attachment:
    return Attachment(f"{filename}.txt", "".join(f"{one}\n" for one in words).encode("utf-8", "replace"), "text/plain")


def fitting_text(body: str) -> tuple[str, tuple[Attachment, ...]]:
    """``body`` as a box can read it, and the file that holds what was too much; ``body`` itself and none when it fits."""
    if len(body) * _WORST <= MAX_TEXT_BYTES or len(json.dumps(body)) <= MAX_TEXT_BYTES:
        return body, ()
    beginning = html_to_text(body[: 4 * BEGINNING_CHARS])[:BEGINNING_CHARS]
    told = "<br>".join(_BEGINNING)
    whole = f"<!doctype html><meta charset=utf-8>{body}".encode("utf-8", "replace")
    return f"<p><i>{told}</i></p>{text_to_html(beginning)}<p>…</p>", (Attachment("letter.html", whole, "text/html"),)
