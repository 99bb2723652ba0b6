"""Writing, answering, passing on, files in rounds: everything as plain forms."""

from __future__ import annotations

import gc
import io
import random
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from PIL import Image

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.mail.errors import Temporary
from lokole.mail.model import Attachment, Contact, DeliveryState, PictureLimits
from lokole.mail.slim import shrink_image
from lokole.mailbox import letters, packages, recipients
from lokole.mailbox.options import set_option
from tests.mailbox_world import load_email
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box, small

JPEG = b"\xff\xd8\xff a photo of three megabytes" * 100


def numbers(box: Box) -> int:
    with box.ports.database.read() as tx:
        return letters.count_letters(tx, box.tenant)


def written(browser: Browser, field: str) -> str:
    return dict(browser.fields("/email/new").fields).get(field, "")


def test_a_letter_to_somebody_here_is_there_at_once(box: Box) -> None:
    browser = box.signed_in("mireille")
    other = box.signed_in("joseph")
    browser.follow("Write").press("send", to="Joseph", subject="Roof", body="Good <morning>\n\nThe price")
    assert "It was delivered." in browser.text
    other.open("/email/inbox").press("Roof")
    assert "mireille@bolenge.lokole.ca" in other.text
    other.open("/email/1/body")
    assert "Good &lt;morning&gt;" in other.html
    with box.ports.database.read() as tx:
        assert packages.count_waiting(tx, box.tenant, "up") == 0


def test_a_letter_to_the_world_waits_and_one_to_both_does_both(box: Box) -> None:
    browser = box.signed_in("mireille")
    other = box.signed_in("joseph")
    browser.follow("Write").press("send", to="joseph", cc="Ruth <ruth@example.com>", subject="Roof", body="Hello")
    assert "People here have it already. For the others it is in the bag." in browser.text
    assert "Roof" in other.open("/email/inbox").text
    with box.ports.database.read() as tx:
        stored = letters.read_email(tx, box.tenant, 1, private=True).email
        states = {one.address: one.state for one in recipients.deliveries(tx, box.tenant, 1)}
        assert packages.count_waiting(tx, box.tenant, "up") == 1
    assert states == {f"joseph@{DOMAIN}": DeliveryState.LOCAL, "ruth@example.com": DeliveryState.WAITING}
    assert stored.cc == (Contact("ruth@example.com", "Ruth"),)
    assert stored.sender.address == f"mireille@{DOMAIN}"
    assert stored.message_id.endswith(f"@{DOMAIN}>")


def test_a_hidden_copy_is_seen_by_the_writer_only(box: Box) -> None:
    browser = box.signed_in("mireille")
    joseph, ruth = box.signed_in("joseph"), box.signed_in("ruth")
    browser.follow("Write").press("send", to="joseph", bcc="ruth", subject="Surprise", body="Hello")
    assert "Hidden copy to: ruth@bolenge.lokole.ca" in browser.text
    for other in (joseph, ruth):
        other.open("/email/inbox").press("Surprise")
        assert other.status == 200
        pages = other.html + other.open("/email/1/print").html + other.open("/email/new?action=reply_all&uid=1").html
        pages += other.open("/email/new?action=forward&uid=1").html
        assert "Hidden copy to:" not in pages
        assert (f"ruth@{DOMAIN}" in pages) is False


