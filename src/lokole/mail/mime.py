"""MIME bytes into an :class:`~lokole.mail.model.Email` that a person can read; whatever the bytes are.

The standard parser (policy ``compat32``) takes the message apart, behind accessors that cannot raise (``mail/headers.py``).
Every part is either in the body or a file of the letter; only the other wordings of a chosen alternative are left out.
What is inside an attached message stays inside it: it is kept as an ``.eml`` file, byte for byte.

A message past a limit is not taken apart: its headers are read and the whole of it is the file ``message.eml``.
It verifies no signature, opens no winmail.dat and decodes no uuencoded text inside a body.
Writing is ``mail/compose.py``; its two functions can be imported from here as well.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import Message
from email.parser import BytesFeedParser
from email.policy import Policy, compat32
from typing import Any

from lokole.mail import headers
from lokole.mail.charsets import clean, decode_text
from lokole.mail.compose import build_mime, message_id_for
from lokole.mail.errors import Refused
from lokole.mail.filenames import extension_of, safe_filename
from lokole.mail.flowed import enriched_to_text, unflow
from lokole.mail.html import make_safe, text_to_html
from lokole.mail.model import Attachment, Contact, Email

__all__ = ["MimeLimits", "ParsedEmail", "build_mime", "message_id_for", "parse_email"]


@dataclass(frozen=True, slots=True)
class MimeLimits:
    """How much of a message is taken apart; sizes in bytes."""

    max_bytes: int = 40_000_000
    max_lines: int = 1_500_000
    max_depth: int = 50
    max_parts: int = 1000
    max_headers: int = 2000
    max_recipients: int = 10_000
    max_body_bytes: int = 2_000_000


@dataclass(frozen=True, slots=True)
class ParsedEmail:
    """A letter and the stable words that say what was wrong with its message, such as ``unknown-charset:x`` or ``bad-date``."""

    email: Email
    problems: tuple[str, ...] = ()


def parse_email(
    raw: bytes,
    *,
    limits: MimeLimits | None = None,
    sanitise: bool = True,
    received_at: datetime | None = None,
) -> ParsedEmail:
    """The letter in the message ``raw`` (RFC 5322, RFC 2045 to 2049).

    ``sanitise=False`` leaves markup as it came (plain text is escaped all the same); such a body must not be shown.
    ``received_at`` is when we got it: a Date more than two days later becomes ``received_at`` and doubtful;
    one before 1971, or from 2100 on when ``received_at`` is not given, becomes None and doubtful; none at all is None.

    Raises :class:`Refused` with code ``too-big`` when ``raw`` is longer than ``limits.max_bytes``, and nothing else.
    """
    limits = limits or MimeLimits()
    if len(raw) > limits.max_bytes:
        raise Refused("the message is too big", code="too-big")
    raw = _LEADING.sub(b"", raw, count=1)
    problems: dict[str, None] = {}
    try:
        part = _take_apart(_mended(raw), limits, problems)
        body, attachments = _Reader(limits, problems, sanitise=sanitise).read(part)
    except (_PastLimit, RecursionError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as reason:
        problems[reason.args[0] if isinstance(reason, _PastLimit) else "unreadable"] = None
        part = _headers_only(raw)
        body, attachments = "", (Attachment("message.eml", raw, "message/rfc822"),)
    return ParsedEmail(_letter(part, body, attachments, limits, received_at, problems), tuple(problems)[:20])


class _PastLimit(Exception):
    """The message is larger in some way than ``MimeLimits`` allows; the argument is the problem's word."""


_LEADING = re.compile(rb"\A(?:\xef\xbb\xbf)?[\r\n]+|\A\xef\xbb\xbf")
_STRAY = re.compile(
    rb"(?<=\n)((?:>?From |(?![!-9;-~]+:|[ \t\r\n]))[^\r\n]*\r?\n"
    rb"(?=(?:From|To|Cc|Subject|Date|Sender|Received|Reply-To|Message-ID|Return-Path|Delivered-To|MIME-Version|Content-[a-z-]+|X-[!-9;-~]+):))",
    re.IGNORECASE,
)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
#: fields of one name; a message passes some hundred Received at the most.
_SAME_FIELDS = 500
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}")


def _mended(raw: bytes) -> bytes:
    """``raw`` with stray lines among its headers made continuations, at which the standard parser would end them.

    Such a line is neither a field nor folded and stands directly before a usual field: mbox ``From`` lines, damaged fields.
    """
    end = _END_OF_HEADERS.search(raw)
    stop = end.start() if end else len(raw)
    mended = _STRAY.sub(rb" \1", raw[:stop])
    return raw if len(mended) == stop else mended + raw[stop:]


