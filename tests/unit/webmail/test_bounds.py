"""However large a letter is, its pages are not; what it says stays within reach."""

from __future__ import annotations

from sqlalchemy import update

from lokole.mail.model import Attachment, Contact, Delivery, DeliveryState
from lokole.mailbox import attachments, recipients
from lokole.mailbox.attachments import StoredAttachment, note_attachments
from lokole.mailbox.schema import email
from tests.unit.webmail.conftest import Box

_PAGE = 60_000  # bytes of a page before compression


def _size(html: str) -> int:
    return len(html.encode())


def test_five_megabytes_of_markup_are_a_small_page_and_a_file_to_keep(box: Box) -> None:
    browser = box.signed_in("mireille")
    body = "<p>beginning</p>" + "<b><i>x</i></b> & words " * 220_000 + "<p>the very end</p>"
    assert len(body) > 5_000_000
    no = box.letter("mireille", "Long", body)
    assert _size(browser.open(f"/email/{no}").html) < _PAGE
    browser.open(f"/email/{no}/body")
    assert _size(browser.html) < 2_500_000
    assert "beginning" in browser.text
    assert "This letter goes on, but it is too long for a page." in browser.text
    browser.follow("Keep the whole letter")
    assert browser.response.headers["Content-Disposition"].startswith("attachment;")
    assert browser.response.mimetype == "application/octet-stream"
    assert "the very end" in browser.html
    assert "too long for a page" in browser.open(f"/email/{no}/print").text


def test_two_thousand_recipients_are_folded(box: Box) -> None:
    browser = box.signed_in("mireille")
    to = tuple(Contact(f"person{n}@example.com", f"Person {n}") for n in range(2000))
    no = box.letter("mireille", "To all", to=to, cc=to)
    browser.open(f"/email/{no}")
    assert _size(browser.html) < _PAGE
    assert "Person 4 and 1995 more" in browser.text
    assert "Person 99 and 1900 more" in browser.text
    assert "Person 150" not in browser.text
    assert _size(browser.open(f"/email/{no}/print").html) < _PAGE
    assert _size(browser.open("/email/inbox").html) < 15_000


def test_a_letter_to_two_thousand_says_how_far_it_is_without_naming_all(box: Box) -> None:
    browser = box.signed_in("mireille")
    browser.open("/email/new").press("send", to="first@example.com", subject="To all", body="Hello")
    with box.ports.database.write() as tx:
        some = [Delivery(f"p{n}@example.com", "to", DeliveryState.WAITING) for n in range(2000)]
        recipients.set_recipients(tx, box.tenant, 1, some, writer=1)
        for n in range(100):
            recipients.set_recipient_state(tx, box.tenant, 1, f"p{n}@example.com", DeliveryState.REFUSED, "nobody", 1)
    for address in ("/email/1", "/email/outbox"):
        browser.open(address)
        assert _size(browser.html) < _PAGE, address
        assert "and 80 more" in browser.text
        assert "and 1881 more" in browser.text


