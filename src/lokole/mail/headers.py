"""Header fields of a received message as values; nothing here raises, whatever the field holds.

Fields come as the standard parser keeps them (policy ``compat32``): text in which each byte above 127 is a surrogate escape.
RFC 5322 section 3.4 (addresses), 3.6.4 (message ids); RFC 2047 (encoded words); RFC 2045 section 5.1 and RFC 2231 (parameters).

It does not check addresses: a header names people, the envelope decides who gets a letter.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz
from urllib.parse import unquote_to_bytes

from lokole.mail.charsets import clean, decode_text
from lokole.mail.model import Contact

_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_GAP = re.compile(r"(=\?[^?\s]{1,60}\?[bBqQ]\?[^?]*\?=)\s+(?==\?[^?\s]{1,60}\?[bBqQ]\?)")
_FOLD = re.compile(r"\r\n|\r|\n")
_SPACES = re.compile(r"\s+")
_ID = re.compile(r"<\s*([^<>\s]{1,900})\s*>")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ANGLE = re.compile(r"<([^<>]*)>")
_PLAIN = re.compile(r'[^",;:<>()=]+')
_BRACKET = re.compile(r"\\.|[()]", re.DOTALL)
_COMMENT = re.compile(r"\([^()]*\)")
_PARAM = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
_SECTION = re.compile(r"(.+?)\*(?:(\d{1,3})(\*)?)?")
_NOT_IN_ADDRESS = re.compile(r"[\s@,;<>\"]")
_MAX_FIELD = 2_000_000


def plain(raw: str, charset: str | None = None) -> str:
    """One field unfolded onto one line, bytes above 127 read as UTF-8, ``charset`` or Windows-1252; encoded words untouched."""
    text = _FOLD.sub("", raw[:_MAX_FIELD])
    if not text.isascii() or "\x1b" in text:
        data = text.encode("utf-8", "surrogateescape")
        try:  # RFC 6532 says UTF-8; other charsets are hardly ever valid UTF-8 by chance
            text = data.decode("utf-8") if "\x1b" not in text else decode_text(data)[0]
        except UnicodeDecodeError:
            text = decode_text(data, charset)[0]
    return clean(text).strip()


def text_of(raw: str, charset: str | None = None, limit: int = 4000) -> str:
    """A field for people, such as Subject: encoded words decoded, white space collapsed, at most ``limit`` characters."""
    return _SPACES.sub(" ", decode_words(plain(raw, charset))).strip()[:limit]


def decode_words(text: str) -> str:
    """RFC 2047 encoded words decoded, broken ones left as they are; neighbours are joined before decoding.

    Many programs cut a character in two between neighbouring words (against section 5), so bytes are joined first.
    """
    if "=?" not in text:
        return text
    text = _GAP.sub(r"\1", text)
    parts: list[str] = []
    pending, charset, end = b"", "", 0
    for match in _WORD.finditer(text):
        name = match[1].partition("*")[0].lower()
        between = text[end : match.start()]
        if pending and (between or name != charset):
            parts.append(decode_text(pending, charset)[0])
            pending = b""
        parts.append(between)
        pending += _word_bytes(match[2], match[3])
        charset, end = name, match.end()
    if pending:
        parts.append(decode_text(pending, charset)[0])
    parts.append(text[end:])
    return "".join(parts)


def _word_bytes(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data.replace(b" ", b"_"), header=True)
    return decode_base64(data)


def decode_base64(data: bytes) -> bytes:
    """Base64 as far as it goes: foreign characters skipped, missing padding added, a lone last character dropped."""
    for candidate in (data, data + b"=="):
        try:
            return binascii.a2b_base64(candidate)
        except binascii.Error:
            continue
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    try:
        return binascii.a2b_base64(letters[: len(letters) // 4 * 4])
    except binascii.Error:
        return b""


def contacts(raw: str, charset: str | None = None, limit: int = 10_000) -> tuple[Contact, ...]:
    """The people an address field names, at most ``limit``; groups are opened, comments become names (RFC 5322 section 3.4)."""
    found: list[Contact] = []
    name: list[str] = []
    comment: list[str] = []
    address: str | None = None
    carried = ""  # "Doe, John <john@...>" without quotes: the part before the comma belongs to the name

    def flush(last: bool) -> None:
        nonlocal address, carried
        spoken = "".join(name).strip()
        if address is None and "@" not in spoken and spoken and not last:
            carried = f"{carried}, {spoken}" if carried else spoken
        elif spoken or carried or address is not None:
            if carried and address is None:
                found.extend(_bare(carried, ""))
            elif carried:
                spoken = f"{carried}, {spoken}" if spoken else carried
            carried = ""
            if address is not None:
                found.append(_contact(address, spoken or " ".join(comment)))
            else:
                found.extend(_bare(spoken, " ".join(comment)))
        name.clear()
        comment.clear()
        address = None

    for kind, token in _tokens(plain(raw, charset)):
        if len(found) >= limit:
            break
        if kind == "angle" and address is None:
            address = token
        elif kind == "comment":
            comment.append(token)
        elif kind == "colon" and address is None and "@" not in "".join(name):
            name.clear()
            carried = ""
        elif kind in ("comma", "semicolon"):
            flush(last=kind == "semicolon")
        elif kind == "quoted":
            name.append(f" {token} " if "@" in token else token)
        else:
            name.append(token)
    if len(found) < limit:
        flush(last=True)
    return tuple(found[:limit])


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Quoted strings, comments, angle addresses, separators and plain text; each byte is looked at a bounded number of times."""
    position, quotes, comments = 0, True, True
    while position < len(text):
        char = text[position]
        if char == '"' and quotes:
            match = _QUOTED.match(text, position)
            if match:
                yield "quoted", re.sub(r"\\(.)", r"\1", match[1])
                position = match.end()
                continue
            quotes = False  # never closed: looking again at each further mark would take for ever
        elif char == "(" and comments:
            end = _comment_end(text, position)
            if end:
                yield "comment", text[position + 1 : end - 1].replace("\\", "")
                position = end
                continue
            comments = False
        elif char == "<":
            match = _ANGLE.match(text, position)
            if match:
                yield "angle", match[1]
                position = match.end()
                continue
        elif char == "=":
            match = _WORD.match(text, position)
            if match:
                yield "word", match[0]
                position = match.end()
                continue
        elif char in ",;:":
            yield {",": "comma", ";": "semicolon", ":": "colon"}[char], char
            position += 1
            continue
        else:
            match = _PLAIN.match(text, position)
            if match:
                yield "plain", match[0]
                position = match.end()
                continue
        yield "plain", char
        position += 1


