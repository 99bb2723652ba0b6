"""An article of a wiki, lean."""

from __future__ import annotations

import random
import time

import pytest

from lokole.adapters.service.lean import read_article
from lokole.mail.html import html_to_text, make_safe

HEAD = "<!DOCTYPE html><html><head><title>Palu&amp;disme</title><style>p{}</style></head><body>"


def lean(markup: str, max_bytes: int = 40_000) -> str:
    return read_article(f"{HEAD}{markup}</body></html>".encode(), max_bytes).body


def test_words_headings_and_lists_stay_and_the_rest_goes() -> None:
    markup = """
    <section data-mw-section-id="0"><div class="hatnote">see also</div>
    <figure typeof="mw:File/Thumb"><img src="//upload/x.jpg" alt="a photo"/><figcaption>a caption</figcaption></figure>
    <p>Le <b>paludisme</b> est une <a rel="mw:WikiLink" href="./Maladie" title="Maladie">maladie</a><sup class="mw-ref reference"><a>[1]</a></sup>
    due &lt;au&gt; <i>plasmodium</i>.</p></section>
    <section><h2 id="x">Prévention<span class="mw-editsection">edit</span></h2><ul><li>moustiquaire<ul><li>neuve</li></ul></li><li>eau</li></ul></section>
    <section><h2>Notes</h2><div class="mw-references-wrap"><ol class="references"><li>a note</li></ol></div></section>
    <div role="navigation" class="navbox"><table><tr><td>elsewhere</td></tr></table></div>
    <script>alert(1)</script>"""
    assert lean(markup) == (
        "<p>Le <b>paludisme</b> est une maladie due &lt;au&gt; <i>plasmodium</i>.</p>"
        "<h2>Prévention</h2><ul><li>moustiquaire<ul><li>neuve</li></ul></li><li>eau</li></ul>"
    )


def test_the_plain_text_of_it_reads_as_a_page_does() -> None:
    markup = "<p>Water.</p><h2>Use</h2><ol><li>drink</li><li>wash</li></ol><table><tr><th>Formula</th><td>H<sub>2</sub>O</td></tr></table>"
    assert html_to_text(lean(markup)).splitlines() == [
        "Water.",
        "",
        "Use",
        "",
        "1. drink",
        "2. wash",
        "",
        "Formula · H2O",
    ]


def test_a_row_of_a_table_becomes_a_line() -> None:
    markup = (
        "<table class=infobox><caption>Congo</caption><tbody><tr><th>Length</th><td>4,700 <small>km</small></td></tr>"
        "<tr><td colspan=2><img src=x alt=map></td></tr><tr><th>Mouth</th><td><ul><li>Banana</li><li>Muanda</li></ul></td></tr>"
        "<tr><td><table><tr><td>in</td><td>side</td></tr></table></td></tr></tbody></table><p>after</p>"
    )
    assert lean(markup) == (
        "<p>Congo · Length · 4,700 <small>km</small><br>Mouth ·   Banana Muanda<br>in · side</p><p>after</p>"
    )


def test_formulas_keep_their_words() -> None:
    markup = '<p>E <span class="mwe-math-element"><math><mi>E</mi></math><img class="mwe-math-fallback-image-inline" alt="{\\displaystyle E=mc^{2}}"/></span></p>'
    assert "E=mc^{2}" in lean(markup)


def test_headings_under_which_nothing_is_left_go() -> None:
    assert lean("<h2>A</h2><h3>a</h3><p>x</p><h2>B</h2><h3>b</h3><h2>C</h2><p>y</p><h2>D</h2>") == (
        "<h2>A</h2><h3>a</h3><p>x</p><h2>C</h2><p>y</p>"
    )


@pytest.mark.parametrize("budget", [60, 100, 500, 3000])
def test_it_ends_within_the_budget_between_two_paragraphs(budget: int) -> None:
    markup = "".join(f"<h2>part {n}</h2><p>{'è' * 20} {n}</p>" for n in range(100))
    article = read_article(f"{HEAD}{markup}".encode(), budget)
    assert article.cut
    assert 0 < len(article.body.encode()) <= budget + 20
    assert article.body.endswith("</p>")
    assert make_safe(article.body) == article.body


def test_one_paragraph_beyond_the_budget_is_cut_within() -> None:
    article = read_article(f"{HEAD}<p>{'<b>long</b> ' * 1000}</p>".encode(), 300)
    assert article.cut
    assert article.body.startswith("<p>long long")
    assert len(article.body.encode()) <= 300


def test_a_page_of_meanings_says_what_it_leads_to() -> None:
    markup = (
        '<meta property="mw:PageProp/disambiguation"/><p><b>Congo</b> may mean:</p><ul>'
        '<li><a rel="mw:WikiLink" title="Congo River" href="./Congo_River">Congo River</a>, of <a title="Africa" href="x">Africa</a></li>'
        '<li><a rel="mw:WikiLink" class="new" title="Not there" href="x">x</a></li>'
        '<li><a title="Category:Rivers" href="x">x</a></li></ul>'
    )
    article = read_article(f"{HEAD}{markup}".encode(), 5000)
    assert article.ambiguous
    assert article.links == ("Congo River",)
    assert article.title == "Palu&disme"


def test_nonsense_is_read_without_a_fault_and_in_time() -> None:
    rng = random.Random(5)
    tags = [
        "p",
        "div",
        "table",
        "tr",
        "td",
        "ul",
        "li",
        "h2",
        "b",
        "i",
        "figure",
        "script",
        "style",
        "title",
        "head",
        "section",
        "sup",
        "br",
        "img",
        "a",
    ]
    for _ in range(150):
        pieces = [
            rng.choice(
                [
                    f"<{rng.choice(tags)}>",
                    f"</{rng.choice(tags)}>",
                    "words &amp; ",
                    "<",
                    "<!--",
                    '<a title="x">',
                    "\x00",
                ]
            )
            for _ in range(rng.randrange(200))
        ]
        body = lean("".join(pieces), 2000)
        assert len(body.encode()) <= 2100
        assert make_safe(make_safe(body)) == make_safe(body)
    assert len(read_article(b"\xff\xfe\x00", 100).body) < 100
    assert read_article(b"", 100).body == ""
    started = time.process_time()
    lean("<div>" * 100_000 + "x", 1000)
    lean("<li><b>" * 50_000, 1000)
    lean("<table><tr><td>" * 30_000 + "y", 1000)
    for piece in ("</p>", "<p>", "<a ", '<a "', "<!--", "<script>", "&", "<![CDATA[", "<b><p>"):
        lean(piece * 100_000, 1000)
    assert time.process_time() - started < 20
