"""An article of a wiki as markup that costs little: words, headings and lists within a budget of bytes.

Pictures, links, notes, boxes that lead elsewhere and empty sections go; a row of a table becomes a line.
Reads what MediaWiki's REST API gives (Parsoid's HTML, https://www.mediawiki.org/wiki/Specs/HTML) and stands any other; one pass, nothing recursive.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_VOID = _set("area base br col embed hr img input link meta param source track wbr")
_INLINE = _set("b i em strong sub sup u code small")
_BLOCKS = _set("p ul ol li dl dt dd blockquote pre")
_HEADINGS = {"h1": 2, "h2": 2, "h3": 3, "h4": 4, "h5": 4, "h6": 4}
_DROPPED = _set(
    "script style figure figure-inline math svg audio video noscript template head form button iframe object"
)
#: elements of a wiki that say nothing of the thing itself, by a word of their class
_DROPPED_CLASSES = _set(
    "reference mw-ref mw-references-wrap references reflist navbox navbox-styles metadata ambox hatnote noprint mw-editsection"
    " toc thumb gallery mw-empty-elt sidebar vertical-navbox sistersitebox infobox-image audiolink bandeau-container"
    " mw-cite-backlink printfooter catlinks authority-control dablink rellink mbox-small"
)
_NAVIGATION = frozenset(("navigation", "presentation"))


#: levels of markup inside one another; articles stay far below
_MAX_DEPTH = 500
# an unquoted "<" ends the attempt, so that hostile input costs no more than its length
_TAG = re.compile(
    r"<(?:script|style)\b[^<>]*>(?:.*?</(?:script|style)\s*>|.*\Z)|<!--(?:.*?-->|.*\Z)|<![^<>]*>"
    r"|<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9-]*)(?P<rest>(?:\"[^\"]*\"|'[^']*'|[^'\"<>])*+)>",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""([a-zA-Z][a-zA-Z:-]*)\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>]+)""")


@dataclass(slots=True)
class _Block:
    """A finished piece that stands by itself; ``level`` is that of a heading, 0 of anything else."""

    text: str
    level: int = 0


@dataclass(frozen=True, slots=True)
class Article:
    """``title`` as the page has it, ``body`` markup of at most the budget, ``cut`` whether more was there.

    ``links`` are the titles that list items lead to first, when the page only says what a word may mean (``ambiguous``).
    """

    title: str
    body: str
    cut: bool
    ambiguous: bool
    links: tuple[str, ...]


def read_article(content: bytes, max_bytes: int) -> Article:
    """The article in a page's HTML; ``body`` is empty when there are no words."""
    reader = _Reader()
    reader.feed(content.decode("utf-8", "replace"))
    reader.finish_block()
    body, cut = _within(_without_empty(reader.blocks), max_bytes)
    return Article(" ".join(reader.title.split()), body, cut, reader.ambiguous, tuple(dict.fromkeys(reader.links)))


def _without_empty(blocks: list[_Block]) -> list[_Block]:
    """Without headings under which nothing is left."""
    kept: list[_Block] = []
    lowest = 9  # of the headings since the last words, read from behind
    has_words = False
    for block in reversed(blocks):
        if not block.level:
            has_words = True
            kept.append(block)
            lowest = 9
        elif has_words and block.level < lowest:
            kept.append(block)
            lowest = block.level
    kept.reverse()
    return kept