def test_mistakes_are_named_and_what_was_typed_stays(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"to": "jeanne@gmial"}, "“jeanne@gmial” lacks its end, for example .com"),
        ({"to": "ruth@example.com, joe smith@"}, "“joe smith@” is not an address"),
        ({"to": "", "cc": ""}, "Whom is the letter for?"),
        ({"to": "", "bcc": "a@b@c.d, ok@example.com"}, "“a@b@c.d” is not an address"),
        ({"to": "jeanne"}, "Nobody here is called “jeanne”. Ask them for their name in Lokole."),
        ({"to": "mireile"}, "Nobody here is called “mireile”. Touch the name below if you mean it."),
        ({"to": f"jeanne@{DOMAIN}"}, "Nobody here is called “jeanne”."),
        ({"to": ", ".join(f"p{n}@example.com" for n in range(51))}, "A letter goes to at most 50 people."),
        ({"to": "ruth@example.com", "subject": "x" * 999}, "This is too long."),
    )
    for changed, sentence in cases:
        fields = {"to": "", "cc": "", "bcc": "", "subject": "My subject", "body": "My long text"} | changed
        browser.press("send", **fields)
        assert browser.status == 400, fields
        assert sentence in browser.text
        assert "The letter is not in the bag yet" in browser.text
        for name, value in fields.items():
            assert written(browser, name) == value
    assert numbers(box) == 0


