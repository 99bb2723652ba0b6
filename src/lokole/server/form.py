"""The form in which SendGrid's Inbound Parse posts a raw message, read as a stream.

``email`` is a text field, or a file, with the whole message (RFC 5322), its bytes taken as they are: nothing decodes them,
so an 8-bit message stays what it was. ``envelope``, ``SPF``, ``dkim`` and ``spam_score`` are short; every other field is read past.
Both forms of HTML forms are read: ``multipart/form-data`` (RFC 7578) and ``application/x-www-form-urlencoded``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lokole.mail.errors import Refused, Temporary

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
MEDIA_TYPES = (MULTIPART, URLENCODED)

NOT_RAW = (
    "SendGrid posts messages that it has taken apart: switch on “POST the raw, full MIME message” in Inbound Parse."
)
#: so much of a message is enough to know who wrote it to whom
HEAD_BYTES = 64 * 1024
_MAX_PARTS = 1000
_MAX_SHORT_FIELD = 64 * 1024
#: an envelope that is cut off names nobody, and a recipient who is left out gets nothing
_MAX_ENVELOPE = 4 * 1024 * 1024
_MAX_RECIPIENTS = 20_000
_CHUNK = 64 * 1024
_SHORT = frozenset(("envelope", "SPF", "dkim", "spam_score"))
#: what stands in a form in which SendGrid has taken the message apart: the setting "POST the raw message" is off
_TAKEN_APART = frozenset(("text", "html", "headers", "subject"))


@dataclass(frozen=True, slots=True)
class InboundForm:
    """What one post carries besides the message. ``head`` is its beginning; ``recipients`` is None without a readable envelope.

    ``is_too_large``: only the beginning of the message was kept, though all of it is in ``sha256`` and ``size``.
    """

    sha256: str
    size: int
    head: bytes
    sender: str
    recipients: tuple[str, ...] | None
    spf: str
    dkim: str
    spam_score: str = ""
    is_too_large: bool = False


def media_type_of(content_type: str) -> str:
    """The media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def read_form(stream: BinaryIO, content_type: str, message: BinaryIO, *, max_bytes: int) -> InboundForm:
    """Read the form from ``stream`` and write the message that it carries to ``message``, as it comes.

    ``email`` may be a field of text or a file; of one above ``max_bytes`` the end is read past, for the envelope may stand behind it.
    Raises Refused: ``media-type``, ``form`` (not readable, cut off), ``missing`` (field ``email``); and Temporary with a sentence for the operator when SendGrid took the message apart, so that it comes again.
    """
    fields = _Fields(max_bytes, message)
    if media_type_of(content_type) == MULTIPART:
        _read_multipart(stream, content_type, fields)
    elif media_type_of(content_type) == URLENCODED:
        _read_urlencoded(stream, fields)
    else:
        raise Refused("post a form", code="media-type")
    return fields.form()


class _Fields:
    """Takes fields as they come, the message apart from the short ones."""

    def __init__(self, max_bytes: int, message: BinaryIO) -> None:
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self._size = 0
        self._message = message
        self._head = bytearray()
        self._short: dict[str, bytearray] = {}
        self._parts = 0
        self._current = ""
        self._found = False
        self._is_apart = False

    def begin(self, name: str, *, is_file: bool) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise Refused("the form has too many fields", code="form")
        self._current = ""
        self._is_apart = self._is_apart or name in _TAKEN_APART
        if name == "email" and not self._found:
            self._found = True
            self._current = name
        elif name in _SHORT and not is_file and name not in self._short:
            self._short[name] = bytearray()
            self._current = name

    def data(self, piece: bytes) -> None:
        if self._current == "email":
            self._size += len(piece)
            self._digest.update(piece)
            if self._size <= self._max_bytes:
                self._message.write(piece)
            self._head += piece[: HEAD_BYTES - len(self._head)]
        elif self._current:
            held = self._short[self._current]
            most = _MAX_ENVELOPE if self._current == "envelope" else _MAX_SHORT_FIELD
            held += piece[: most - len(held)]

    def form(self) -> InboundForm:
        if not self._found:
            if self._is_apart:
                raise Temporary("the message was taken apart", operator=NOT_RAW)
            raise Refused("the form has no field email", code="missing", field="email")
        sender, recipients = _read_envelope(bytes(self._short.get("envelope", b"")))
        return InboundForm(
            sha256=self._digest.hexdigest(),
            size=self._size,
            head=bytes(self._head),
            sender=sender,
            recipients=recipients,
            spf=self._text("SPF"),
            dkim=self._text("dkim"),
            spam_score=self._text("spam_score"),
            is_too_large=self._size > self._max_bytes,
        )

    def _text(self, name: str) -> str:
        return self._short.get(name, bytearray()).decode("utf-8", "replace").strip()


