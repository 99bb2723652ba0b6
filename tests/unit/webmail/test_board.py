"""The board as people use it, and that nobody hangs up or reads what is not for them."""

from __future__ import annotations

import re

from lokole.mail.model import Contact, Email
from lokole.mailbox import accounts, board, identity, letters, standing
from lokole.mailbox.posting import make_post
from tests.unit.webmail.conftest import DOMAIN, Box


def allow(box: Box, name: str) -> None:
    with box.ports.database.write() as tx:
        person = accounts.find_account(tx, box.tenant, name)
        assert person is not None
        standing.set_may_post(tx, person, True)


def from_elsewhere(box: Box, body: str, *, public: bool = True) -> int:
    """A letter that the server has proven hangs on the board."""
    with box.ports.database.write() as tx:
        email = Email(Contact("office@example.org", "The office"), subject="Prices", body=body, sent_at=box.clock[0])
        id_ = identity.next_email_id(tx, "server")
        no, _new = letters.store_email(tx, box.tenant, email, id=id_, received_at=box.clock[0])
        make_post(tx, box.tenant, no, box.clock[0], account=None, public=public)
    return no


def test_an_empty_board_says_so(box: Box) -> None:
    browser = box.browser().open("/").follow("News")
    assert "No news yet" in browser.text
    mireille = box.signed_in("mireille").open("/more").follow("Board")
    assert "No news yet" in mireille.text
    assert "Hang something up" not in mireille.text
    assert mireille.open("/board/new").status == 403


def test_somebody_whom_the_administrator_allowed_hangs_something_up(box: Box) -> None:
    mireille, joseph = box.signed_in("mireille"), box.signed_in("joseph")
    allow(box, "mireille")
    mireille.open("/board").follow("Hang something up")
    mireille.press("Hang it up", text="Tuesday")
    assert (mireille.status, "Give it a title." in mireille.text) == (400, True)
    assert dict(mireille.fields("/board/new").fields)["text"] == "Tuesday"
    mireille.press("Hang it up", title="Water", text="<b>Tuesday</b> at six", days="7",
                   files=[("plan.txt", b"a plan", "text/html")])  # fmt: skip
    assert "It hangs on the board." in mireille.text
    assert "Hangs until 30 November 2026." in mireille.text
    joseph.open("/board").follow("Water")
    assert "mireille@" in joseph.text
    body = joseph.open(re.search(r'src="?([^" >]*/body)', joseph.html)[1])  # type: ignore[index]
    assert "<b>Tuesday</b>" not in body.html
    assert "sandbox" in body.response.headers["Content-Security-Policy"]
    joseph.open("/board").follow("Water").follow("plan.txt")
    assert joseph.html == "a plan"
    assert joseph.response.mimetype == "application/octet-stream"
    assert joseph.response.headers["Content-Disposition"].startswith("attachment")
    assert "No news yet" in box.browser().open("/news").text
    box.later(days=8)
    assert "No news yet" in joseph.open("/board").text


def test_what_is_for_everybody_is_read_without_signing_in(box: Box) -> None:
    mireille = box.signed_in("mireille")
    allow(box, "mireille")
    for title, public in (("Hidden", []), ("Open", ["on"])):
        mireille.open("/board/new").press("Hang it up", title=title, text="Hello", days="0", public=public)
    passer = box.browser().open("/news")
    assert "Open" in passer.text
    assert "Hidden" not in passer.text
    passer.follow("Open")
    assert passer.status == 200
    assert "Take it down" not in passer.text
    hidden = next(href for words, href in mireille.open("/board").links if "Hidden" in words)
    for address in (hidden, hidden + "/body", hidden + "/0"):
        assert passer.open(address).status == 404
    assert passer.open("/board").address.startswith("/user/login")


def test_a_letter_is_no_post_whatever_its_number(box: Box) -> None:
    box.person("mireille")
    no = box.letter("mireille", "Secret")
    joseph = box.signed_in("joseph")
    for browser in (joseph, box.browser()):
        for address in (f"/board/post/{no}", f"/board/post/{no}/body", f"/board/post/{no}/0"):
            assert browser.open(address).status == 404


def test_files_of_a_refused_form_are_there_when_it_is_sent_again_and_a_photo_is_shown(box: Box) -> None:
    chief = box.signed_in("chief", is_admin=True)
    photo, sheet = ("well.png", b"\x89PNG", "image/png"), ("plan.txt", b"a plan", "text/plain")
    chief.open("/board/new").press("Hang it up", text="Tuesday", files=[photo, sheet])
    assert chief.status == 400
    assert "well" in chief.text
    chief.press("Hang it up", title="Water")
    assert "It hangs on the board." in chief.text
    assert "plan.txt" in chief.text
    src = re.search(r'<img src="?([^" >]+)', chief.html)
    assert src is not None, "the photo is shown"
    chief.open(src[1])
    assert (chief.status, chief.response.mimetype) == (200, "image/png")