class _Part(Message):
    """The standard message object with a type and a boundary that can always be asked for.

    To the parser a nested message is a file, and so is a multipart below the depth limit: it keeps their bytes as they are.
    """

    def __init__(self, limits: MimeLimits, problems: dict[str, None], policy: Policy = compat32) -> None:
        super().__init__(policy=policy)
        self.depth = 0
        self.limits = limits
        self.problems = problems
        self._kind: tuple[str, dict[str, str]] | None = None
        self._names: dict[str, int] = {}

    def raw_header(self, name: str) -> str:
        """The first field of that name as it came, or nothing."""
        for key, value in self.raw_items():
            if key.lower() == name:
                return str(value)
        return ""

    def kind(self) -> tuple[str, dict[str, str]]:
        """Its media type in lower case and the parameters (RFC 2045 section 5)."""
        if self._kind is None:
            declared, values = headers.parameters(self.raw_header("content-type"))
            if not _TYPE.fullmatch(declared):
                declared = {"text": "text/plain", "html": "text/html"}.get(declared, self.get_default_type())
            self._kind = declared, values
        return self._kind

    def attach(self, payload: Message) -> None:  # type: ignore[override]  # the parser attaches what the factory made
        if isinstance(payload, _Part):
            payload.depth = self.depth + 1
        super().attach(payload)

    def get(self, name: str, failobj: Any = None) -> Any:
        """As the standard says, but no part has a transfer encoding: so ``get_payload`` gives bytes as they came."""
        return "8bit" if name.lower() == "content-transfer-encoding" else super().get(name, failobj)

    def content(self) -> bytes:
        """The bytes of a leaf as they came, still in their transfer encoding."""
        payload = self.get_payload(decode=True)
        return payload if isinstance(payload, bytes) else b""

    def set_raw(self, name: str, value: str) -> None:
        """Keep a field; past the limit only the first of each name, for a few more names."""
        known = name.lower()
        if len(self._names) >= self.limits.max_headers:
            self.problems["too-many-headers"] = None
            return
        self._names[known] = self._names.get(known, 0) + 1
        if self._names[known] <= _SAME_FIELDS:
            super().set_raw(name, value)
        else:
            self.problems["too-many-headers"] = None

    def get_content_type(self) -> str:
        found = self.kind()[0]
        if found.startswith("message/") or (found.startswith("multipart/") and self.depth >= self.limits.max_depth):
            return "application/octet-stream"
        return found

    def get_boundary(self, failobj: object = None) -> object:  # type: ignore[override]
        return self.kind()[1].get("boundary", "").rstrip() or failobj


def _take_apart(raw: bytes, limits: MimeLimits, problems: dict[str, None]) -> _Part:
    if raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n") > limits.max_lines:
        raise _PastLimit("too-many-lines")
    made = 0

    def make(policy: Policy = compat32) -> _Part:
        nonlocal made
        made += 1
        if made > limits.max_parts:
            raise _PastLimit("too-many-parts")
        return _Part(limits, problems, policy)

    parser = BytesFeedParser(make, policy=compat32)
    for start in range(0, len(raw), 65536):
        parser.feed(raw[start : start + 65536])
    part = parser.close()
    assert isinstance(part, _Part)
    return part


def _headers_only(raw: bytes) -> _Part:
    """The first headers of a message that is not taken apart."""
    end = _END_OF_HEADERS.search(raw)
    head = raw[: min(end.end() if end else len(raw), 100_000)]
    part = _Part(MimeLimits(), {})
    name, value = "", ""
    for line in head.decode("ascii", "surrogateescape").splitlines():
        if line[:1] in (" ", "\t"):
            value += "\n" + line
            continue
        if name:
            part.set_raw(name, value)
        name, _, value = line.partition(":")
    if name:
        part.set_raw(name, value)
    return part


def _letter(
    part: _Part,
    body: str,
    attachments: Iterable[Attachment],
    limits: MimeLimits,
    received_at: datetime | None,
    problems: dict[str, None],
) -> Email:
    charset = part.kind()[1].get("charset")

    def people(name: str) -> tuple[Contact, ...]:
        found: list[Contact] = []
        for key, value in part.raw_items():
            if key.lower() == name and len(found) <= limits.max_recipients:
                found.extend(headers.contacts(str(value), charset, limits.max_recipients + 1))
        if len(found) > limits.max_recipients:
            problems["too-many-recipients"] = None
        return tuple(found[: limits.max_recipients])

    sender = people("from") or people("sender")
    if not sender:
        problems["no-sender"] = None
    sent_at, doubtful = _sent_at(part.raw_header("date"), received_at)
    if doubtful:
        problems["bad-date"] = None
    reply = headers.message_ids(part.raw_header("in-reply-to"))
    return Email(
        sender=sender[0] if sender else Contact(""),
        to=people("to"),
        cc=people("cc"),
        bcc=people("bcc"),
        reply_to=people("reply-to"),
        subject=headers.text_of(part.raw_header("subject"), charset),
        body=body,
        attachments=tuple(attachments),
        sent_at=sent_at,
        sent_at_doubtful=doubtful,
        message_id=headers.message_id(part.raw_header("message-id")),
        in_reply_to=reply[0] if reply else "",
        references=headers.message_ids(part.raw_header("references")),
    )