def _comment_end(text: str, start: int) -> int:
    """The position after a comment, nested ones included; 0 when it is never closed."""
    depth = 0
    for match in _BRACKET.finditer(text, start):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if depth == 0:
                return match.end()
    return 0


def _contact(address: str, name: str) -> Contact:
    if "(" in address:
        address = _COMMENT.sub("", address)
    address = _SPACES.sub("", address).removesuffix(":;")
    if address.startswith("@") and ":" in address:  # obsolete route, RFC 5322 section 4.4
        address = address.rpartition(":")[2]
    name = _SPACES.sub(" ", decode_words(name)).strip().strip("'\"").strip()
    return Contact(address[:320], "" if name == address else name[:300])


def _bare(text: str, comment: str) -> list[Contact]:
    """An entry without angle brackets: an address, or words around one, or only a name."""
    text = text.strip()
    if not text:
        return []
    at = text.find("@")
    if at >= 0:
        # No pattern is searched for here: one that begins with "anything but" costs the square of the field's length.
        local = _NOT_IN_ADDRESS.split(text[max(0, at - 320) : at])[-1]
        domain = _NOT_IN_ADDRESS.split(text[at + 1 : at + 321])[0]
        rest = f"{text[: at - len(local)]} {text[at + 1 + len(domain) :]}".strip()
        return [_contact(f"{local}@{domain}", rest or comment)]
    if " " in text or "=?" in text:
        return [_contact("", text)]
    return [_contact(text, comment)]


def message_ids(raw: str, limit: int = 100) -> tuple[str, ...]:
    """Each ``<...>`` of References or In-Reply-To, the last ``limit`` of them, brackets kept."""
    return tuple(f"<{found}>" for found in _ID.findall(plain(raw)))[-limit:]


def message_id(raw: str) -> str:
    """The Message-ID with its brackets, or the bare text when it has none, or nothing."""
    found = message_ids(raw, 1)
    if found:
        return found[0]
    bare = _SPACES.sub("", plain(raw)).strip("<>")[:900]
    return f"<{bare}>" if bare else ""


def date(raw: str) -> datetime | None:
    """The moment a Date field names, aware and in UTC, or None when it names none that exists."""
    try:
        parsed = parsedate_tz(plain(raw)[:200])
        if parsed is None:
            return None
        year, month, day, hour, minute, second = parsed[:6]
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        return moment - timedelta(seconds=parsed[9] or 0)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None


def parameters(raw: str) -> tuple[str, dict[str, str]]:
    """A structured field such as Content-Type: its first value in lower case, and its parameters (RFC 2231 sections joined).

    Values stay as the parser kept them unless RFC 2231 names a charset; :func:`plain` and :func:`decode_words` do the rest.
    """
    text = _FOLD.sub("", raw[:20_000])
    first = text.partition(";")[0].strip().lower()
    values: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bool, str]]] = {}
    for match in _PARAM.finditer(text):
        name, value = match[1].lower(), match[2].strip()
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        section = _SECTION.fullmatch(name)
        if section is None:
            values.setdefault(name, value.strip('"'))
        else:
            encoded = section[2] is None or section[3] is not None
            sections.setdefault(section[1], {})[int(section[2] or 0)] = (encoded, value.strip('"'))
    for name, pieces in sections.items():
        values[name] = _joined(pieces)
    return first, values


def _joined(pieces: dict[int, tuple[bool, str]]) -> str:
    charset, data = "", b""
    for number in sorted(pieces):
        encoded, value = pieces[number]
        if encoded and not data and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        raw = value.encode("utf-8", "surrogateescape")
        data += unquote_to_bytes(raw) if encoded else raw
    return decode_text(data, charset or None)[0]
