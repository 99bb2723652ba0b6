"""A body made safe to show, and back to plain text.

Markup from outside is cut down to an allow-list by nh3; nothing that runs, styles, frames or fetches is left.
Pictures are kept only when the letter itself carries them (``cid:``, RFC 2392); of a remote one its alternative text stays.
The output has one form that the functions here rely on: lower-case names, every attribute in double quotes.

It does not fetch anything, and it is one layer of two: the pages add a sandboxed frame and a content security policy.
"""

from __future__ import annotations

import html as entities
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from urllib.parse import unquote

import nh3


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAGS = _words(
    "a abbr b blockquote br code dd div dl dt em h1 h2 h3 h4 h5 h6 hr i img li ol p pre s small span strong sub sup"
    " table tbody td tfoot th thead tr u ul"
)
#: dropped together with what is inside.
_DROPPED = _words("script style noscript template svg math title textarea xmp iframe noembed noframes plaintext")
_ATTRIBUTES = {
    "*": {"dir"},  # the side a text is read from; without this line nh3 allows lang and title everywhere
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "cid"})
_DIRECTIONS = frozenset({"rtl", "ltr", "auto"})
_SIZE = re.compile(r"\d{1,4}%?")
_SPAN = re.compile(r"\d{1,2}")
_IMG = re.compile(r'<img((?: [a-z]+="[^"]*")*)>')
_ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
_PRE = re.compile(r'(<pre(?: dir="[a-z]+")?>.*?</pre>)', re.DOTALL)
_PRE_START = re.compile(r'(<pre(?: dir="[a-z]+")?>)\n+')
# A tag, or a comment; an unquoted "<" ends the attempt, so that hostile input costs no more than its length.
_TAG = re.compile(
    r"<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\"[^\"]*\"|'[^']*'|[^'\"<>])*+)>|<!--(?:.*?-->|.*\Z)|<![^<>]*>", re.DOTALL
)
_HIDDEN = re.compile(r"<(script|style|title)\b[^<>]*>(?:.*?</\1\s*>|.*\Z)", re.DOTALL | re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_BREAKS_BEFORE = _words(
    "address blockquote dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p pre table tr ul section article header footer"
)
_PARAGRAPHS = _words("blockquote dl h1 h2 h3 h4 h5 h6 ol p pre table ul")
#: levels of markup inside one another that are kept; browsers draw the line at a similar depth.
_MAX_DEPTH = 500
#: end by themselves or where the next one begins.
_NOT_NESTING = _words("area base br col dd dt hr img input li link meta option p param source td th tr wbr")
_FORMATTING = _words("a b big code em font i nobr s small strike strong tt u")
#: start tags times the formatting open at each; letters of all sorts stay far below.
_MAX_WORK = 500_000
_BETWEEN = re.compile(r"[\s/]+")


def make_safe(html: str) -> str:
    """Markup from anybody as markup that is safe to show; never raises, and making it safe twice shows the same."""
    if "<" not in html and "&" not in html:
        return _collapse(entities.escape(html.replace("\0", ""), quote=False))
    return _collapse(_IMG.sub(_own_picture, _cleaner().clean(_shallow(html))))


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED),
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes=set(_SCHEMES),
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    """The value an allowed attribute may keep, or None."""
    value = "".join(char for char in value if char >= " " and char != "\x7f").strip()
    if name == "src":
        return value if value[:4].lower() == "cid:" and len(value) < 1000 else None
    if name == "dir":
        return value.lower() if value.lower() in _DIRECTIONS else None
    if name == "href":
        return value if value[:4].lower() != "cid:" else None
    if name in ("width", "height"):
        return value if _SIZE.fullmatch(value) else None
    if name in ("colspan", "rowspan"):
        return value if _SPAN.fullmatch(value) else None
    return value


def _own_picture(match: re.Match[str]) -> str:
    """A picture that the letter carries as it is; of any other its alternative text."""
    attributes = dict(_ATTRIBUTE.findall(match[1]))
    return match[0] if attributes.get("src") else _instead(attributes)


