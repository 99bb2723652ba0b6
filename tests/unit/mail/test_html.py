"""What is left of markup, and what it says as text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lokole.mail.html import cids, html_to_text, make_safe, preview, rewrite_cids, text_to_html
from lokole.testing import shared_dir

ALLOWED_TAGS = re.compile(
    "a|abbr|b|blockquote|br|code|dd|div|dl|dt|em|h[1-6]|hr|i|img|li|ol|p|pre|s|small|span|strong|sub|sup"
    "|table|tbody|td|tfoot|th|thead|tr|u|ul"
)
ALLOWED_ATTRIBUTES = {
    "a": {"href", "title", "rel"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}

OWN_VECTORS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<a href="java\tscript:alert(1)">x</a>',
    "<a href=' JaVaScRiPt:alert(1)'>x</a>",
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    "<svg><script>alert(1)</script></svg>",
    "<svg/onload=alert(1)>",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    "<style>@import 'http://example.org/x.css'</style>",
    '<div style="background:url(http://example.org/x)">x</div>',
    '<table background="http://example.org/x"><tr><td background=http://example.org/y>z</table>',
    '<img src="http://example.org/pixel.gif" width=1 height=1>',
    '<img srcset="http://example.org/x 2x" src="cid:a">',
    "<iframe src=http://example.org></iframe><object data=http://example.org></object><embed src=http://example.org>",
    "<link rel=stylesheet href=http://example.org/x.css><base href=http://example.org><meta http-equiv=refresh content=0>",
    "<form action=http://example.org><input name=a autofocus onfocus=alert(1)><button formaction=javascript:alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea><img title='</textarea><img src=x onerror=alert(1)>'>",
    "<b id=x class=y name=z accesskey=k contenteditable>x</b>",
    "<img src='CID:a\" onerror=\"alert(1)'>",
    "<video poster=http://example.org/x autoplay><source src=http://example.org/y></video>",
    "<p dir='x\" onclick=\"alert(1)'>x</p><b dir=lro>y</b>",
    "<a href='cid:a'>x</a><a href='//example.org/x'>y</a><a href='/admin/promote'>z</a>",
]


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not ALLOWED_TAGS.fullmatch(tag):
            self.wrong.append(tag)
        for name, value in attrs:
            text = value or ""
            if name != "dir" and name not in ALLOWED_ATTRIBUTES.get(tag, set()):
                self.wrong.append(f"{tag} {name}")
            if name == "dir" and text not in ("rtl", "ltr", "auto"):
                self.wrong.append(f"dir={text}")
            if name == "src" and not text.lower().startswith("cid:"):
                self.wrong.append(f"src={text}")
            if name == "href" and not re.match(r"(https?|mailto|tel):", text, re.IGNORECASE):
                self.wrong.append(f"href={text}")

    def handle_comment(self, data: str) -> None:
        self.wrong.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.wrong.append("declaration")


def faults(html: str) -> list[str]:
    seen = Seen()
    seen.feed(html)
    seen.close()
    return seen.wrong


@pytest.mark.parametrize("vector", OWN_VECTORS)
def test_nothing_that_runs_or_fetches_is_left(vector: str) -> None:
    assert faults(make_safe(vector)) == []


def test_the_checker_of_these_tests_sees() -> None:
    assert len([vector for vector in OWN_VECTORS if faults(vector)]) >= len(OWN_VECTORS) - 1


def test_nothing_that_runs_or_fetches_is_left_of_the_shared_vectors() -> None:
    shared = shared_dir()
    if shared is None:
        pytest.skip("the shared data is not here; the vectors above are ours")
    vectors = []
    for file in sorted((shared / "testdata" / "html").glob("*.jsonl")):
        vectors += [json.loads(line)["payload"] for line in file.read_text("utf-8").splitlines()]
    naughty = json.loads((shared / "testdata" / "strings" / "blns.json").read_text("utf-8"))
    assert len(vectors) > 600 and len(naughty) > 400
    for vector in vectors + naughty:
        safe = make_safe(vector)
        assert faults(safe) == [], vector
        assert make_safe(safe) == safe, vector
        assert faults(text_to_html(vector)) == [], vector


@pytest.mark.parametrize("vector", OWN_VECTORS)
def test_making_it_safe_twice_changes_nothing(vector: str) -> None:
    assert make_safe(make_safe(vector)) == make_safe(vector)


def test_what_a_writer_may_use_is_kept() -> None:
    html = "<p>a <b>b</b> <i>c</i> <u>d</u></p><ul><li>e</li></ul><ol><li>f</li></ol><blockquote>g</blockquote>"
    assert make_safe(html) == html
    assert (
        make_safe('<a href="https://example.org/?a=1&amp;b=2" title="t">x</a>')
        == '<a href="https://example.org/?a=1&amp;b=2" title="t" rel="noopener noreferrer nofollow">x</a>'
    )


def test_own_picture_is_kept_and_a_remote_one_leaves_its_words() -> None:
    assert make_safe('<img src="cid:a@b" alt="x" width="30" style="y">') == '<img src="cid:a@b" alt="x" width="30">'
    assert make_safe('see<img src="https://example.org/x.png" alt="a < b">here') == "see a &lt; b here"
    assert make_safe('<img src="data:image/png;base64,AAAA" alt="dot">') == "dot"


def test_blanks_are_kept_only_where_they_count() -> None:
    assert make_safe("<p>a\n\n  b</p>\n<pre>c\n  d</pre>\n") == "<p>a b</p> <pre>c\n  d</pre>"


def test_the_side_that_a_text_is_read_from_is_kept() -> None:
    html = '<p dir="rtl">سلام <span dir="ltr">Lokole 2.0</span></p><blockquote dir="auto">b</blockquote>'
    assert make_safe(html) == html
    assert make_safe('<p dir=RTL>a</p><p dir="rtl;x">b</p><p dir>c</p>') == '<p dir="rtl">a</p><p>b</p><p>c</p>'
    assert make_safe('a  b\n<pre dir="rtl">\n\nc\n  d</pre>\n') == 'a b <pre dir="rtl">c\n  d</pre>'
    assert html_to_text(make_safe('<pre dir="ltr">c\n  d</pre>')) == "c\n  d"
    assert rewrite_cids(make_safe('<img dir=rtl src="cid:a">'), {"a": "/a"}.get) == '<img dir="rtl" src="/a">'


def test_text_without_markup_is_shown_as_it_is() -> None:
    assert make_safe("2 > 1") == "2 &gt; 1"
    assert make_safe("a < b & c") == "a &lt; b &amp; c"
    assert make_safe(">\0") == make_safe(make_safe(">\0")) == "&gt;"


def test_plain_text_keeps_its_signs_lines_and_blanks() -> None:
    html = text_to_html("if a < b & c > d:\n    go()\r\n\r\n<b>no</b>\n")
    assert html == "if a &lt; b &amp; c &gt; d:<br>\u00a0\u00a0 \u00a0go()<br><br>&lt;b&gt;no&lt;/b&gt;"
    assert make_safe(html) == html


@pytest.mark.parametrize(
    "text",
    [
        "a < b & c",
        "line 1\nline 2\n\nline 4",
        "  in\n    further in",
        "x" * 20_000,
        "&amp; &lt; &nbsp;",
        "<script>",
        "a\tb",
    ],
)
def test_text_comes_back_from_markup_as_it_was(text: str) -> None:
    assert html_to_text(text_to_html(text)) == text.expandtabs(8)
    assert html_to_text(make_safe(text_to_html(text))) == text.expandtabs(8)


def test_markup_reads_well_as_text() -> None:
    html = (
        "<h1>Title</h1><p>First <b>bold</b><br>second line</p><ul><li>one</li><li>two</li></ul>"
        '<ol><li>a</li><li>b</li></ol><p><a href="https://example.org/x">a link</a> '
        '<a href="https://example.org">https://example.org</a></p>'
        "<blockquote><p>quoted</p><blockquote>twice</blockquote></blockquote>"
        "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr></table><hr><pre>a\n  b</pre>"
    )
    assert html_to_text(html).split("\n") == [
        *("Title", "", "First bold", "second line", "", "- one", "- two", "", "1. a", "2. b", ""),
        *("a link <https://example.org/x> https://example.org", "", "> quoted", ">", "> > twice", ""),
        *("1  2", "3  4", "", "----", "", "a", "  b"),
    ]


def test_scripts_and_styles_are_not_read_out() -> None:
    assert html_to_text("<style>p {}</style><p>a</p><script>x</script><!-- c --><title>t</title>b") == "a\n\nb"


def test_markup_too_deep_to_keep_loses_its_styles_and_scripts_with_its_tags() -> None:
    deep = "<div>" * 600
    shown = make_safe(
        f"<style>p {{ color: red }}</style>{deep}<p>words</p><STYLE type=x>h4 {{}}</STYLE >last<script>run()"
    )
    assert shown == "words last"


def test_preview_is_the_beginning_on_one_line() -> None:
    assert preview("<p>Hello,</p><p>the <b>market</b> is&nbsp;on&#32;Friday</p>") == "Hello, the market is on Friday"
    assert preview("<p>" + "word " * 100 + "</p>", 12) == "word word w…"
    assert preview("<a href='" + "x" * 10_000 + "'>y</a>") == ""
    assert preview("") == ""


def test_pictures_are_pointed_at_what_shows_them() -> None:
    html = make_safe('<img src="cid:a%20b@x" alt="one"><img src="CID:gone" alt="two &amp; three"><img src="cid:c">')
    assert cids(html) == {"a b@x", "gone", "c"}
    shown = rewrite_cids(html, {"a b@x": "/picture?n=1&s=2", "c": 'x" onerror="y'}.get)
    assert shown == ('<img src="/picture?n=1&amp;s=2" alt="one"> two &amp; three <img src="x&quot; onerror=&quot;y">')


def test_own_vectors_are_among_what_the_samples_show() -> None:
    assert "<script" not in make_safe((Path(__file__).parents[2] / "mail-data" / "html-only.eml").read_text("latin-1"))
