"""Lists and letters: what is shown, to whom, and that looking changes nothing."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import timedelta

from lokole.mail.model import Attachment, Contact, DeliveryState
from lokole.mailbox import attachments, recipients
from tests.unit.webmail.conftest import DOMAIN, Box

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_an_empty_inbox_says_when_letters_come(box: Box) -> None:
    assert "No letter yet" in box.signed_in("mireille").text


def test_opening_an_unread_letter_from_the_list_marks_it_and_looking_at_it_does_not(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Results")
    before = box.fingerprint()
    browser.open("/email/inbox")
    browser.open(f"/email/{no}")
    browser.open(f"/email/{no}/body")
    browser.open("/email/inbox")
    assert box.fingerprint() == before
    assert "Unread. Ruth Namatovu" in browser.text
    browser.press("Results")
    assert browser.address == f"/email/{no}"
    browser.open("/email/inbox")
    assert "Unread." not in browser.text
    assert any(href == f"/email/{no}" for _label, href in browser.links)


def test_a_letter_opened_by_its_address_has_a_button_to_mark_it(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille")
    browser.open(f"/email/{no}").press("I have read it")
    assert browser.address == f"/email/{no}"
    assert "I have read it" not in browser.text
    assert browser.open("/email/unread").html == '{"count":0,"unread":false}\n'


def test_what_one_person_reads_stars_or_deletes_stays_as_it_is_for_others(box: Box) -> None:
    browser = box.signed_in("mireille")
    other = box.signed_in("joseph")
    browser.open("/email/new").press("send", to="mireille, joseph", subject="For both", body="Hello")
    no = int(browser.address.rpartition("/")[2])
    browser.open("/email/inbox").press("Star")
    browser.open(f"/email/{no}").follow("Delete").press("Delete")
    assert browser.open(f"/email/{no}").status == 404
    other.open("/email/inbox")
    assert "Unread. mireille" in other.text
    assert other.open(f"/email/{no}").status == 200


def test_a_star_is_set_and_taken_back(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille")
    browser.open("/email/inbox")
    assert "class=star name=star" in browser.html
    token = browser.token()
    browser.post("/email/mark", {"csrf_token": token, "star": no, "back": "/email/inbox"})
    assert browser.address == "/email/inbox"
    assert 'class="star on" name=unstar' in browser.html
    browser.post("/email/mark", {"csrf_token": token, "unstar": no, "back": "https://elsewhere.example/"})
    assert browser.address == f"/email/{no}"


def test_deleting_asks_first(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Results")
    browser.open(f"/email/{no}").follow("Delete")
    assert "Delete this letter?" in browser.text
    before = box.fingerprint()
    browser.open(browser.address)
    assert box.fingerprint() == before
    browser.press("Delete")
    assert browser.address == "/email/inbox"
    assert "The letter is deleted." in browser.text
    assert "Results" not in browser.text


def test_pages_of_twenty_newest_first(box: Box) -> None:
    browser = box.signed_in("mireille")
    for n in range(45):
        box.later(minutes=1)
        box.letter("mireille", f"Letter number {n} end")
    browser.open("/email/inbox")
    assert "1–20 of 45" in browser.text
    assert "number 44 end" in browser.text
    assert "number 24 end" not in browser.text
    browser.follow("Older")
    assert "21–40 of 45" in browser.text
    browser.follow("Older")
    assert "41–45 of 45" in browser.text
    assert not any("Older" in label for label, _href in browser.links)
    browser.follow("Newer")
    assert "21–40 of 45" in browser.text
    browser.follow("Newer")
    assert "1–20 of 45" in browser.text


def test_a_date_that_may_be_wrong_is_said(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", sent_at_doubtful=True)
    assert "clock may be wrong" in browser.open(f"/email/{no}").text


def test_times_are_those_of_the_person(box: Box) -> None:
    no_zone = box.signed_in("mireille")
    kinshasa = box.signed_in("joseph", time_zone="Africa/Kinshasa")
    box.letter("mireille")
    box.letter("joseph")
    assert "10:00" in no_zone.open("/email/inbox").text
    assert "11:00" in kinshasa.open("/email/inbox").text
    box.later(days=1)
    assert "yesterday" in kinshasa.open("/email/inbox").text
    box.later(days=3)
    assert "23 Nov" in kinshasa.open("/email/inbox").text
    box.later(days=300)
    assert "23 Nov 2026" in box.enter("joseph").text


def test_the_body_stands_in_a_frame_that_may_do_nothing(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", body="<p onclick=evil()>Hello<script>evil()</script><img src=http://spy.example/x.gif>")
    browser.open(f"/email/{no}")
    assert f"/email/{no}/body" in browser.sources
    frame = re.search(r"<iframe[^>]*>", browser.html)
    assert frame is not None
    assert "allow-scripts" not in frame[0]
    assert "allow-same-origin" not in frame[0]
    browser.open(f"/email/{no}/body")
    policy = browser.response.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert "unsafe-inline" not in policy
    assert browser.response.headers["Referrer-Policy"] == "no-referrer"
    assert browser.response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Hello" in browser.text
    for word in ("script", "onclick", "spy.example"):
        assert word not in browser.html


def test_a_body_that_was_stored_unsafe_is_shown_safe(box: Box) -> None:
    from sqlalchemy import update

    from lokole.mailbox.schema import email

    browser = box.signed_in("mireille")
    no = box.letter("mireille")
    with box.ports.database.write() as tx:
        tx.execute(update(email).values(body="<script>evil()</script><b>fine</b>"))
    browser.open(f"/email/{no}/body")
    assert "evil" not in browser.html
    assert "<b>fine</b>" in browser.html
    assert "evil" not in browser.open(f"/email/{no}/print").html
    assert "use “Print” in the menu of your browser" in browser.text
    assert "<script>" not in browser.open(f"/email/new?action=forward&uid={no}").html


def test_pictures_of_the_text_are_shown_within_the_frame(box: Box) -> None:
    browser = box.signed_in("mireille")
    files = (
        Attachment("logo.png", PNG, "image/png", "logo@here"),
        Attachment("page.svg", b"<svg/>", "image/svg+xml", "b"),
    )
    no = box.letter(
        "mireille", body='<p><img src="cid:logo@here" alt="logo"><img src="cid:b" alt="page">', attachments=files
    )
    browser.open(f"/email/{no}/body")
    assert base64.b64encode(PNG).decode() in browser.html
    assert "svg" not in browser.html
    assert "img-src data:;" in browser.response.headers["Content-Security-Policy"]


def test_files_are_downloads_whatever_they_call_themselves(box: Box) -> None:
    browser = box.signed_in("mireille")
    files = (
        Attachment("page.html", b"<script>evil()</script>", "text/html"),
        Attachment('a"b\r\nX: y/été.png', PNG, "image/png"),
        Attachment("picture.svg", b"<svg onload=evil()>", "image/svg+xml"),
    )
    no = box.letter("mireille", attachments=files)
    browser.open(f"/email/{no}")
    assert "page.html" in browser.text
    assert f"/attachment/{no}/1" in browser.sources
    for n, kind in ((0, "application/octet-stream"), (1, "image/png"), (2, "application/octet-stream")):
        answer = browser.open(f"/attachment/{no}/{n}").response
        assert answer.mimetype == kind
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert answer.get_data() == files[n].content
    assert "filename*=UTF-8''" in browser.open(f"/attachment/{no}/1").response.headers["Content-Disposition"]
    assert browser.open(f"/attachment/{no}/3").status == 404


def test_a_letter_can_be_printed_alone(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Results", "<p>All is well</p>")
    browser.open(f"/email/{no}").follow("Print")
    assert browser.status == 200
    for word in ("Results", "Ruth Namatovu", "All is well", "Monday 23 November"):
        assert word in browser.text
    assert "Inbox" not in browser.text


def test_search_finds_by_words_names_and_without_accents(box: Box) -> None:
    browser = box.signed_in("mireille")
    other = box.signed_in("joseph")
    box.letter("mireille", "Réunion des parents", sender=Contact("ecole@example.com", "École Lisanga"))
    for query, found in (("reunion", True), ("ECOLE", True), ("ecole@example.com", True), ("nothing", False)):
        browser.open("/email/search").press("Search", query=query)
        assert ("Réunion des parents" in browser.text) is found, query
    assert "No letter found" in browser.text
    other.open("/email/search?query=reunion")
    assert "Réunion" not in other.text


def test_search_can_be_switched_off(make_box: Callable[..., Box]) -> None:
    browser = make_box(search=False).signed_in("mireille")
    assert browser.open("/email/search?query=x").status == 404
    assert not any("search" in href for _label, href in browser.open("/email/inbox").links)


def test_each_recipient_of_a_waiting_letter_has_a_state(box: Box) -> None:
    browser = box.signed_in("mireille")
    people = "ruth@example.com, jeanne@example.net, joseph@example.com"
    browser.open("/email/new").press("send", to=people, subject="News", body="Hello")
    assert "1 letter is in the bag. Leaves tonight at 02:00." in browser.text
    with box.ports.database.write() as tx:
        for address, state, reason in (
            ("ruth@example.com", DeliveryState.AT_SERVER, ""),
            ("jeanne@example.net", DeliveryState.REFUSED, "no such address"),
        ):
            recipients.set_recipient_state(tx, box.tenant, 1, address, state, reason, 1)
    browser.open("/email/outbox")
    assert "The letter did not arrive. jeanne@example.net: This address does not exist." in browser.text
    assert "They said: “no such address”" in browser.text
    assert "It is at the server. No answer yet. ruth@example.com" in browser.text
    assert "It is in the bag. Leaves tonight at 02:00. joseph@example.com" in browser.text
    browser.follow("Change and send again")
    fields = dict(browser.fields("/email/new").fields)
    assert fields["to"] == "jeanne@example.net", "the others do not get it twice"
    assert fields["body"] == "Hello"


def test_a_refused_letter_stays_in_sight_however_many_were_written_since(make_box: Callable[..., Box]) -> None:
    box = make_box(rows_per_page=2)
    browser = box.signed_in("mireille")
    for n in range(4):
        browser.open("/email/new").press("send", to="ruth@example.com", subject=f"News {n}", body="Hello")
    with box.ports.database.write() as tx:
        for no, state in ((1, DeliveryState.REFUSED), (2, DeliveryState.AT_SERVER)):
            recipients.set_recipient_state(tx, box.tenant, no, "ruth@example.com", state, "", 1)
    browser.open("/email/outbox")
    assert all(f"News {n}" in browser.text for n in range(4))
    assert browser.text.index("News 0") < browser.text.index("News 3") < browser.text.index("News 1")


def test_what_is_not_through_yet_says_why(box: Box) -> None:
    browser = box.signed_in("mireille")
    browser.open("/email/new").press("send", to="ruth@example.com", subject="News", body="Hello")
    with box.ports.database.write() as tx:
        recipients.set_recipient_state(
            tx, box.tenant, 1, "ruth@example.com", DeliveryState.AT_SERVER, "4.4.1 connection timed out", 1
        )
    browser.open("/email/outbox")
    assert "Their server is out of reach. It is tried again, for five days." in browser.text


def test_a_refused_letter_stays_in_sight_when_nothing_waits(box: Box) -> None:
    browser = box.signed_in("mireille")
    browser.open("/email/new").press("send", to="jeanne@example.net", subject="News", body="Hello")
    with box.ports.database.write() as tx:
        recipients.set_recipient_state(tx, box.tenant, 1, "jeanne@example.net", DeliveryState.REFUSED, "full", 1)
    assert "The letter did not arrive." in browser.open("/email/outbox").text
    browser.follow("Delete").press("Delete")
    assert "Nothing is waiting" in browser.open("/email/outbox").text


def test_the_pages_say_when_the_next_bag_leaves(box: Box) -> None:
    browser = box.signed_in("mireille", time_zone="Africa/Kinshasa")
    for departs, said in (
        (timedelta(hours=15), "tonight at 02:00"),
        (timedelta(hours=3), "today at 14:00"),
        (timedelta(hours=26), "tomorrow at 13:00"),
        (timedelta(days=3), "on Thursday at 11:00"),
        (timedelta(days=9), "on Wednesday 2 December at 11:00"),
    ):
        box.departs[0] = box.clock[0] + departs
        assert f"The next exchange is {said}." in browser.open("/email/inbox").text
    box.clock[0] = box.clock[0].replace(hour=0)
    box.departs[0] = box.clock[0] + timedelta(hours=1)
    assert "tonight at 02:00" in browser.open("/email/inbox").text


def test_without_a_way_to_the_world_the_page_says_so(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.departs[0] = None
    browser.open("/email/new")
    assert "No exchange is planned: letters to the world stay in the bag." in browser.text
    browser.press("send", to="ruth@example.com", subject="News", body="Hello")
    assert "No exchange is planned. Your letters stay in the bag." in browser.text


def test_old_addresses_of_lists_still_lead_there(box: Box) -> None:
    browser = box.signed_in("mireille")
    assert browser.open("/email").address == "/email/inbox"
    assert browser.open("/email/inbox/3").address == "/email/inbox"


def test_files_are_kept_under_the_domain(box: Box) -> None:
    box.person("mireille")
    box.letter("mireille", attachments=(Attachment("a.txt", b"x", "text/plain"),))
    assert all(key.startswith(attachments.blob_key(DOMAIN, "")) for key in box.ports.blobs.list())


def test_a_spoken_message_is_played_on_its_page_and_stays_a_download(box: Box) -> None:
    browser = box.signed_in("mireille")
    files = (
        Attachment("Voice-1.webm", b"\x1aE\xdf\xa3 sound", "audio/webm"),
        Attachment("evil.html", b"<script>evil()</script>", "audio/html"),
    )
    no = box.letter("mireille", attachments=files)
    browser.open(f"/email/{no}")
    assert f'<audio controls preload=none src="/attachment/{no}/0"' in browser.html
    assert browser.html.count("<audio") == 1
    sound = browser.client.get(f"/attachment/{no}/0")
    assert sound.mimetype == "audio/webm"
    assert sound.headers["Content-Disposition"].startswith("attachment")
    assert sound.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert sound.headers["X-Content-Type-Options"] == "nosniff"
    assert browser.client.get(f"/attachment/{no}/1").mimetype == "application/octet-stream"


def test_a_letter_without_words_has_no_empty_frame(box: Box) -> None:
    browser = box.signed_in("mireille")
    sound = (Attachment("Voice-1 (12 s).webm", b"\x1aE\xdf\xa3 sound", "audio/webm"),)
    blank = box.letter("mireille", body="<div><br></div>", attachments=sound)
    pictured = box.letter("mireille", body='<img src="cid:well">')
    assert "<iframe" not in browser.open(f"/email/{blank}").html
    assert "Voice-1 (12 s).webm" in browser.text
    assert "<iframe" in browser.open(f"/email/{pictured}").html