def test_ten_thousand_files_come_fifty_at_a_time(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Files")
    one = attachments.put_attachments(box.ports.blobs, "bolenge.lokole.ca", [Attachment("x", b"x", "text/plain")])[0]
    with box.ports.database.write() as tx:
        note_attachments(
            tx,
            box.tenant,
            no,
            [StoredAttachment(f"file{n}.txt", "text/plain", None, one.sha256, 1) for n in range(10_000)],
        )
        tx.execute(update(email).values(attachment_count=10_000))
    browser.open(f"/email/{no}")
    assert _size(browser.html) < _PAGE
    assert "1–50 of 10000" in browser.text
    browser.follow("More files").follow("More files")
    assert "101–150 of 10000" in browser.text
    assert "file149.txt" in browser.text
    browser.follow("Files before")
    assert "51–100 of 10000" in browser.text
    assert browser.open(f"/attachment/{no}/9999").status == 200
    assert browser.open(f"/email/{no}?files=9999999").status == 200
    assert _size(browser.open(f"/email/{no}/print").html) < _PAGE


def test_names_in_every_script_and_control_characters_are_shown_as_text(box: Box) -> None:
    browser = box.signed_in("mireille")
    names = ("Ørsted Ñandú", "محمد علي", "村上 春樹", "🌧️ Rain", "a\x00b\x1b[31m\u202ec\u2028d", "<script>x</script>")
    for name in names:
        no = box.letter("mireille", name, sender=Contact("someone@example.com", name))
        browser.open("/email/inbox")
        assert browser.status == 200
        assert "<script>x" not in browser.html
        browser.open(f"/email/{no}")
        assert browser.status == 200
        assert "<script>x" not in browser.html
    assert all(name in browser.open("/email/inbox").text for name in names[:4])


def test_a_subject_of_any_length_leaves_the_page_small(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "word " * 40_000, sender=Contact("a" * 900 + "@example.com", "n" * 50_000))
    for address in (f"/email/{no}", f"/email/{no}/print", f"/email/delete/{no}", f"/email/{no}/body"):
        browser.open(address)
        assert browser.status == 200
        assert _size(browser.html) < _PAGE, address


def test_a_large_picture_is_offered_and_a_small_one_shown(box: Box) -> None:
    browser = box.signed_in("mireille")
    files = (
        Attachment("small.jpg", b"\xff\xd8" + b"x" * 40_000, "image/jpeg"),
        Attachment("large.jpg", b"\xff\xd8" + b"x" * 400_000, "image/jpeg"),
    )
    no = box.letter("mireille", attachments=files)
    browser.open(f"/email/{no}")
    assert f"/attachment/{no}/0" in browser.sources
    assert f"/attachment/{no}/1" not in browser.sources
    assert "large.jpg 400 kB" in browser.text
    assert "small.jpg 40 kB" in browser.text
    assert "loading=lazy" in browser.html


def test_the_way_of_a_written_letter_is_told_for_each_of_its_people(box: Box) -> None:
    browser = box.signed_in("mireille")
    people = "ruth@example.com, jeanne@example.net, joseph@example.com"
    browser.open("/email/new").press("send", to=people, subject="News", body="Hello")
    browser.open("/email/1")
    assert "It is in the bag. Leaves tonight at 02:00." in browser.text
    with box.ports.database.write() as tx:
        for address, state, reason in (
            ("ruth@example.com", DeliveryState.AT_SERVER, ""),
            ("jeanne@example.net", DeliveryState.REFUSED, "nobody"),
        ):
            recipients.set_recipient_state(tx, box.tenant, 1, address, state, reason, 1)
    browser.open("/email/1")
    assert "ruth@example.com : It is at the server. No answer yet." in browser.text.replace(":", " :").replace(
        "  :", " :"
    )
    assert "The letter did not arrive. Nobody there has this name." in browser.text
    assert browser.html.count("<ol class=way") == 3
    assert "Change and send again" in browser.text


def test_unread_letters_are_printed_each_on_a_sheet_and_none_is_marked(box: Box) -> None:
    browser = box.signed_in("mireille", display_name="Mireille Ilunga")
    box.letter("mireille", "Read already", read=True)
    box.letter("mireille", "First", "<p>One <script>evil()</script></p>")
    box.letter("mireille", "Second", "<p>Two</p>")
    before = box.fingerprint()
    browser.open("/email/folders").follow("Print the unread letters")
    assert browser.html.count("<section class=sheet>") == 2
    assert browser.text.index("First") < browser.text.index("Second")
    assert "Read already" not in browser.text
    assert "To: Mireille Ilunga mireille@bolenge.lokole.ca" in browser.text
    assert "evil" not in browser.html
    assert "default-src 'none'" in browser.response.headers["Content-Security-Policy"]
    assert box.fingerprint() == before
    assert "no unread letter to print" in box.signed_in("joseph").open("/email/print").text


def test_every_page_of_mail_travels_in_six_kilobytes(box: Box) -> None:
    browser = box.signed_in("mireille")
    for n in range(25):
        box.letter(
            "mireille",
            f"Calendrier des vaccinations, numéro {n}",
            f"<p>Le calendrier de décembre est joint. Merci de le montrer à {n} personnes.",
            message_id=f"<talk-{n}@example.com>",
            references=("<talk-0@example.com>",) if n else (),
            to=tuple(Contact(f"p{one}@example.com", f"Person {one}") for one in range(200)),
            read=n % 2 == 0,
        )
    for address in (
        "/email/inbox",
        "/email/inbox?pick=all",
        "/email/12",
        "/email/folders",
        "/email/deleted",
        "/email/search?query=calendrier",
        "/email/search?from=ruth&file=1",
    ):
        browser.open(address)
        assert browser.status == 200
        weight = len(browser.response.get_data())
        assert weight <= 6_000, (address, weight)
