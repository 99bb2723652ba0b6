"""Text as the search sees it: words without accents, case or ligatures, the same for both engines.

Splitting happens here and not in the databases, whose own readers disagree about hyphens, addresses and newer scripts.
Scripts written without blanks between words (Chinese, Japanese, Thai, Khmer, …) are split into single characters.
No stemming and no stop words: people write in many languages.
"""

from __future__ import annotations

import html
import re
import unicodedata

#: letters that Unicode does not take apart, as people without the right keyboard type them
_PLAIN = {
    "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i", "ħ": "h", "ŧ": "t",
    "ɛ": "e", "ǝ": "e", "ə": "e", "ɔ": "o", "ŋ": "n", "ɲ": "n", "ɖ": "d", "ɗ": "d", "ɓ": "b", "ƒ": "f",
    "ɣ": "g", "ɩ": "i", "ƙ": "k", "ʋ": "v", "ƴ": "y", "ʼ": "'", "ꞌ": "'",
}  # fmt: skip
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_HIDDEN_NAMES = ("<style", "<script", "<head", "<title", "<!--")
_HIDDEN = re.compile(r"<(style|script|head|title)\b.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_INLINE_TAG = re.compile(
    r"</?(?:a|abbr|b|big|code|em|font|i|ins|mark|q|s|small|span|strike|strong|sub|sup|tt|u|wbr)\b[^<>]*>", re.IGNORECASE
)
_TAG = re.compile(r"<[a-z/!?][^<>]*>", re.IGNORECASE)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

MAX_WORD_CHARS = 64
MAX_TEXT_CHARS = 400_000
MAX_WORDS = 20_000


def fold(text: str) -> str:
    """``text`` in lower case, without accents and ligatures: ``École`` and ``ecole`` fold to the same."""
    if text.isascii():
        return text.lower()
    # twice: some letters get their case only by decomposing, some marks only by casefolding
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    # a text has few different letters: going through those is four times faster than through the text
    for letter in set(folded):
        if letter > "\x7f":
            plain = "" if unicodedata.combining(letter) else _PLAIN.get(letter, letter)
            if plain != letter:
                folded = folded.replace(letter, plain)
    return folded


def words(text: str) -> list[str]:
    """The different words of ``text`` in the order of their first appearance, folded; each cut to 64 characters."""
    folded = fold(text[:MAX_TEXT_CHARS])
    found = (_ASCII_WORD if folded.isascii() else _WORD).findall(folded)
    different = list(dict.fromkeys(found))
    if max(map(len, different), default=0) > MAX_WORD_CHARS:
        different = list(dict.fromkeys(word[:MAX_WORD_CHARS] for word in different))
    return different[:MAX_WORDS]


def plain_text(body: str) -> str:
    """What a person reads of an HTML ``body``, on one line: for previews and for the index, never for showing markup."""
    if "<" in body:
        lowered = body.lower()
        if any(name in lowered for name in _HIDDEN_NAMES):
            body = _HIDDEN.sub(" ", body)
        body = _TAG.sub(" ", _INLINE_TAG.sub("", body))
    if "&" in body:
        body = html.unescape(body)
    return " ".join(body.split())


def storable(text: str) -> str:
    """``text`` as both engines can keep it: NUL and lone surrogates become U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)
