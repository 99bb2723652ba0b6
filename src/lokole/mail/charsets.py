"""Bytes of a message into text, whatever the sender claims them to be.

A declared charset is tried first, then UTF-8, then Windows-1252; a wrong or unknown name costs a remark, never the letter.
It does not detect charsets statistically: that library weighs more than what it would save.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

#: what a browser reads under these names too (WHATWG encoding standard): the older set is a subset of the newer.
_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
#: names seen in real mail that Python does not know.
_OTHER_NAMES = {
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "x-gbk": "gb18030",
    "x-sjis": "cp932",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "x-euc-jp": "euc_jp",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "x-unicode-2-0-utf-8": "utf-8",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    "default": "cp1252",
}
# Python's registry also holds codecs that are no charsets (zip, rot13, unicode_escape): only these families are text.
_TEXT_CODEC = re.compile(
    r"utf|iso|cp\d|koi8|mac|gb|big5|euc|shift|hz|johab|latin|ascii|tis|ptcp|kz1048|hp-roman8", re.IGNORECASE
)
# C0 and C1 controls except tab and line ends, and halves of surrogate pairs: no database and no page wants them.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_MULTIBYTE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]+")


@lru_cache(maxsize=256)
def find_codec(charset: str) -> str | None:
    """The name of Python's codec for a MIME charset name, or None when there is none."""
    name = charset.strip().strip("\"'").lower()
    name = _OTHER_NAMES.get(name, name)
    if not name or len(name) > 40 or not name.isascii():
        return None
    for candidate in (name, name.replace("windows-", "cp").replace("cp-", "cp"), name.removeprefix("x-")):
        try:
            found = codecs.lookup(candidate).name
        except (LookupError, ValueError, TypeError):
            continue
        if _TEXT_CODEC.match(found):
            return _WIDER.get(found, found)
    return None


def clean(text: str) -> str:
    """``text`` without control characters and lone surrogates."""
    return _CONTROLS.sub("", text) if _CONTROLS.search(text) else text


def decode_text(raw: bytes, charset: str | None = None) -> tuple[str, str | None]:
    """``raw`` as clean text, and a remark such as ``unknown-charset:x`` when the declared ``charset`` did not fit."""
    problem = None
    if charset:
        codec = find_codec(charset)
        if codec is None:
            problem = f"unknown-charset:{_word(charset)}"
        elif not (codec == "cp1252" and not raw.isascii() and _is_utf8(raw)):
            try:
                return clean(raw.decode(codec)), None
            except (UnicodeError, ValueError):
                text = _mostly(raw, codec)
                if text is not None:
                    return text, None if codec == "cp1252" else f"broken-charset:{codec}"
                problem = f"broken-charset:{codec}"
    return _guess(raw), problem


def _word(charset: str) -> str:
    return re.sub(r"[^a-z0-9_.-]", "", charset.lower())[:40]


def _is_utf8(raw: bytes) -> bool:
    """Whether bytes declared Latin are UTF-8 after all: by chance that happens to almost no Latin text."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _mostly(raw: bytes, codec: str) -> str | None:
    """``raw`` by ``codec`` with marks for bytes that do not fit, or None when so many do not fit that it must be another charset."""
    if codec == "cp1252":
        return clean(raw.decode("latin-1")) if raw.count(0) == 0 else None
    try:
        text = raw.decode(codec, "replace")
    except (UnicodeError, ValueError):
        return None
    return clean(text) if text.count("\ufffd") * 20 <= len(text) else None


def _guess(raw: bytes) -> str:
    """Text of an unknown charset: byte order mark, UTF-8, ISO-2022-JP, then Windows-1252."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return clean(raw.decode("utf-16", "replace"))
    if b"\x1b$" in raw or b"\x1b(J" in raw:
        try:
            return clean(raw.decode("iso2022_jp"))
        except UnicodeDecodeError:
            pass
    try:
        return clean(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        pass
    marked = raw.decode("utf-8", "replace")
    if marked.count("\ufffd") < len(_MULTIBYTE.findall(raw)):
        return clean(marked)
    try:
        return clean(raw.decode("cp1252"))
    except UnicodeDecodeError:
        return clean(raw.decode("latin-1"))
