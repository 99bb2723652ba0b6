"""An :class:`~lokole.mail.model.Email` into MIME bytes for the world (RFC 5322, RFC 2045 to 2047, RFC 2231, RFC 2387).

Layout: multipart/mixed( multipart/alternative( text/plain, multipart/related( text/html, pictures ) ), files );
a level that would hold one thing is left out.
Everything written is ASCII with CRLF line ends and no line over 998 bytes (most are under 78), so any server takes it.
No value of a letter can begin a header of its own: each goes through one of the encoders here, and none lets a line end through.

Bcc is never written. It does not sign and does not decide who gets the letter: that is the envelope.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

from lokole.mail.errors import Refused
from lokole.mail.html import cids, html_to_text, make_safe
from lokole.mail.model import Address, Attachment, Contact, Email, EmailId

_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,400}@[!-;=?A-~]{1,400}>")
_REFERENCE = re.compile(r"<[!-;=?-~]{1,900}>")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}")
_CID = re.compile(r"[!-;=?-~]{1,300}")
_NAME_SAFE = re.compile(rb"[A-Za-z0-9!#$&+.^_`{|}~-]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def message_id_for(email_id: EmailId, domain: str) -> str:
    """The Message-ID of a letter written at ``domain``, brackets included; the same letter always gets the same one."""
    return f"<{email_id.hex()}@{domain}>"


def build_mime(email: Email, *, message_id: str, date: datetime, from_header: Contact | None = None) -> bytes:
    """The whole message. ``from_header`` stands in for ``email.sender``; ``date`` is aware.

    Correspondents without a valid address are left out; without any the field reads ``undisclosed-recipients:;``.
    Raises :class:`Refused` with code ``address`` when the sender's address is not valid, ``message-id`` when that is not one.
    """
    if not _MESSAGE_ID.fullmatch(message_id):
        raise Refused("not a Message-ID", code="message-id")
    sender = _mailbox(from_header or email.sender)
    if sender is None:
        raise Refused("the sender has no valid address", code="address", field="from")
    to, cc = _mailboxes(email.to), _mailboxes(email.cc)
    fields = [
        f"Message-ID: {message_id}",
        f"Date: {format_datetime(date.astimezone(UTC))}",
        _listed("From", [sender]),
        _listed("To", to or ([] if cc else ["undisclosed-recipients:;"])),
        _listed("Cc", cc),
        _listed("Reply-To", _mailboxes(email.reply_to)),
        _unstructured("Subject", email.subject),
        _references("In-Reply-To", [email.in_reply_to]),
        _references("References", email.references),
        f"Auto-Submitted: auto-{'replied' if email.in_reply_to else 'generated'}" if email.automatic else "",
        "MIME-Version: 1.0",
    ]
    seed = hashlib.sha256(message_id.encode()).hexdigest()[:24]
    content = _content(email, seed)
    return "\r\n".join(field for field in fields if field).encode("ascii") + b"\r\n" + content


# --- header fields -----------------------------------------------------------------------------------------------------


def _one_line(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())


def _unstructured(name: str, value: str) -> str:
    """A field of free text: folded at blanks while it is plain ASCII, in encoded words otherwise."""
    text = _one_line(value)
    if not text:
        return f"{name}:"
    if text.isascii() and "=?" not in text and all(len(word) <= 70 for word in text.split()):
        return _folded(f"{name}:", text.split(" "))
    return _folded(f"{name}:", _encoded_words(text, 74 - len(name) - 2))


def _folded(start: str, words: Iterable[str]) -> str:
    """``start`` and the words with a blank between each, a line end before a blank that would pass column 78."""
    lines = [start]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > 78 and lines[-1] != start:
            lines.append(" " + word)
        else:
            lines[-1] += " " + word
    return "\r\n".join(lines)


def _encoded_words(text: str, first: int = 60) -> list[str]:
    """RFC 2047 words of at most 75 characters; a character is never cut in two, blanks between two words are inside them."""
    quoted = sum(1 for byte in text.encode() if not _NAME_SAFE.match(bytes([byte])) and byte != 32)
    by_base64 = quoted * 3 > len(text.encode())
    words: list[str] = []
    piece, room = b"", min(first, 75)
    for char in text:
        added = piece + char.encode("utf-8")
        if piece and len(_word(added, by_base64=by_base64)) > room:
            words.append(_word(piece, by_base64=by_base64))
            piece, room = char.encode("utf-8"), 75
        else:
            piece = added
    words.append(_word(piece, by_base64=by_base64))
    return words


def _word(data: bytes, *, by_base64: bool) -> str:
    if by_base64:
        return f"=?utf-8?b?{binascii.b2a_base64(data, newline=False).decode('ascii')}?="
    text = "".join(
        "_" if byte == 32 else chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"={byte:02X}"
        for byte in data
    )
    return f"=?utf-8?q?{text}?="


def _mailbox(contact: Contact) -> str | None:
    """A correspondent for an address field, or None when there is no valid address.

    A local part beyond ASCII cannot be written for every server: the downgraded form of RFC 6857 section 3.1.8 names it.
    """
    try:
        address = Address.parse(contact.address)
    except Refused:
        return None
    if not address.local.isascii():
        return f"{' '.join(_encoded_words(str(address)))} :;"
    name = _one_line(contact.name)
    if not name:
        return str(address)
    if _ATOMS.fullmatch(name) and "=?" not in name:
        phrase = name
    elif name.isascii() and len(name) <= 200 and "=?" not in name:
        phrase = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    else:
        phrase = " ".join(_encoded_words(name))
    return f"{phrase} <{address}>"


def _mailboxes(contacts: Sequence[Contact]) -> list[str]:
    return [mailbox for mailbox in map(_mailbox, contacts) if mailbox is not None]


def _listed(name: str, mailboxes: Sequence[str]) -> str:
    """An address field; each line ends between two words or two people."""
    if not mailboxes:
        return ""
    words = [f"{mailbox}," for mailbox in mailboxes[:-1]] + [mailboxes[-1]]
    return _folded(f"{name}:", [word for mailbox in words for word in _breakable(mailbox)])


def _breakable(mailbox: str) -> list[str]:
    # A quoted name is kept whole: a blank in it is a blank of the name.
    if mailbox.startswith('"'):
        name, _, address = mailbox.rpartition(" ")
        return [name, address]
    return mailbox.split(" ")


def _references(name: str, ids: Sequence[str]) -> str:
    """Message ids that are well formed; of a long thread the first and the last twenty."""
    good = [found for found in ids if _REFERENCE.fullmatch(found)]
    if len(good) > 21:
        good = good[:1] + good[-20:]
    return _folded(f"{name}:", good) if good else ""


# --- content -------------------------------------------------------------------------------------------------------------


def _content(email: Email, seed: str) -> bytes:
    shown = cids(make_safe(email.body))
    pictures = [file for file in email.attachments if file.cid and file.cid in shown and _CID.fullmatch(file.cid)]
    files = [file for file in email.attachments if not any(file is picture for picture in pictures)]
    markup = _text("html", f"<html><body>{email.body}</body></html>")
    if pictures:
        related = [markup, *(_file(picture, seed, inline=True) for picture in pictures)]
        markup = _multipart('related; type="text/html"', f"{seed}_r", related)
    content = _multipart("alternative", f"{seed}_a", [_text("plain", html_to_text(email.body)), markup])
    if files:
        content = _multipart("mixed", f"{seed}_m", [content, *(_file(file, seed, inline=False) for file in files)])
    return content


def _multipart(kind: str, boundary: str, parts: Iterable[bytes]) -> bytes:
    # "=_" can stand in neither base64 nor quoted-printable, so no content can hold the boundary (RFC 2045 section 6.7).
    mark = f"=_{boundary}".encode()
    pieces = [f'Content-Type: multipart/{kind};\r\n boundary="=_{boundary}"\r\n'.encode()]
    pieces += [b"\r\n--" + mark + b"\r\n" + part for part in parts]
    pieces.append(b"\r\n--" + mark + b"--\r\n")
    return b"".join(pieces)


def _text(kind: str, text: str) -> bytes:
    data = re.sub("\r\n|\r|\n", "\n", text).encode("utf-8", "replace")
    charset = "us-ascii" if data.isascii() else "utf-8"
    if sum(byte > 126 for byte in data) * 6 > len(data):
        encoding, body = "base64", _base64(data.replace(b"\n", b"\r\n"))
    else:
        encoding, body = "quoted-printable", _quoted_printable(data)
    head = f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode("ascii") + body


def _quoted_printable(data: bytes) -> bytes:
    body = binascii.b2a_qp(data, istext=True, quotetabs=False).replace(b"\r\n", b"\n")
    # Mail folders and careless servers change these two at the start of a line.
    body = re.sub(rb"^From ", b"=46rom ", body, flags=re.MULTILINE)
    body = re.sub(rb"^\.", b"=2E", body, flags=re.MULTILINE)
    return body.replace(b"\n", b"\r\n")


def _base64(data: bytes) -> bytes:
    text = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))


def _file(file: Attachment, seed: str, *, inline: bool) -> bytes:
    kind = file.type.lower() if _TYPE.fullmatch(file.type.lower()) else "application/octet-stream"
    encoding = "base64"
    if kind.startswith(("message/", "multipart/")):
        # RFC 2046 section 5.2.1 allows no transfer encoding here: as it is, or as a file of no type.
        if kind == "message/rfc822" and _goes_as_it_is(file.content, seed):
            encoding = "7bit"
        else:
            kind = "application/octet-stream"
    fields = [
        _folded(f"Content-Type: {kind};", _parameter("name", file.filename, words=True)),
        f"Content-Transfer-Encoding: {encoding}",
        _folded(f"Content-Disposition: {'inline' if inline else 'attachment'};", _parameter("filename", file.filename)),
    ]
    if file.cid and _CID.fullmatch(file.cid):
        fields.append(f"Content-ID: <{file.cid}>")
    body = file.content if encoding == "7bit" else _base64(file.content)
    return "\r\n".join(fields).encode("ascii") + b"\r\n\r\n" + body


def _goes_as_it_is(content: bytes, seed: str) -> bool:
    lines = content.split(b"\r\n")
    return (
        content.isascii()
        and b"\0" not in content
        and seed.encode() not in content
        and all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in lines)
    )


def _parameter(name: str, value: str, *, words: bool = False) -> list[str]:
    """A parameter: quoted when it is short ASCII, else RFC 2231 sections, or encoded words where old programs expect those."""
    value = _one_line(value)
    if value.isascii() and len(value) <= 60 and "=?" not in value:
        return [f'{name}="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"']
    if words:
        found = _encoded_words(value)
        return [f'{name}="{found[0]}', *found[1:-1], f'{found[-1]}"'] if len(found) > 1 else [f'{name}="{found[0]}"']
    data = "".join(
        chr(byte) if _NAME_SAFE.match(bytes([byte])) else f"%{byte:02X}" for byte in value.encode("utf-8", "replace")
    )
    pieces = re.findall(r"(?:%[0-9A-F]{2}|[^%]){1,18}", data)
    return [
        f"{name}*{number}*={'utf-8' + chr(39) * 2 if number == 0 else ''}{piece}{'' if number == len(pieces) - 1 else ';'}"
        for number, piece in enumerate(pieces)
    ]
