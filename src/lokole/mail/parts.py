"""A message taken apart by the standard parser (policy ``compat32``), within limits and without surprises.

The parser is linear in a message's lines times the depth of its parts, and recursive in that depth: both are limited here.
What a part means is for ``mail/reading.py``; nothing here decodes anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesFeedParser
from email.policy import Policy, compat32
from typing import Any

from lokole.mail import headers


@dataclass(frozen=True, slots=True)
class MimeLimits:
    """How much of a message is taken apart; ``max_bytes`` is of the whole message, ``max_body_chars`` of one shown part."""

    max_bytes: int = 40_000_000
    max_lines: int = 1_000_000
    max_depth: int = 50
    max_parts: int = 1000
    max_headers: int = 2000
    max_recipients: int = 10_000
    max_body_chars: int = 2_000_000


class PastLimit(Exception):
    """The message is larger in some way than ``MimeLimits`` allows; the argument is the problem's word."""


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


class Part(Message):
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
        if isinstance(payload, Part):
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


def take_apart(raw: bytes, limits: MimeLimits, problems: dict[str, None]) -> Part:
    """The parts of ``raw``; what was odd goes into ``problems``. Raises :class:`PastLimit`."""
    if raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n") > limits.max_lines:
        raise PastLimit("too-many-lines")
    raw = _mended(raw)
    made = 0

    def make(policy: Policy = compat32) -> Part:
        nonlocal made
        made += 1
        if made > limits.max_parts:
            raise PastLimit("too-many-parts")
        return Part(limits, problems, policy)

    parser = BytesFeedParser(make, policy=compat32)
    for start in range(0, len(raw), 65536):
        parser.feed(raw[start : start + 65536])
    part = parser.close()
    assert isinstance(part, Part)
    return part


def headers_only(raw: bytes) -> Part:
    """The first headers of a message that is not taken apart."""
    end = _END_OF_HEADERS.search(raw)
    head = raw[: min(end.end() if end else len(raw), 100_000)]
    part = Part(MimeLimits(), {})
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
