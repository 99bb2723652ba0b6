"""Wikis of the Wikimedia Foundation, and any other MediaWiki: pages, search and PDF by their REST APIs.

https://www.mediawiki.org/wiki/API:REST_API/Reference (pages and search), https://en.wikipedia.org/api/rest_v1/ (PDF).
What cannot be read raises Temporary: a provider that talks nonsense may come to its senses.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from lokole.adapters.service.lean import Article, read_article
from lokole.mail.errors import Permanent, Temporary
from lokole.ports.fetch import Fetch

_MOST_HITS = 8
_MOST_PAGE_BYTES = 12 * 1024 * 1024
#: what no title has (https://www.mediawiki.org/wiki/Manual:Page_title)
_NO_TITLE = re.compile(r"[#<>\[\]|{}\x00-\x1f\x7f]")
_MARKUP = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that a search has found, with a few words on what it is about (may be empty)."""

    title: str
    description: str


class Wiki:
    """Wikis at ``base``, an address in which ``{language}`` stands for the code of a language."""

    def __init__(self, fetch: Fetch, base: str) -> None:
        self._fetch = fetch
        self._base = base.rstrip("/")

    def page(self, language: str, title: str, max_bytes: int) -> Article | None:
        """The page with exactly this title (a redirect counts as the page it leads to), None when there is none."""
        if not title or len(title.encode()) > 255 or _NO_TITLE.search(title):
            return None
        url = f"{self._at(language)}/w/rest.php/v1/page/{_in_path(title)}/html"
        found = self._fetch(url, accept="text/html", max_bytes=_MOST_PAGE_BYTES)
        if found.status in (400, 404):
            return None
        if not found.is_good or found.type != "text/html":
            raise Temporary(f"the wiki answered {found.status} {found.type}")
        article = read_article(found.content, max_bytes)
        if not article.title or not article.body:
            raise Temporary("the wiki sent a page without words")
        return article

    def search(self, language: str, term: str) -> list[Hit]:
        """The pages that fit ``term`` best, best first."""
        query = urlencode({"q": term, "limit": _MOST_HITS})
        found = self._fetch(f"{self._at(language)}/w/rest.php/v1/search/page?{query}", accept="application/json")
        if found.status in (400, 404):
            return []
        try:
            if not found.is_good:
                raise ValueError(found.status)
            pages = json.loads(found.content)["pages"]
            return [Hit(str(one["title"]), _about(one)) for one in pages][:_MOST_HITS]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Temporary(f"the wiki's answer to a search cannot be read ({found.status})") from error

    def pdf(self, language: str, title: str, max_bytes: int) -> bytes | None:
        """The page as PDF; None when it is larger than ``max_bytes`` or the wiki makes none."""
        url = f"{self._at(language)}/api/rest_v1/page/pdf/{_in_path(title)}"
        try:
            found = self._fetch(url, accept="application/pdf", max_bytes=max_bytes)
        except Permanent:
            return None
        if found.status in (400, 403, 404, 410):
            return None
        if not found.is_good or not found.content.startswith(b"%PDF-"):
            raise Temporary(f"the wiki's PDF cannot be read ({found.status})")
        return found.content

    def _at(self, language: str) -> str:
        return self._base.replace("{language}", language)


def _in_path(title: str) -> str:
    return quote(title.replace(" ", "_"), safe="")


def _about(page: dict[str, object]) -> str:
    """The description, else the beginning of the text around what was found."""
    text = page.get("description") or html.unescape(_MARKUP.sub("", str(page.get("excerpt") or "")))
    words = " ".join(str(text).split())
    return words if len(words) <= 120 else words[:119].rstrip() + "…"
