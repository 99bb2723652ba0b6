"""What somebody has asked for, read out of a letter: a language, words, whether they want a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lokole.ports.service import Question

#: wikis by their code; what a person writes is never put into an address unless it stands here
_LISTED = (
    "af ak am ar arz as az ban be bg bm bn bs ca ceb ckb co cs cy da de din ee el en eo es et eu fa ff fi fr"
    " fy ga gd gl gn gu ha he hi hr ht hu hy id ig is it ja jv ka kab kbp kg ki kk km kn ko kr ku ky la lb lg"
    " ln lo lt lv mg mi mk ml mn mr ms mt my ne nl no nqo nso ny om or pa pcm pl pnb ps pt qu rm rn ro ru rw sc"
    " sd sg shi si simple sk sl sn so sq sr ss st sv sw ta te tg th ti tk tl tn tr ts tum tw ug uk ur uz ve vi"
    " war wo xh yi yo zgh zh zu"
)
_CODES = frozenset(_LISTED.split())
_NAMES = {
    "en": "english anglais angele kiingereza lingelesa",
    "fr": "french français francais falanse kifaransa lifalanse",
    "ln": "lingala",
    "sw": "swahili kiswahili souahéli",
    "pt": "portuguese português portugais kireno",
    "es": "spanish español espagnol kihispania",
    "ar": "arabic arabe kiarabu العربية",
    "kg": "kikongo kongo",
    "rw": "kinyarwanda",
    "rn": "kirundi",
    "lg": "luganda",
    "de": "german deutsch allemand",
}
_BY_NAME = {name: code for code, names in _NAMES.items() for name in names.split()}
#: where few articles are: what to look into next, when nobody has named a language
_NEXT = {"ln": ("fr",), "kg": ("fr",), "sw": ("en",), "rw": ("en",), "rn": ("fr",), "lg": ("en",)}
_ANSWER = re.compile(r"^(?:\s*(?:re|aw|sv|antw|fwd?|tr|auto)\s*:)+", re.IGNORECASE)
_MOST_CHARS = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """``languages`` to look into one after the other, ``terms`` to look for one after the other, ``pdf``: as a file."""

    languages: tuple[str, ...]
    terms: tuple[str, ...]
    pdf: bool = False


def read_wanted(question: Question) -> Wanted:
    """As the first Lokole had it, a subject that is a language (``fr``, ``français``) leaves the first line of the text to be looked for.

    Any other subject is what is looked for itself, ``fr: eau`` with its language; the text comes after it. The word ``pdf`` asks for a file.
    """
    words = _ANSWER.sub("", question.letter.subject).split()
    pdf = any(word.casefold() == "pdf" for word in words)
    words = [word for word in words if word.casefold() != "pdf"]
    lines = [line.strip() for line in question.text.splitlines() if line.strip()]
    first = lines[0] if lines else ""
    named: str | None = None
    if first and len(words) == 1 and (code := _language(words[0])):
        named, words = code, []
    elif len(words) > 1 and words[0].endswith(":") and (code := _language(words[0][:-1])):
        named, words = code, words[1:]
    if not words and first.casefold().endswith(" pdf"):
        pdf, first = True, first[:-4]
    terms = [" ".join(text.split())[:_MOST_CHARS].strip() for text in (" ".join(words), first)]
    own = question.language.partition("-")[0].casefold()
    own = own if own in _CODES else "en"
    languages = (named,) if named else (own, *_NEXT.get(own, ()))
    return Wanted(languages, tuple(dict.fromkeys(term for term in terms if term)), pdf)


def _language(word: str) -> str | None:
    word = word.casefold()
    return word if word in _CODES else _BY_NAME.get(word)