def _sent_at(raw: str, received_at: datetime | None) -> tuple[datetime | None, bool]:
    if not raw.strip():
        return None, False
    sent_at = headers.date(raw)
    if sent_at is None or sent_at.year < 1971:
        return None, True
    if received_at is not None:
        return (received_at, True) if sent_at > received_at + timedelta(days=2) else (sent_at, False)
    return (None, True) if sent_at.year >= 2100 else (sent_at, False)


# Text that is shown; other text (calendar, vcard, csv, css) is a file.
_SHOWN = ("text/plain", "text/html", "text/enriched", "text/richtext", "text/x-amp-html", "text/watch-html")
_DEFAULT_NAMES = {
    "text/calendar": "invite.ics",
    "text/rfc822-headers": "headers.txt",
    "message/delivery-status": "delivery-status.txt",
    "message/disposition-notification": "disposition-notification.txt",
    "application/ms-tnef": "winmail.dat",
    "application/vnd.ms-tnef": "winmail.dat",
    "application/pgp-signature": "signature.asc",
    "application/pgp-encrypted": "version.asc",
    "application/pkcs7-signature": "smime.p7s",
    "application/x-pkcs7-signature": "smime.p7s",
    "application/pkcs7-mime": "smime.p7m",
    "application/x-pkcs7-mime": "smime.p7m",
}


