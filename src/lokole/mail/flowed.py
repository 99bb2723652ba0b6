"""Two written forms of plain text that need undoing before it is shown: format=flowed and text/enriched.

RFC 3676 (flowed paragraphs) and RFC 1896 (enriched text, of which only the words are kept).
"""

from __future__ import annotations

import re

_QUOTES = re.compile(r"(>*)( ?)(.*)", re.DOTALL)
_PARAM = re.compile(r"<param>.*?</param>", re.DOTALL | re.IGNORECASE)
_COMMAND = re.compile(r"</?[A-Za-z0-9-]{1,60}>")


def unflow(text: str, *, delsp: bool) -> str:
    """Paragraphs whose soft line ends (a blank before the end) are joined again; quotes keep ``> ``, the signature stays apart."""
    lines: list[str] = []
    pending, pending_depth = "", -1
    for line in text.replace("\r\n", "\n").split("\n"):
        match = _QUOTES.match(line)
        marks, rest = (match[1], match[3]) if match else ("", line)
        depth = len(marks)
        flows = rest.endswith(" ") and rest != "-- "
        if pending_depth not in (-1, depth) or (rest == "-- " and pending_depth != -1):
            lines.append(_quoted(pending, pending_depth))
            pending, pending_depth = "", -1
        pending += rest[:-1] if flows and delsp else rest
        if flows:
            pending_depth = depth
        else:
            lines.append(_quoted(pending, depth))
            pending, pending_depth = "", -1
    if pending_depth != -1:
        lines.append(_quoted(pending, pending_depth))
    return "\n".join(lines)


def _quoted(text: str, depth: int) -> str:
    return f"{'>' * depth} {text}" if depth else text


def enriched_to_text(text: str) -> str:
    """The words of enriched text: commands dropped, single line ends a blank, of several one less (RFC 1896 section 2)."""
    text = text.replace("\r\n", "\n").replace("<<", "\x00")
    text = _COMMAND.sub("", _PARAM.sub("", text)) if "</param" in text.lower() else _COMMAND.sub("", text)
    text = re.sub(r"\n+", lambda match: match[0][1:] or " ", text)
    return text.replace("\x00", "<")