def _within(blocks: list[_Block], max_bytes: int) -> tuple[str, bool]:
    taken: list[_Block] = []
    size = 0
    for block in blocks:
        more = len(block.text.encode("utf-8", "replace"))
        if size + more > max_bytes:
            while taken and taken[-1].level:
                taken.pop()
            if not taken:
                words = html.unescape(_words(block.text)).encode("utf-8")[: max_bytes // 2].decode("utf-8", "ignore")
                return f"<p>{html.escape(words, quote=False)}…</p>", True
            return "".join(one.text for one in taken), True
        taken.append(block)
        size += more
    return "".join(one.text for one in taken), False


def _words(markup: str) -> str:
    pieces, rest = [], markup
    while rest:
        before, _, rest = rest.partition("<")
        pieces.append(before)
        _, _, rest = rest.partition(">")
    return " ".join(" ".join(pieces).split())


@dataclass(slots=True)
class _Open:
    tag: str
    written: str = ""  # the tag that was written for it
    drops: bool = False
    row: list[str] = field(default_factory=list)


class _Reader:
    """Walks the tags once and writes blocks."""

    def __init__(self) -> None:
        self.blocks: list[_Block] = []
        self.title = ""
        self.ambiguous = False
        self.links: list[str] = []
        self._open: list[_Open] = []
        self._dropping = 0
        self._in_title = False
        self._text: list[str] = []  # of the block that is being written
        self._written: list[str] = []  # tags open in it
        self._level = 0
        self._item_has_link = True
        self._tables = 0

    def feed(self, markup: str) -> None:
        """Read a whole page; one pass, whatever it holds."""
        position = 0
        for match in _TAG.finditer(markup):
            self.handle_data(html.unescape(markup[position : match.start()]))
            position = match.end()
            if match["name"] is None:
                continue
            name = match["name"].lower()
            if match["end"]:
                self.handle_endtag(name)
                continue
            if len(self._open) > _MAX_DEPTH:
                return  # no article is like that
            self.handle_starttag(name, match["rest"])
            if match["rest"].endswith("/") and name not in _VOID:
                self.handle_endtag(name)
        self.handle_data(html.unescape(markup[position:]))

    def handle_starttag(self, tag: str, rest: str) -> None:
        given = {name.lower(): html.unescape(value.strip("\"'")) for name, value in _ATTRIBUTE.findall(rest[:5000])}
        if tag == "meta" and given.get("property") == "mw:PageProp/disambiguation":
            self.ambiguous = True
        if tag == "title":
            self._in_title = not self.title
        if tag in _VOID:
            self._void(tag, given)
            return
        one = _Open(tag)
        self._open.append(one)
        classes = given.get("class", "").split()
        if tag in _DROPPED or given.get("role") in _NAVIGATION or not _DROPPED_CLASSES.isdisjoint(classes):
            one.drops = True
            self._dropping += 1
        if self._dropping:
            return
        if tag in _HEADINGS:
            self.finish_block()
            self._level = _HEADINGS[tag]
            self._begin(one, f"h{self._level}")
        elif tag == "table":
            if not self._tables:
                self.finish_block()
                self._begin(one, "p")
            self._tables += 1
        elif tag in ("td", "th", "caption") and self._tables:
            if self._text and not self._text[-1].endswith(("<p>", "<br>")):
                self._text.append(" · ")
        elif tag in _BLOCKS and self._tables:
            self._text.append(" ")
        elif tag in _BLOCKS:
            if tag in ("p", "blockquote", "pre") and not self._written:
                self.finish_block()
            self._begin(one, tag)
            if tag == "li":
                self._item_has_link = False
        elif tag in _INLINE:
            self._begin(one, tag)
        elif tag == "a" and not self._item_has_link:
            self._item_has_link = True
            if "new" not in classes and given.get("title") and ":" not in given["title"]:
                self.links.append(given["title"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if all(one.tag != tag for one in self._open[-60:]):
            return
        while self._open:
            one = self._open.pop()
            self._close(one)
            if one.tag == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        if self._dropping or not data:
            return
        if not self._written:
            if not data.strip():
                return
            self._text.append("<p>")
            self._written.append("p")
        words = html.escape(data, quote=False)
        if "pre" not in self._written:
            lead, trail = words[:1].isspace(), words[-1:].isspace()
            words = (" " if lead else "") + " ".join(words.split()) + (" " if trail and words.strip() else "")
        self._text.append(words)

    # --- writing ---------------------------------------------------------------------------------

    def finish_block(self) -> None:
        """Close what is open in the present block and keep it, when it says anything."""
        text = "".join(self._text) + "".join(f"</{tag}>" for tag in reversed(self._written))
        for one in self._open:
            one.written = ""
        self._text, self._written = [], []
        level, self._level = self._level, 0
        while text.endswith(("<br></p>", " </p>", "·</p>")):
            text = text.removesuffix("</p>").removesuffix("<br>").rstrip(" ·") + "</p>"
        if _words(text).strip(" ·"):
            self.blocks.append(_Block(text, level))

    def _begin(self, one: _Open, tag: str) -> None:
        self._text.append(f"<{tag}>")
        self._written.append(tag)
        one.written = tag

    def _void(self, tag: str, given: dict[str, str]) -> None:
        if self._dropping:
            return
        if tag == "br" and self._written:
            self._text.append(" " if self._tables else "<br>")
        elif tag == "img" and "mwe-math" in given.get("class", ""):
            self.handle_data(f" {given.get('alt', '')} ")

    def _close(self, one: _Open) -> None:
        if one.drops:
            self._dropping -= 1
            return
        if self._dropping:
            return
        if one.tag == "table":
            self._tables = max(0, self._tables - 1)
            if not self._tables:
                self.finish_block()
            return
        if one.tag == "tr" and self._tables and self._text and not self._text[-1].endswith("<br>"):
            self._text.append("<br>")
        if not one.written or one.written not in self._written:
            return
        while self._written:
            tag = self._written.pop()
            self._text.append(f"</{tag}>")
            if tag == one.written:
                break
        if not self._written:
            self.finish_block()