class _Reader:
    """Walks the parts of one message and sorts them into body and files."""

    def __init__(self, limits: MimeLimits, problems: dict[str, None], *, sanitise: bool) -> None:
        self.limits = limits
        self.problems = problems
        self.sanitise = sanitise
        self.shown: list[str] = []
        self.files: list[tuple[_Part, Attachment]] = []

    def read(self, part: _Part) -> tuple[str, tuple[Attachment, ...]]:
        self.walk(part)
        if not self.shown:
            self.promote()
        return "<hr>".join(self.shown), tuple(attachment for _, attachment in self.files)

    def promote(self) -> None:
        """A letter that is nothing but a named text: the text is its body unless the sender called it an attachment."""
        for index, (part, _) in enumerate(self.files):
            disposition = headers.parameters(part.raw_header("content-disposition"))[0]
            if part.kind()[0] in _SHOWN and disposition != "attachment":
                del self.files[index]
                self.show(part, self.render(part))
                return

    def walk(self, part: _Part, *, show: bool = True) -> None:
        """Sort ``part``; with ``show`` False its texts are another wording of what is shown already."""
        kind = part.kind()[0]
        children = [child for child in part.get_payload() if isinstance(child, _Part)] if part.is_multipart() else []
        if not children:
            self.leaf(part, show=show)
        elif kind == "multipart/alternative":
            self.alternative(children, show=show)
        elif kind == "multipart/related":
            root = self.root_of(part, children)
            self.walk(root, show=show)
            for child in children:
                if child is not root:
                    self.walk(child, show=show and child.kind()[0] == "multipart/alternative")
        else:
            for child in children:
                self.walk(child, show=show)

    def root_of(self, part: _Part, children: list[_Part]) -> _Part:
        """The part that the others of a multipart/related belong to (RFC 2387 section 3.2)."""
        start = part.kind()[1].get("start", "").strip("<> ")
        for child in children:
            if start and self.cid_of(child) == start:
                return child
        return children[0]

    def alternative(self, children: list[_Part], *, show: bool) -> None:
        """Show the richest wording that has anything to show, leave out the others, keep the files (RFC 2046 section 5.1.4)."""
        ranked = sorted(range(len(children)), key=lambda index: (_richness(children[index]), index), reverse=True)
        chosen = None
        if show:
            for index in ranked:
                if _richness(children[index]) == 0:
                    break
                before = len(self.shown), len(self.files)
                self.walk(children[index])
                if any(_visible(html) for html in self.shown[before[0] :]):
                    chosen = index
                    break
                del self.shown[before[0] :], self.files[before[1] :]
        for index, child in enumerate(children):
            if index != chosen:
                self.walk(child, show=False)

    def leaf(self, part: _Part, *, show: bool) -> None:
        kind = part.kind()[0]
        disposition = headers.parameters(part.raw_header("content-disposition"))[0]
        if kind.startswith("multipart/") and part.depth < self.limits.max_depth:
            self.problems["broken-multipart"] = None
            self.show(part, self.render(part))
            return
        if kind.startswith("multipart/"):
            self.problems["too-deep"] = None
        if kind in _SHOWN and disposition != "attachment" and not self.name_of(part):
            if show:
                self.show(part, self.render(part))
            return
        self.files.append((part, self.attachment(part)))

    def show(self, part: _Part, html: str) -> None:
        if _visible(html):
            self.shown.append(html)

    def render(self, part: _Part) -> str:
        """A shown part as markup."""
        kind, values = part.kind()
        content = self.content(part)
        if len(content) > self.limits.max_body_bytes:
            self.problems["long-body"] = None
            self.files.append((part, self.attachment(part)))
            content = content[: self.limits.max_body_bytes]
        charset = values.get("charset")
        if kind in ("text/html", "text/x-amp-html", "text/watch-html"):
            declared = charset or _meta_charset(content)
            text, problem = decode_text(content, declared)
            html = make_safe(text) if self.sanitise else text
        else:
            text, problem = decode_text(content, charset)
            if kind in ("text/enriched", "text/richtext"):
                text = enriched_to_text(text)
            elif values.get("format", "").lower() == "flowed":
                text = unflow(text, delsp=values.get("delsp", "").lower() == "yes")
            html = text_to_html(text)
        if problem:
            self.problems[problem] = None
        return html

    def content(self, part: _Part) -> bytes:
        """The bytes of a leaf, its transfer encoding taken off as far as that goes (RFC 2045 section 6)."""
        data = part.content()
        encoding = headers.parameters(part.raw_header("content-transfer-encoding"))[0].strip("\"' ")
        if encoding == "base64":
            return headers.decode_base64(data)
        if encoding == "quoted-printable":
            return binascii.a2b_qp(data)
        if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
            return _uudecode(data)
        if encoding not in ("", "7bit", "8bit", "binary", "8-bit", "7-bit"):
            self.problems["unknown-encoding"] = None
        return data

    def attachment(self, part: _Part) -> Attachment:
        kind = part.kind()[0]
        content = self.content(part)
        name = self.name_of(part)
        if not name and kind in ("message/rfc822", "message/global"):
            subject = headers.text_of(_headers_only(content).raw_header("subject"), limit=60)
            name = f"{subject or 'message'}.eml"
        if not name:
            stem = "image" if kind.startswith("image/") else "file"
            name = _DEFAULT_NAMES.get(kind) or f"{stem}-{len(self.files) + 1}{extension_of(kind)}"
        return Attachment(safe_filename(name), content, kind, self.cid_of(part) or None)

    def name_of(self, part: _Part) -> str:
        """The file name a part gives itself, decoded; RFC 2183 before the older ``name`` of RFC 2045."""
        values = headers.parameters(part.raw_header("content-disposition"))[1]
        name = values.get("filename") or values.get("name") or part.kind()[1].get("name") or ""
        return clean(headers.decode_words(headers.plain(name, part.kind()[1].get("charset"))))

    def cid_of(self, part: _Part) -> str:
        return clean(headers.plain(part.raw_header("content-id"))).strip("<> ")[:500]


def _richness(part: _Part) -> int:
    """How good a wording a part of an alternative is: 3 markup, 2 plain text, 1 other shown text, 0 none."""
    kind = part.kind()[0]
    if part.is_multipart():
        return max((_richness(child) for child in part.get_payload() if isinstance(child, _Part)), default=0)
    if headers.parameters(part.raw_header("content-disposition"))[0] == "attachment":
        return 0
    return {"text/html": 3, "text/plain": 2}.get(kind, 1 if kind in _SHOWN else 0)


def _visible(html: str) -> bool:
    """Whether markup shows anything: a word, a picture or a rule."""
    return "<img" in html or bool(re.sub(r"<[^<>]*>|&nbsp;|[\s\u00a0\u200b-\u200d\ufeff]", "", html))


def _meta_charset(content: bytes) -> str | None:
    match = re.search(
        rb"<meta[^<>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", content[:4096], re.IGNORECASE
    )
    return match[1].decode("ascii") if match else None


def _uudecode(data: bytes) -> bytes:
    lines = data.splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith(b"begin ")]
    decoded = []
    for line in lines[starts[0] + 1 if starts else 0 :]:
        if line.strip() in (b"end", b"`", b""):
            break
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:  # some encoders leave rubbish after the counted bytes
            count = ((line[0] - 32) & 63) * 4 // 3 + 2
            try:
                decoded.append(binascii.a2b_uu(line[:count]))
            except binascii.Error:
                return data
    return b"".join(decoded)
