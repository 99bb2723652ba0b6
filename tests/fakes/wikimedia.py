"""Wikimedia's wikis with state: pages, redirects, a search, PDF; answers follow the published schemas, which this module checks itself.

https://www.mediawiki.org/wiki/API:REST_API/Reference and https://en.wikipedia.org/api/rest_v1/.
``{url}/{language}`` is the base of one wiki.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import jsonschema

from tests.fakes.web_server import Asked, FakeProvider, Said

_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_MAYBE_NUMBER = {"type": ["number", "null"]}
#: “Search result object” of the reference, in ``{"pages": […]}``
SEARCH = {
    "type": "object",
    "required": ["pages"],
    "additionalProperties": False,
    "properties": {
        "pages": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "key", "title", "excerpt", "matched_title", "description", "thumbnail"],
                "properties": {
                    "id": {"type": "integer"},
                    "key": _TEXT,
                    "title": _TEXT,
                    "excerpt": _TEXT,
                    "matched_title": _MAYBE_TEXT,
                    "description": _MAYBE_TEXT,
                    "thumbnail": {
                        "type": ["object", "null"],
                        "required": ["mimetype", "url"],
                        "properties": {
                            "mimetype": _TEXT,
                            "size": _MAYBE_NUMBER,
                            "width": _MAYBE_NUMBER,
                            "height": _MAYBE_NUMBER,
                            "duration": _MAYBE_NUMBER,
                            "url": _TEXT,
                        },
                    },
                },
            },
        }
    },
}
#: “Error” of the reference
ERROR = {
    "type": "object",
    "required": ["httpCode", "httpReason"],
    "properties": {
        "errorKey": _TEXT,
        "messageTranslations": {"type": "object", "additionalProperties": _TEXT},
        "httpCode": {"type": "integer"},
        "httpReason": _TEXT,
    },
}


@dataclass
class Page:
    """An article: ``markup`` is what its sections hold; ``means`` are the titles that a page of meanings lists."""

    title: str
    markup: str = "<p>words</p>"
    description: str | None = None
    means: tuple[str, ...] = ()
    pdf: bytes | None = b"%PDF-1.7 an article"


@dataclass
class _Wiki:
    pages: dict[str, Page] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)


class FakeWikimedia(FakeProvider):
    """``wikis`` by language; :meth:`add` writes a page."""

    def __init__(self) -> None:
        super().__init__()
        self.wikis: dict[str, _Wiki] = {}

    def add(self, language: str, page: Page, *redirects: str) -> None:
        """A page, and titles that lead to it."""
        wiki = self.wikis.setdefault(language, _Wiki())
        wiki.pages[page.title] = page
        wiki.redirects.update(dict.fromkeys(redirects, page.title))

    @property
    def base(self) -> str:
        """What a setting names."""
        return f"{self.url}/{{language}}"

    def answer(self, asked: Asked) -> Said:
        _, language, path = asked.path.split("/", 2)
        assert "lokole/" in asked.headers["user-agent"]
        assert "(" in asked.headers["user-agent"]
        wiki = self.wikis.get(language, _Wiki())
        if path == "w/rest.php/v1/search/page":
            return self._search(wiki, asked.query["q"], int(asked.query["limit"]))
        if path.startswith("w/rest.php/v1/page/") and path.endswith("/html"):
            return self._html(language, wiki, path.removeprefix("w/rest.php/v1/page/").removesuffix("/html"))
        if path.startswith("api/rest_v1/page/pdf/"):
            page = wiki.pages.get(path.removeprefix("api/rest_v1/page/pdf/").replace("_", " "))
            if page is None or page.pdf is None:
                return Said(
                    404, {"type": "https://mediawiki.org/wiki/HyperSwitch/errors/not_found", "title": "Not found."}
                )
            return Said(200, page.pdf, {"Content-Type": "application/pdf"})
        raise AssertionError(f"no such path: {asked.path}")

    def _html(self, language: str, wiki: _Wiki, key: str) -> Said:
        title = key.replace("_", " ")
        target = wiki.redirects.get(title) or title[:1].upper() + title[1:]
        if target != title and target in wiki.pages:
            where = f"/{language}/w/rest.php/v1/page/{quote(target.replace(' ', '_'), safe='')}/html"
            return Said(307, None, {"Location": where})
        if title not in wiki.pages:
            error = {
                "errorKey": "rest-nonexistent-title",
                "messageTranslations": {"en": f"The specified title ({title}) does not exist"},
                "httpCode": 404,
                "httpReason": "Not Found",
            }
            jsonschema.validate(error, ERROR)
            return Said(404, error)
        return Said(200, document(wiki.pages[title]), {"Content-Type": "text/html; charset=utf-8"})

    def _search(self, wiki: _Wiki, term: str, limit: int) -> Said:
        assert 1 <= limit <= 100
        words = term.casefold().split()
        found = [
            page
            for page in wiki.pages.values()
            if all(word in f"{page.title} {page.markup} {page.description}".casefold() for word in words)
        ]
        found.sort(key=lambda page: page.title.casefold() != term.casefold())
        said: dict[str, Any] = {"pages": [_hit(n, page, term) for n, page in enumerate(found[:limit], start=1)]}
        jsonschema.validate(said, SEARCH)
        return Said(200, said)


def _hit(n: int, page: Page, term: str) -> dict[str, Any]:
    return {
        "id": n,
        "key": page.title.replace(" ", "_"),
        "title": page.title,
        "excerpt": f'the beginning of <span class="searchmatch">{html.escape(term)}</span> &amp; more',
        "matched_title": None,
        "description": page.description,
        "thumbnail": None,
    }


def document(page: Page) -> bytes:
    """The page as Parsoid writes it (https://www.mediawiki.org/wiki/Specs/HTML)."""
    mark = '<meta property="mw:PageProp/disambiguation"/>' if page.means else ""
    items = "".join(
        f'<li><a rel="mw:WikiLink" href="./{quote(one)}" title="{html.escape(one)}">{html.escape(one)}</a>, a thing'
        ' in the <a rel="mw:WikiLink" href="./World" title="World">world</a></li>'
        for one in page.means
    )
    body = f"{page.markup}<ul>{items}</ul>" if page.means else page.markup
    return (
        '<!DOCTYPE html><html prefix="dc: http://purl.org/dc/terms/"><head><meta charset="utf-8"/>'
        f"{mark}<title>{html.escape(page.title)}</title></head>"
        f'<body lang="xx" class="mw-content-ltr mw-body-content parsoid-body"><section data-mw-section-id="0">{body}'
        "</section></body></html>"
    ).encode()