def test_each_mistake_of_a_post_stands_at_its_field(box: Box) -> None:
    chief = box.signed_in("chief", is_admin=True)
    chief.open("/board/new").press("Hang it up", title=" ", text=" ")
    assert (chief.status, chief.html.count("aria-invalid=true")) == (400, 2)
    many = [(f"{n}.txt", b"x", "text/plain") for n in range(11)]
    chief.open("/board/new").press("Hang it up", title="Water", text="Hello", files=many)
    assert (chief.status, "Up to 10 files hang at a time." in chief.text) == (413, True)
    assert chief.html.count("aria-invalid=true") == 1
    forged = dict(chief.fields("/board/new").fields) | {"title": "Water", "text": "Hello", "file": "made up"}
    assert chief.post("/board/new", forged).status == 400


def test_a_form_that_is_sent_twice_hangs_up_once(box: Box) -> None:
    mireille = box.signed_in("mireille")
    allow(box, "mireille")
    mireille.open("/board/new")
    form = dict(mireille.fields("/board/new").fields)
    for _ in range(2):
        mireille.post("/board/new", form | {"title": "Water", "text": "Hello"})
        assert mireille.status == 200
    with box.ports.database.read() as tx:
        assert board.posts(tx, box.tenant, box.clock[0], only_public=False)[1] == 1


def test_letters_to_the_board_hang_there_when_their_writer_may(box: Box) -> None:
    mireille = box.signed_in("mireille")
    mireille.open("/email/new").press("send", to=f"News@{DOMAIN}", subject="Me too", body="Hello")
    assert (mireille.status, "Only some people write on the board." in mireille.text) == (400, True)
    allow(box, "mireille")
    mireille.press("send", to="news")
    assert "It was delivered." in mireille.text
    assert "Me too" in mireille.open("/board").text
    assert "Me too" not in box.browser().open("/news").text


def test_markup_of_a_post_is_shown_as_that_of_a_letter(box: Box) -> None:
    no = from_elsewhere(box, '<p onclick="x()">Oil<script>x()</script><img src="http://example.org/p.png"></p>')
    passer = box.browser().open("/news").follow("Prices")
    assert "sandbox=" in passer.html
    passer.open(f"/board/post/{no}/body")
    for forbidden in ("script", "onclick", "http://example.org"):
        assert forbidden not in passer.html
    assert "default-src 'none'" in passer.response.headers["Content-Security-Policy"]


def test_taking_down_is_asked_first_and_only_by_who_may(box: Box) -> None:
    mireille, joseph = box.signed_in("mireille"), box.signed_in("joseph")
    allow(box, "mireille")
    allow(box, "joseph")
    mireille.open("/board/new").press("Hang it up", title="Water", text="Hello", pinned="on")
    address = mireille.address
    assert "stays on top" not in mireille.open("/board").text  # only administrators pin
    token = joseph.open("/board/new").token()
    assert joseph.open(address + "/delete").status == 403
    assert joseph.post(address + "/delete", {"csrf_token": token}).status == 404
    chief = box.signed_in("chief", is_admin=True)
    chief.open("/board/new").press("Hang it up", title="Second", text="Hello", pinned="on")
    assert "stays on top" in chief.open("/board").text
    chief.open(address).follow("Take it down").press("Take it down")
    assert "It no longer hangs on the board." in chief.text
    assert joseph.open(address).status == 404
    no = from_elsewhere(box, "<p>Oil</p>")
    assert "Take it down" not in joseph.open(f"/board/post/{no}").text
    mireille.open("/board/new").press("Hang it up", title="Third", text="Hello")
    mireille.follow("Take it down").press("Take it down")
    assert "Third" not in mireille.open("/board").text


def test_senders_from_elsewhere_are_listed_by_the_administrator(box: Box) -> None:
    chief = box.signed_in("chief", is_admin=True).open("/admin").follow("Who writes on the board")
    chief.press("Keep this", senders="Office@Example.org\nnobody")
    assert (chief.status, "“nobody” is not an address." in chief.text) == (400, True)
    assert dict(chief.fields("/admin/board").fields)["senders"] == "Office@Example.org\nnobody"
    chief.press("Keep this", senders="Office@Example.org, press@example.org")
    assert dict(chief.fields("/admin/board").fields)["senders"] == "office@example.org\npress@example.org"


def test_a_full_page_of_news_turns_over(box: Box) -> None:
    for _ in range(21):
        from_elsewhere(box, "<p>Oil</p>")
    passer = box.browser().open("/news")
    assert "1–20 of 21" in passer.text
    assert "21–21 of 21" in passer.follow("Older").text
    assert passer.address == "/news/2"
    assert "1–20 of 21" in passer.follow("Newer").text
    assert passer.open("/news/9999999").status == 200
