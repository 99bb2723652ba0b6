"""``dictionary@``: what a word means, from Wiktionary; the answer hangs on the board of the box for whoever asks next."""

from __future__ import annotations

import html
from datetime import timedelta

from lokole.adapters.service.asking import Wanted, read_wanted
from lokole.adapters.service.finding import look_up, no_article, source_line
from lokole.adapters.service.wiki import Wiki
from lokole.ports.service import Answer, Question, Service, Surroundings, in_language

SITE = "https://{language}.wiktionary.org"
#: an entry has all languages that know the word, the asked one first
_MAX_BYTES = 6_000
#: words change slowly
_VALID = timedelta(days=30)
# Lingala and Swahili are drafts for native readers, as the catalogues of the pages are
_ABOUT = {
    "en": "Says what a word means. Write the word as the subject; “fr: eau” looks in the French dictionary. The answer hangs on the board for all.",
    "fr": "Dit ce qu’un mot veut dire. Écrivez le mot comme objet ; « en: water » cherche dans le dictionnaire anglais. La réponse est affichée au tableau pour tous.",
    "ln": "Elimbolaka liloba. Koma liloba na esika ya motó ya likambo; “fr: eau” elukaka na diksionele ya Lifalanse. Eyano etyamaka na etanda mpo na bato nyonso.",
    "sw": "Hueleza maana ya neno. Andika neno kama mada; “fr: eau” hutafuta katika kamusi ya Kifaransa. Jibu huwekwa kwenye ubao kwa wote.",
}
_SUBJECT = {"en": "Word: {title}", "fr": "Mot : {title}", "ln": "Liloba: {title}", "sw": "Neno: {title}"}


class Dictionary:
    """Answers with the entry of one word."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._wiki = Wiki(surroundings.fetch, surroundings.urls.get("dictionary", SITE))
        self._max_bytes = min(_MAX_BYTES, surroundings.max_bytes)

    def about(self, language: str) -> str:
        return in_language(_ABOUT, language)

    def shared_key(self, question: Question) -> str | None:
        wanted = read_wanted(question)
        return f"{wanted.languages[0]} {wanted.terms[0].casefold()}" if wanted.terms else None

    def answer(self, question: Question) -> Answer | None:
        wanted, language = read_wanted(question), question.language
        if not wanted.terms:
            return Answer("Wiktionary", f"<p>{html.escape(self.about(language), quote=False)}</p>")
        # a word at the beginning of a line was made large by the telephone more often than by its writer
        terms = dict.fromkeys(form for term in wanted.terms[:1] for form in (term.lower(), term))
        found = look_up(self._wiki, Wanted(wanted.languages, tuple(terms)), self._max_bytes)
        if found.article is None:
            return no_article(found, language)
        subject = in_language(_SUBJECT, language).format(title=found.article.title)
        source = source_line(found, SITE, "Wiktionary", language, cut=found.article.cut)
        return Answer(subject, found.article.body + source, valid_for=_VALID)


def make_dictionary(surroundings: Surroundings) -> Service:
    """The service."""
    return Dictionary(surroundings)
