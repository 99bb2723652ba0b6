"""Looking something up in a wiki in the order in which it was asked: what Wikipedia and the dictionary have in common."""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass

from lokole.adapters.service.asking import Wanted
from lokole.adapters.service.lean import Article
from lokole.adapters.service.wiki import Hit, Wiki
from lokole.ports.service import Answer, in_language

_MOST_SUGGESTIONS = 12
# Lingala and Swahili are drafts for native readers, as the catalogues of the pages are
_SUGGESTIONS = {
    "en": "Nothing is called exactly “{term}”. Write again with one of these:",
    "fr": "Rien ne s’appelle exactement « {term} ». Écrivez encore avec l’un de ceux-ci :",
    "ln": "Eloko moko te ezali na kombo “{term}” mpenza. Koma lisusu na moko ya oyo:",
    "sw": "Hakuna kitu kinachoitwa “{term}” hasa. Andika tena ukitumia mojawapo ya haya:",
}
_AMBIGUOUS = {
    "en": "“{term}” may mean several things. Write again with one of these:",
    "fr": "« {term} » peut désigner plusieurs choses. Écrivez encore avec l’un de ceux-ci :",
    "ln": "“{term}” ekoki kolimbola makambo ebele. Koma lisusu na moko ya oyo:",
    "sw": "“{term}” inaweza kuwa na maana kadhaa. Andika tena ukitumia mojawapo ya haya:",
}
_NOTHING = {
    "en": (
        "Nothing found: {term}",
        "Nothing was found for “{term}”. Look at how it is written, or try a simpler word.",
    ),
    "fr": (
        "Rien trouvé : {term}",
        "Rien n’a été trouvé pour « {term} ». Vérifiez l’orthographe ou essayez un mot plus simple.",
    ),
    "ln": (
        "Emonani te: {term}",
        "Eloko moko te emonani mpo na “{term}”. Tala soki ekomami malamu, to meka liloba ya pete.",
    ),
    "sw": (
        "Hakuna kilichopatikana: {term}",
        "Hakuna kilichopatikana kwa “{term}”. Angalia tahajia, au jaribu neno rahisi zaidi.",
    ),
}
_CUT = {
    "en": "It goes on there; this is the beginning.",
    "fr": "La suite est là-bas ; ceci est le début.",
    "ln": "Ezali kokoba kuna; oyo ezali ebandeli.",
    "sw": "Inaendelea huko; huu ni mwanzo tu.",
}


@dataclass(frozen=True, slots=True)
class Found:
    """An article, or what may have been meant: ``hits``; neither when nothing was found."""

    language: str
    term: str
    article: Article | None = None
    hits: tuple[Hit, ...] = ()
    ambiguous: bool = False


def look_up(wiki: Wiki, wanted: Wanted, max_bytes: int) -> Found:
    """The first exact article in the order of languages and terms; else the first suggestions."""
    instead: Found | None = None
    for language in wanted.languages:
        for term in wanted.terms:
            found = _look_up(wiki, language, term, max_bytes)
            if found.article is not None:
                return found
            if instead is None and found.hits:
                instead = found
    return instead or Found(wanted.languages[0], wanted.terms[0])


def _look_up(wiki: Wiki, language: str, term: str, max_bytes: int) -> Found:
    article = wiki.page(language, term, max_bytes)
    hits: list[Hit] = []
    if article is None:
        hits = wiki.search(language, term)
        same = [hit for hit in hits if folded(hit.title) == folded(term) and hit.title != term]
        article = wiki.page(language, same[0].title, max_bytes) if same else None
    if article is not None and article.ambiguous and article.links:
        meant = tuple(Hit(title, "") for title in article.links[:_MOST_SUGGESTIONS])
        return Found(language, term, hits=meant, ambiguous=True)
    return Found(language, term, article, tuple(hits))


def no_article(found: Found, language: str) -> Answer:
    """What is said when there is no article: suggestions, or that there is nothing."""
    if not found.hits:
        subject, body = (in_language({code: text[n] for code, text in _NOTHING.items()}, language) for n in (0, 1))
        return Answer(subject.format(term=found.term), f"<p>{_escaped(body.format(term=found.term))}</p>")
    head = in_language(_AMBIGUOUS if found.ambiguous else _SUGGESTIONS, language).format(term=found.term)
    items = "".join(
        f"<li><b>{_escaped(hit.title)}</b>{': ' + _escaped(hit.description) if hit.description else ''}</li>"
        for hit in found.hits
    )
    return Answer(f"{found.term}?", f"<p>{_escaped(head)}</p><ul>{items}</ul>")


def source_line(found: Found, site: str, name: str, language: str, *, cut: bool) -> str:
    """Where an article is from and under which licence, and that it is not the whole."""
    assert found.article is not None
    title = found.article.title
    more = f" {in_language(_CUT, language)}" if cut else ""
    where = f"{site.replace('{language}', found.language)}/wiki/{title.replace(' ', '_')}"
    return f"<p><small>{_escaped(f'{name} ({found.language}), {where}, CC BY-SA 4.0.{more}')}</small></p>"


def folded(text: str) -> str:
    """Text by which two titles are the same: case, accents and further blanks do not count."""
    plain = unicodedata.normalize("NFKD", " ".join(text.replace("_", " ").split()).casefold())
    return "".join(char for char in plain if not unicodedata.combining(char))


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