def test_the_same_form_sent_twice_makes_one_letter(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    form = dict(browser.fields("/email/new").fields) | {"to": "ruth@example.com", "body": "Hello", "do": "send"}
    browser.post("/email/new", form)
    assert browser.address == "/email/outbox"
    browser.post("/email/new", form)
    assert browser.address == "/email/outbox"
    assert numbers(box) == 1


def test_a_form_that_failed_can_be_sent_after_its_mistake_is_mended(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", to="jeanne", body="Hello").press("send", to="ruth@example.com")
    assert browser.address == "/email/outbox"
    assert numbers(box) == 1


def test_the_editor_of_the_script_may_send_markup_and_it_is_cleaned(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    markup = "<div><b>Good</b> <i>day</i> <u>to you</u><ul><li>one</ul><ol><li>two</ol><script>evil()</script><img src=x onerror=evil()></div>"
    browser.press("send", to="mireille", subject="Markup", body=markup, format="html")
    browser.open("/email/1/body")
    for kept in ("<b>Good</b>", "<i>day</i>", "<u>to you</u>", "<ul><li>one", "<ol><li>two"):
        assert kept in browser.html
    assert "evil" not in browser.html


def test_markup_of_a_form_that_failed_comes_back_clean(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", to="jeanne", body="<b>Good</b><img src=x onerror=evil()>", format="html")
    assert written(browser, "body").startswith("<b>Good</b>")
    assert written(browser, "format") == "html"
    assert "evil" not in browser.html


def test_text_keeps_its_first_empty_lines_over_a_round(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write").press("send", to="jeanne", body="\n\nHello")
    assert written(browser, "body").replace("\r", "") == "\n\nHello"


def test_a_letter_without_subject_and_text_may_be_sent(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write").press("send", to="ruth@example.com", subject="", body="")
    assert "(no subject)" in browser.text


def test_an_answer_goes_to_the_sender_and_quotes(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter(
        "mireille",
        "Photos",
        "<p>Everyone <b>smiled</b></p>",
        message_id="<1@example.com>",
        references=("<0@example.com>",),
    )
    browser.open(f"/email/{no}").follow("Answer")
    assert written(browser, "to") == "ruth@example.com"
    assert written(browser, "subject") == "Re: Photos"
    assert "Everyone smiled" in browser.text
    browser.press("send", body="Thank you")
    with box.ports.database.read() as tx:
        sent = letters.read_email(tx, box.tenant, no + 1).email
    assert sent.in_reply_to == "<1@example.com>"
    assert sent.references == ("<0@example.com>", "<1@example.com>")
    assert "On Monday 23 November, 10:00, Ruth Namatovu wrote:" in sent.body
    assert '<blockquote dir="auto"><p>Everyone <b>smiled</b></p></blockquote>' in sent.body.replace("\n", "")
    assert sent.body.index("Thank you") < sent.body.index("wrote:")


def test_an_answer_without_the_letter_it_answers(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille")
    browser.open(f"/email/new?action=reply&uid={no}")
    browser.press("send", body="Thank you", quote=[])
    with box.ports.database.read() as tx:
        assert "wrote:" not in letters.read_email(tx, box.tenant, no + 1).email.body


def test_an_answer_goes_where_the_sender_wants_it(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Re: Photos", reply_to=(Contact("office@example.com"),))
    browser.open(f"/email/new?action=reply&uid={no}")
    assert written(browser, "to") == "office@example.com"
    assert written(browser, "subject") == "Re: Photos"


def test_an_answer_to_all_leaves_oneself_out(box: Box) -> None:
    browser = box.signed_in("mireille")
    everybody = (Contact(f"Mireille@{DOMAIN}"), Contact("joseph@example.com", "Joseph"), Contact("ruth@example.com"))
    no = box.letter("mireille", to=everybody, cc=(Contact("jeanne@example.com"), Contact("joseph@example.com")))
    browser.open(f"/email/{no}").follow("Answer all")
    assert written(browser, "to") == "ruth@example.com"
    assert written(browser, "cc") == "joseph@example.com, jeanne@example.com"


def test_an_answer_to_an_own_letter_goes_where_that_went(box: Box) -> None:
    browser = box.signed_in("mireille")
    browser.follow("Write").press("send", to="ruth@example.com", subject="News", body="Hello")
    browser.open("/email/new?action=reply&uid=1")
    assert written(browser, "to") == "ruth@example.com"


def test_a_letter_is_passed_on_with_the_files_that_are_ticked(box: Box) -> None:
    browser = box.signed_in("mireille")
    files = (Attachment("a.pdf", b"first", "application/pdf"), Attachment("b.pdf", b"second", "application/pdf"))
    no = box.letter("mireille", "Photos", attachments=files)
    kept_before = list(box.ports.blobs.list())
    browser.open(f"/email/{no}").follow("Pass on")
    assert "<title>Pass on" in browser.html
    assert written(browser, "subject") == "Fwd: Photos"
    tokens = [value for name, value in browser.fields("/email/new").fields if name == "file"]
    assert len(tokens) == 2
    browser.press("send", to="joseph@example.com", body="Look", file=tokens[1:])
    with box.ports.database.read() as tx:
        sent = letters.read_email(tx, box.tenant, no + 1)
    assert [one.filename for one in sent.attachments] == ["b.pdf"]
    assert list(box.ports.blobs.list()) == kept_before
    for part in ("<b>From:</b> Ruth Namatovu &lt;ruth@example.com&gt;", "<b>Subject:</b> Photos", "Good morning"):
        assert part in sent.email.body


def test_nobody_quotes_or_passes_on_what_they_do_not_have(box: Box) -> None:
    box.person("mireille")
    no = box.letter("mireille", attachments=(Attachment("a.pdf", b"first", "application/pdf"),))
    other = box.signed_in("joseph")
    for action in ("reply", "reply_all", "forward", "again"):
        assert other.open(f"/email/new?action={action}&uid={no}").status == 404
    other.open("/email/new")
    form = dict(other.fields("/email/new").fields) | {"action": "forward", "uid": no, "to": "joseph", "do": "send"}
    assert other.post("/email/new", form).status == 404


def test_a_file_of_somebody_elses_form_is_worth_nothing(box: Box) -> None:
    browser, other = box.signed_in("mireille"), box.signed_in("joseph")
    browser.open("/email/new").press("attach", files=[("a.txt", b"secret", "text/plain")])
    token = next(value for name, value in browser.fields("/email/new").fields if name == "file")
    other.open("/email/new")
    form = dict(other.fields("/email/new").fields) | {"to": "joseph", "do": "send", "file": token}
    assert other.post("/email/new", form).status == 400
    form["file"] = token[:-2] + "xx"
    assert other.post("/email/new", form).status == 400
    assert numbers(box) == 0


def test_files_come_in_several_rounds_and_text_stays(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("attach", [("one.txt", b"1" * 1200, "text/plain")], to="ruth@example.com", body="My text")
    assert "one.txt 1 kB" in browser.text
    browser.press("attach", [("two.txt", b"2", "text/plain"), ("three.txt", b"3", "text/plain")])
    assert written(browser, "body") == "My text"
    browser.press("send", [("four.txt", b"4", "text/plain")])
    with box.ports.database.read() as tx:
        stored = letters.read_email(tx, box.tenant, 1)
    assert [one.filename for one in stored.attachments] == ["one.txt", "two.txt", "three.txt", "four.txt"]


def test_files_survive_a_mistake_elsewhere_in_the_form(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", [("one.txt", b"1", "text/plain")], to="jeanne", body="My text")
    assert "one.txt" in browser.text
    browser.press("send", to="ruth@example.com")
    with box.ports.database.read() as tx:
        assert [one.filename for one in letters.read_email(tx, box.tenant, 1).attachments] == ["one.txt"]


def test_photos_are_made_smaller_and_what_cannot_be_opened_travels_as_it_is(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    files = [
        ("photo.jpg", JPEG, "image/jpeg"),
        ("odd.heic", b"what is this", "image/heic"),
        ("x.svg", b"<svg/>", "image/svg+xml"),
    ]
    browser.press("send", files, to="ruth@example.com", body="Look")
    with box.ports.database.read() as tx:
        stored = load_email(tx, box.ports.blobs, box.tenant, DOMAIN, 1)
    assert [(one.filename, one.type, one.content) for one in stored.attachments] == [
        ("photo.webp", "image/webp", b"RIFFsmaWEBP"),
        ("odd.heic", "image/heic", b"what is this"),
        ("x.svg", "image/svg+xml", b"<svg/>"),
    ]


def test_names_of_files_lose_their_folders_and_control_characters(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("attach", [("C:/holidays/a\u202eb.txt", b"1", "text/plain; evil")])
    assert "ab.txt" in browser.text
    assert "holidays" not in browser.text


def test_too_much_is_said_and_the_text_stays(make_box: Callable[..., Box]) -> None:
    box = make_box(max_upload_bytes=20_000)
    browser = box.signed_in("mireille").follow("Write")
    browser.press("attach", [("a.txt", b"x" * 16_000, "text/plain")], to="ruth@example.com", body="My text")
    assert "16 kB of 20 kB used." in browser.text
    browser.press("send", [("b.txt", b"x" * 6_000, "text/plain")])
    assert browser.status == 413
    assert "a letter carries up to 20 kB" in browser.text
    assert written(browser, "body") == "My text"
    assert "a.txt" in browser.text
    assert "b.txt" not in browser.text
    browser.press("send", [("c.txt", b"x" * 80_000, "text/plain")])
    assert browser.status == 413
    assert "This is too large" in browser.text
    assert numbers(box) == 0


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    """Three photos as a telephone makes them, each of about 5 MB."""
    made = []
    for n in range(3):
        noise = Image.frombytes("RGB", (2000, 1600), random.Random(n).randbytes(9_600_000))
        file = io.BytesIO()
        noise.save(file, "JPEG", quality=98)
        made.append(file.getvalue())
    assert all(4_000_000 < len(one) < 6_000_000 for one in made)
    return made


def test_three_photos_of_a_telephone_go_in_one_round_without_scripts(
    make_box: Callable[..., Box], photos: list[bytes]
) -> None:
    raw: list[int] = []

    def shrink(content: bytes, limits: PictureLimits) -> tuple[bytes, str] | None:
        raw.append(len(content))
        return shrink_image(content, limits)

    box = make_box(shrink=shrink)
    assert sum(map(len, photos)) > box.settings.max_upload_bytes
    files = [(f"well{n}.jpg", one, "image/jpeg") for n, one in enumerate(photos)]
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", files, to="ruth@example.com", body="The well")
    assert (browser.status, browser.address) == (200, "/email/outbox")
    with box.ports.database.read() as tx:
        kept = load_email(tx, box.ports.blobs, box.tenant, DOMAIN, 1).attachments
    assert raw == [len(one) for one in photos]
    assert [max(Image.open(io.BytesIO(one.content)).size) for one in kept] == [640, 640, 640]
    assert sum(len(one.content) for one in kept) < 1_000_000
    browser.open("/email/new").press("send", files, to="ruth@example.com", body="As they are", photo="original")
    assert (browser.status, "Too large together" in browser.text) == (413, True)
    assert numbers(box) == 1


def test_photos_count_as_small_as_they_become_and_what_is_no_photo_as_it_came(make_box: Callable[..., Box]) -> None:
    box = make_box(max_upload_bytes=100_000)
    browser = box.signed_in("mireille").follow("Write")
    photo = b"\xff\xd8\xff" + b"x" * 60_000
    browser.press("attach", [(f"{n}.jpg", photo, "image/jpeg") for n in range(3)])
    assert (browser.status, browser.text.count(".webp")) == (200, 3)
    # looks like a photo and stays as large as it came; what is said to be one counts by its bytes
    broken = [("a.png", b"\x89PNG\r\n\x1a\n" + b"x" * 60_000, "image/png")] * 2
    for files in (broken, [("film.jpg", b"x" * 101_000, "image/jpeg")]):
        browser.press("attach", files, body="My text")
        assert (browser.status, "Too large together" in browser.text) == (413, True)
        assert written(browser, "body") == "My text"
        assert browser.text.count(".webp") == 3


def test_a_long_letter_is_not_cut_off(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", to="mireille", subject="Long", body="word " * 300_000)
    assert browser.status == 200, browser.text[:300]
    assert browser.open("/email/1/body").html.count("word ") >= 299_999


def test_a_full_store_is_said_and_the_text_stays(make_box: Callable[..., Box]) -> None:
    class Full(MemoryBlobStore):
        def put(self, key: str, content: bytes | Iterable[bytes]) -> bool:
            raise Temporary("the disk is full")

    box = make_box(blobs=Full())
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", [("a.txt", b"1", "text/plain")], to="ruth@example.com", body="My text")
    assert browser.status == 503
    assert "its memory is full. Your text is kept." in browser.text
    assert written(browser, "body") == "My text"
    assert numbers(box) == 0


def test_who_wrote_last_is_suggested_and_added_without_scripts(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.letter("mireille")
    browser.open("/email/new").press("Ruth Namatovu", body="My text")
    assert written(browser, "to") == "ruth@example.com"
    assert written(browser, "body") == "My text"
    assert numbers(box) == 1


def test_the_key_enter_in_a_field_sends_nothing(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.letter("mireille")
    first = browser.open("/email/new").fields("/email/new").buttons[0]
    assert (first.name, first.value) == ("do", "check")
    form: dict[str, Any] = dict(browser.fields("/email/new").fields) | {"to": "ruth@example.com", "do": "check"}
    browser.post("/email/new", form)
    assert browser.status == 200
    assert numbers(box) == 1


def test_somebody_is_written_to_from_the_list_of_people(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.signed_in("joseph").open("/users").press("Put me in the list")
    browser.open("/users").follow("Write to joseph")
    assert written(browser, "to") == f"joseph@{DOMAIN}"


def test_too_many_letters_an_hour_are_held_back_and_stay_typed(make_box: Callable[..., Box]) -> None:
    box = make_box(letters="2 per hour")
    browser = box.signed_in("mireille")
    for _ in range(2):
        browser.open("/email/new").press("send", to="ruth@example.com", body="Hello")
        assert browser.address == "/email/outbox"
    browser.open("/email/new").press("send", to="ruth@example.com", body="Hello")
    assert browser.status == 429
    assert numbers(box) == 2
    assert written(browser, "body") == "Hello"
    box.later(hours=2)
    browser.open("/email/new").press("send", to="ruth@example.com", body="Hello")
    assert numbers(box) == 3


def test_a_letter_survives_signing_in_anew_while_it_was_written(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    old = dict(browser.fields("/email/new").fields) | {"to": "ruth@example.com", "body": "My long text", "do": "send"}
    box.later(days=20)
    browser.post("/email/new", old)
    assert browser.status == 401
    assert "Please sign in again" in browser.text
    browser.open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    browser.post("/email/new", old)
    assert browser.status == 400
    assert "Lokole did not recognise this form. Your text is kept" in browser.text
    assert numbers(box) == 0
    browser.press("send")
    assert browser.address == "/email/outbox"
    assert numbers(box) == 1


def test_the_form_may_be_kept_by_the_browser_unless_the_telephone_is_shared(box: Box) -> None:
    own = box.signed_in("mireille").open("/email/new")
    assert own.response.headers["Cache-Control"] == "private, no-cache"
    # found again only under the cookie it was asked with
    assert "Set-Cookie" not in own.response.headers
    shared = box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    assert shared.open("/email/new").response.headers["Cache-Control"] == "private, no-store"


def test_where_letters_have_no_way_out_nothing_offers_to_write_one(make_box: Callable[..., Box]) -> None:
    box = make_box(writing=False)
    browser = box.signed_in("mireille")
    no = box.letter("mireille")
    for path in ("/", "/email/inbox", "/email/outbox", "/users", f"/email/{no}"):
        assert browser.open(path).status == 200, path
        assert "/email/new" not in browser.html, path
    assert "Letters are written at the box; here they can be read." in browser.text
    assert browser.open("/email/new").status == 405
    assert "Letters are written at the box; here they can be read." in browser.text
    before = box.fingerprint()
    browser.post("/email/new", {"csrf_token": browser.open("/email/inbox").token(), "do": "send", "to": "a@b.org"})
    assert browser.status == 405
    assert box.fingerprint() == before


def test_more_files_than_a_letter_carries_are_said_and_the_text_stays(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press(
        "attach", [(f"{n}.txt", b"x", "text/plain") for n in range(51)], to="ruth@example.com", body="My text"
    )
    assert browser.status == 413
    assert "A letter carries up to 50 files." in browser.text
    assert written(browser, "body") == "My text"
    browser.press("attach", [(f"{n}.txt", b"x", "text/plain") for n in range(50)])
    assert browser.status == 200
    browser.press("send", [("one-more.txt", b"x", "text/plain")])
    assert browser.status == 413
    assert "one-more" not in browser.text
    assert numbers(box) == 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_more_files_than_the_box_reads_are_answered_by_a_sentence(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", [(f"{n}.txt", b"x", "text/plain") for n in range(2_000)], to="ruth@example.com")
    assert browser.status == 413
    assert "Take fewer or smaller files. Go back: what you have typed is still there." in browser.text
    assert numbers(box) == 0
    gc.collect()  # Werkzeug gives up half-way and leaves the parts it has read to the collector


def test_a_letter_to_be_changed_and_sent_again_keeps_its_looks_for_the_editor(box: Box) -> None:
    browser = box.signed_in("mireille")
    browser.follow("Write").press(
        "send", to="ruth@example.com", body="<b>Good</b> day<script>evil()</script>", format="html"
    )
    browser.open("/email/new?action=again&uid=1")
    assert written(browser, "body") == "Good day"
    assert written(browser, "format") == "text"
    assert 'data-html="&lt;b&gt;Good&lt;/b&gt; day"' in browser.html


@pytest.mark.parametrize(
    ("chosen", "side"), [("", 640), ("small", 640), ("medium", 1280), ("original", None), ("x", 640)]
)
def test_photos_get_the_size_that_was_chosen(make_box: Callable[..., Box], chosen: str, side: int | None) -> None:
    asked: list[PictureLimits] = []

    def shrink(content: bytes, limits: PictureLimits) -> tuple[bytes, str] | None:
        asked.append(limits)
        return small(content, limits)

    box = make_box(shrink=shrink)
    browser = box.signed_in("mireille").follow("Write")
    browser.press("attach", [("well.jpg", JPEG, "image/jpeg")], photo=chosen)
    assert [one.longest_side for one in asked] == ([side] if side else [])
    assert ("well.webp" if side else "well.jpg") in browser.text
    kept = chosen if chosen in ("small", "medium", "original") else "small"
    assert re.findall(r"value=(\w+) data-name=\"\w+\" selected", browser.html) == [kept], (
        "the next round keeps the choice"
    )


def test_each_size_of_photos_says_what_it_weighs_and_costs(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    assert (
        "Size of photos Small: about 40 kB each Medium: about 100 kB each Original: about 2.5 MB each" in browser.text
    )
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, "cost_per_mb", 90)
    assert (
        "Small: about 40 kB each, about 4 FC Medium: about 100 kB each, about 9 FC" in browser.open("/email/new").text
    )
    assert "Original: about 2.5 MB each, about 225 FC" in browser.text


def test_a_form_never_goes_to_the_address_it_stands_at(box: Box) -> None:
    """A browser shows what it says of a box out of reach in the place of a page with that address, and nothing leads back to it."""
    browser = box.signed_in("mireille").open("/email/new")
    seen = ["/email/new"]
    for _ in range(3):
        action = browser.fields("/email/new").action
        assert action != seen[-1]
        seen.append(action)
        browser.press("check", to="jeanne")
        assert browser.status == 200


def test_a_letter_that_stays_here_says_no_cost(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.person("jeanne")
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, "cost_per_mb", 90)

    def is_said(to: str) -> bool:
        browser.open("/email/new").press("check", to=to)
        return re.search(r"<dl class=cost data-cost=\d+>", browser.html) is not None

    assert is_said("")
    assert is_said("nobody.i.know")
    assert not is_said("jeanne")
    assert not is_said(f"jeanne@{DOMAIN}, nobody.i.know")
    assert is_said("jeanne, ruth@example.com")


def test_the_field_for_a_recording_says_what_it_is_for(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    assert "Record or choose a recording" in browser.text


@pytest.mark.parametrize(("action", "label"), [("reply", "Answer"), ("forward", "Pass on")])
def test_the_letter_that_is_answered_may_be_deleted_meanwhile_and_nothing_typed_is_lost(
    box: Box, action: str, label: str
) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Roof", "<p>The price of the tiles</p>", message_id="<roof@example.com>", read=True)
    form = dict(browser.open(f"/email/{no}").follow(label).fields("/email/new").fields)
    form |= {"to": "ruth@example.com", "body": "I have it", "do": "send"}
    browser.open(f"/email/delete/{no}").press("Delete")
    browser.post("/email/new", form)
    assert browser.address == "/email/outbox", browser.text
    with box.ports.database.read() as tx:
        sent = letters.read_email(tx, box.tenant, no + 1).email
    assert "I have it" in sent.body
    assert "The price of the tiles" in sent.body
    assert (sent.in_reply_to == "<roof@example.com>") == (action == "reply")


def test_when_it_is_deleted_for_good_the_text_stays_and_goes_alone_after_a_word(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Roof", "<p>The price of the tiles</p>", read=True)
    form = dict(browser.open(f"/email/{no}").follow("Pass on").fields("/email/new").fields)
    form |= {"to": "ruth@example.com", "body": "I have it"}
    browser.open(f"/email/delete/{no}").press("Delete")
    browser.open(f"/email/deleted/{no}/erase").press("Delete for good")
    assert browser.post("/email/draft", form).status == 200
    browser.post("/email/new", form | {"do": "send"})
    assert browser.status == 409
    assert "was deleted for good. Your text is kept" in browser.text
    assert written(browser, "body") == "I have it"
    assert browser.press("send").address == "/email/outbox"
