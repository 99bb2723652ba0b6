"""``wikipedia@``: an article of Wikipedia, lean, or as PDF; suggestions when none has exactly this name."""

from __future__ import annotations

import html

from lokole.adapters.service.asking import read_wanted
from lokole.adapters.service.finding import look_up, no_article, source_line
from lokole.adapters.service.wiki import Wiki
from lokole.mail.model import Attachment
from lokole.ports.service import Answer, Question, Service, Surroundings, in_language

SITE = "https://{language}.wikipedia.org"
# Lingala and Swahili are drafts for native readers, as the catalogues of the pages are
_ABOUT = {
    "en": "Looks an article up in the encyclopedia Wikipedia. Write what you look for as the subject, such as “Malaria”; "
    "“fr: Paludisme” looks in French, and the word “pdf” after it asks for a PDF.",
    "fr": "Cherche un article dans l’encyclopédie Wikipédia. Écrivez ce que vous cherchez comme objet, par exemple « Paludisme » ; "
    "« en: Malaria » cherche en anglais, et le mot « pdf » à la suite demande un PDF.",
    "ln": "Elukaka lisolo na ansiklopedi Wikipedia. Koma oyo ozali koluka na esika ya motó ya likambo, lokola “Malaria”; "
    "“fr: Paludisme” elukaka na Lifalanse, mpe liloba “pdf” sima na yango esengaka PDF.",
    "sw": "Hutafuta makala katika kamusi elezo Wikipedia. Andika unachotafuta kama mada, kwa mfano “Malaria”; "
    "“fr: Paludisme” hutafuta kwa Kifaransa, na neno “pdf” baada yake huomba PDF.",
}
_NO_PDF = {
    "en": "There is no PDF of this article that is small enough for the way to you. Here are its words:",
    "fr": "Il n’y a pas de PDF de cet article assez petit pour venir jusqu’à vous. Voici son texte :",
    "ln": "PDF ya lisolo oyo oyo ekoki kokóma epai na yo ezali te. Tala maloba na yango:",
    "sw": "Hakuna PDF ya makala hii iliyo ndogo vya kutosha kukufikia. Haya ni maneno yake:",
}


class Wikipedia:
    """Answers with one article."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._wiki = Wiki(surroundings.fetch, surroundings.urls.get("wikipedia", SITE))
        self._max_bytes = surroundings.max_bytes
        self._max_file_bytes = surroundings.max_file_bytes

    def about(self, language: str) -> str:
        return in_language(_ABOUT, language)

    def shared_key(self, question: Question) -> str | None:
        return None

    def answer(self, question: Question) -> Answer | None:
        wanted, language = read_wanted(question), question.language
        if not wanted.terms:
            return Answer("Wikipedia", f"<p>{html.escape(self.about(language), quote=False)}</p>")
        found = look_up(self._wiki, wanted, self._max_bytes)
        article = found.article
        if article is None:
            return no_article(found, language)
        source = source_line(found, SITE, "Wikipedia", language, cut=article.cut)
        if not wanted.pdf:
            return Answer(article.title, article.body + source)
        pdf = self._wiki.pdf(found.language, article.title, self._max_file_bytes)
        if pdf is None:
            note = f"<p>{html.escape(in_language(_NO_PDF, language), quote=False)}</p>"
            return Answer(article.title, note + article.body + source)
        whole = source_line(found, SITE, "Wikipedia", language, cut=False)
        return Answer(article.title, whole, (Attachment(f"{article.title}.pdf", pdf, "application/pdf"),))


def make_wikipedia(surroundings: Surroundings) -> Service:
    """The service."""
    return Wikipedia(surroundings)