def _instead(attributes: dict[str, str]) -> str:
    """The alternative text of a picture that is not shown, apart from the words around it."""
    text = entities.escape(entities.unescape(attributes.get("alt", "")).strip(), quote=False)
    return f" {text} " if text else " "


def _shallow(html: str) -> str:
    """``html`` unchanged, or as text when reading it as markup would cost more than any letter is worth.

    Parsing is quadratic in the depth of nested tags and in the attributes of one tag.
    """
    if html.count("<") <= _MAX_DEPTH and len(html) < 50_000:
        return html
    opened: Counter[str] = Counter()
    depth = formatting = work = 0
    for match in _TAG.finditer(html):
        name = (match[2] or "br").lower()
        if name in _NOT_NESTING:
            work += formatting  # each new block repeats the formatting that is still open
        elif not match[1]:
            opened[name] += 1
            depth += 1
            formatting += name in _FORMATTING
            work += formatting
        elif opened[name]:
            opened[name] -= 1
            depth -= 1
            formatting -= name in _FORMATTING
        else:
            work += depth  # looked for in vain
        many = len(match[3] or "") > 5_000 and len(_BETWEEN.split(_QUOTED.sub("", match[3]))) > 500
        if many or depth > _MAX_DEPTH or work > _MAX_WORK:
            words = _TAG.sub(" ", _HIDDEN.sub(" ", html))
            return text_to_html(" ".join(words.replace("<", " ").split()))
    return html


def _collapse(html: str) -> str:
    """White space outside ``<pre>`` as one blank: the same on a page, fewer bytes on the way."""
    html = html.replace("&nbsp;", "\u00a0")
    if "</pre>" not in html:
        return _single_blanks(html).strip(" ")
    # A line end directly after <pre> is dropped by whoever reads it next, one at a time.
    pieces = _PRE.split(_PRE_START.sub(r"\1", html))
    pieces[::2] = [_single_blanks(piece) for piece in pieces[::2]]
    return "".join(pieces).strip()