def _read_envelope(text: bytes) -> tuple[str, tuple[str, ...] | None]:
    try:
        envelope: Any = json.loads(text)
    except (ValueError, RecursionError):
        return "", None
    if not isinstance(envelope, dict):
        return "", None
    sender = envelope.get("from")
    recipients = envelope.get("to")
    if isinstance(recipients, str):
        recipients = [recipients]
    if not isinstance(recipients, list) or not all(isinstance(one, str) for one in recipients):
        return "", None
    return (sender if isinstance(sender, str) else ""), tuple(recipients[:_MAX_RECIPIENTS])


# --- multipart/form-data -------------------------------------------------------------------------


def _read_multipart(stream: BinaryIO, content_type: str, fields: _Fields) -> None:
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary or len(boundary) > 200:
        raise Refused("the form has no boundary", code="form")
    reading = _Parts(fields)
    try:
        parser = MultipartParser(
            boundary,
            callbacks={
                "on_part_begin": reading.on_part_begin,
                "on_part_data": reading.on_part_data,
                "on_header_field": reading.on_header_field,
                "on_header_value": reading.on_header_value,
                "on_header_end": reading.on_header_end,
                "on_headers_finished": reading.on_headers_finished,
                "on_end": reading.on_end,
            },
        )
        while chunk := stream.read(_CHUNK):
            parser.write(chunk)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise Refused("the form cannot be read", code="form") from error
    if not reading.complete:
        raise Refused("the form was cut off", code="form")


class _Parts:
    """The parser's callbacks; their names are its own."""

    def __init__(self, fields: _Fields) -> None:
        self._fields = fields
        self._name = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self.complete = False

    def on_part_begin(self) -> None:
        self._disposition = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if bytes(self._name).strip().lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        self._fields.begin(name, is_file=b"filename" in options)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._fields.data(data[start:end])

    def on_end(self) -> None:
        self.complete = True


# --- application/x-www-form-urlencoded -----------------------------------------------------------


def _read_urlencoded(stream: BinaryIO, fields: _Fields) -> None:
    name = bytearray()
    in_name = True
    held = b""  # the beginning of a %XX that the next chunk completes
    while chunk := stream.read(_CHUNK):
        for n, piece in enumerate(chunk.split(b"&")):
            if n:
                fields.data(_unquoted(held))
                name.clear()
                in_name, held = True, b""
            if in_name:
                part, equals, piece = piece.partition(b"=")
                name += part[: 1000 - len(name)]
                if not equals:
                    continue
                in_name = False
                fields.begin(_unquoted(bytes(name)).decode("utf-8", "replace"), is_file=False)
            piece = held + piece
            at = piece.rfind(b"%", max(0, len(piece) - 2))
            cut = len(piece) if at < 0 else at
            held = piece[cut:]
            fields.data(_unquoted(piece[:cut]))
    fields.data(_unquoted(held))


def _unquoted(piece: bytes) -> bytes:
    return unquote_to_bytes(piece.replace(b"+", b" "))