def _single_blanks(text: str) -> str:
    """Every run of white space as one blank; many times faster than a pattern, and every letter passes here."""
    for other in "\t\r\n\f":
        text = text.replace(other, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def rewrite_cids(html: str, resolve: Callable[[str], str | None]) -> str:
    """Safe markup with each ``cid:`` picture pointing at what ``resolve`` gives for its Content-ID; None leaves its text only.

    ``html`` must come from :func:`make_safe`; ``resolve`` gets the id without ``cid:`` and brackets, percent signs decoded.
    """

    def replace(match: re.Match[str]) -> str:
        attributes = dict(_ATTRIBUTE.findall(match[1]))
        source = entities.unescape(attributes.get("src", ""))
        url = resolve(unquote(source[4:]).strip("<>")) if source[:4].lower() == "cid:" else None
        if url is None:
            return _instead(attributes)
        attributes["src"] = entities.escape(url)
        return "<img" + "".join(f' {name}="{value}"' for name, value in attributes.items()) + ">"

    return _IMG.sub(replace, html)


def cids(html: str) -> frozenset[str]:
    """The Content-IDs of the pictures that safe markup shows."""
    found = set()

    def remember(cid: str) -> None:
        found.add(cid)

    rewrite_cids(html, remember)
    return frozenset(found)


def text_to_html(text: str) -> str:
    """Plain text as markup that looks the same: escaped, a break per line, runs of blanks kept."""
    escaped = entities.escape(text.replace("\r\n", "\n").replace("\r", "\n"), quote=False).expandtabs(8)
    escaped = escaped.replace("  ", " \u00a0").replace("\n ", "\n\u00a0")
    if escaped.startswith(" "):
        escaped = "\u00a0" + escaped[1:]
    return escaped.strip("\n").rstrip(" \n").replace("\n", "<br>")


def html_to_text(html: str) -> str:
    """What markup says, as plain text: paragraphs apart, list items marked, quotes by ``>``, links with their address.

    Meant for safe markup; of any other it drops scripts, styles and tags, and nothing it returns is markup.
    """
    return _Writer().write(html)


class _Writer:
    """Walks the tags once and writes lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line = ""
        self.blank_wanted = False
        self.quote = self.last_quote = 0
        self.lists: list[int | None] = []
        self.links: list[tuple[str, int]] = []
        self.pre = 0

    def write(self, html: str) -> str:
        position = 0
        html = _HIDDEN.sub(" ", html)
        for match in _TAG.finditer(html):
            self.text(html[position : match.start()])
            if match[2]:
                self.tag(match[2].lower(), match[3], closing=bool(match[1]))
            position = match.end()
        self.text(html[position:])
        self.end_line()
        while self.lines and not self.lines[-1].strip("> "):
            self.lines.pop()
        return "\n".join(self.lines)

    def text(self, raw: str) -> None:
        if not raw:
            return
        text = entities.unescape(raw) if "&" in raw else raw
        if self.pre:
            first, *rest = text.split("\n")
            self.line += first
            for line in rest:
                self.end_line(keep_blank=True)
                self.line = line
            return
        text = _single_blanks(text)
        if not self.line or self.line.endswith(" "):
            text = text.lstrip(" ")
        self.line += text

    def end_line(self, *, keep_blank: bool = False) -> None:
        line = self.line.rstrip(" ").replace("\u00a0", " ")
        self.line = ""
        if not line and not keep_blank:
            return
        prefix = "> " * min(self.quote, 20)
        if self.blank_wanted and self.lines:
            self.lines.append(("> " * min(self.quote, self.last_quote, 20)).rstrip())
        self.blank_wanted = False
        self.last_quote = self.quote
        self.lines.append((prefix + line).rstrip(" ") if line else prefix.rstrip())

    def tag(self, name: str, attributes: str, *, closing: bool) -> None:
        if name == "br":
            if not closing:
                self.end_line(keep_blank=True)
        elif name == "a":
            self.link(attributes, closing=closing)
        elif name == "img":
            alt = re.search(r'\balt="([^"]*)"', attributes)
            self.line += entities.unescape(alt[1]) if alt and not closing else ""
        elif name in ("td", "th"):
            if not closing and self.line and not self.line.endswith(" "):
                self.line += "  "
        elif name in _BREAKS_BEFORE:
            self.end_line()
            self.blank_wanted = self.blank_wanted or name in _PARAGRAPHS
            self.block(name, closing=closing)

    def block(self, name: str, *, closing: bool) -> None:
        if name == "blockquote":
            self.quote = max(0, self.quote + (-1 if closing else 1))
        elif name == "pre":
            self.pre = max(0, self.pre + (-1 if closing else 1))
        elif name in ("ul", "ol"):
            if closing and self.lists:
                self.lists.pop()
            elif not closing:
                self.lists.append(0 if name == "ol" else None)
        elif name == "li" and not closing:
            number = self.lists[-1] if self.lists else None
            indent = "  " * min(max(0, len(self.lists) - 1), 10)
            if number is None:
                self.line = f"{indent}- "
            else:
                self.lists[-1] = number + 1
                self.line = f"{indent}{number + 1}. "
        elif name == "hr" and not closing:
            self.line = "----"
            self.end_line()

    def link(self, attributes: str, *, closing: bool) -> None:
        if not closing:
            match = re.search(r'\bhref="([^"]*)"', attributes)
            self.links.append((entities.unescape(match[1]) if match else "", len(self.line)))
        elif self.links:
            href, start = self.links.pop()
            shown = self.line[start:].strip()
            bare = href.removeprefix("mailto:").removeprefix("tel:")
            if href and shown and shown not in (href, bare) and not bare.rstrip("/").endswith(shown.rstrip("/")):
                self.line = f"{self.line.rstrip(' ')} <{bare}>"


def preview(html: str, limit: int = 120) -> str:
    """The beginning of a body on one line, at most ``limit`` characters, for a list of letters."""
    start = html[: limit * 40]
    if "<" in start:
        # What is left after the tags is a tag that the cut went through.
        start = _TAG.sub(" ", _HIDDEN.sub(" ", start)).partition("<")[0]
    text = entities.unescape(start) if "&" in start else start
    words = " ".join(text[: limit * 10].split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"
