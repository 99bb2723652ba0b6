"""Letters kept for later: by the button, by the script, from two windows, after the session ended, with a full disk; sent once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from lokole.mail.errors import Temporary
from lokole.mailbox import accounts, drafts, letters
from lokole.mailbox.database import Connection, Database
from lokole.mailbox.unnamed import sweep_unnamed
from tests.mailbox_world import load_email
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box


def kept(box: Box, name: str = "mireille") -> list[drafts.StoredDraft]:
    with box.ports.database.read() as tx:
        person = accounts.find_account(tx, box.tenant, name)
        assert person is not None
        return drafts.list_drafts(tx, person)


def numbers(box: Box) -> int:
    with box.ports.database.read() as tx:
        return letters.count_letters(tx, box.tenant)


def form_of(browser: Browser, **typed: str) -> dict[str, str]:
    return dict(browser.fields("/email/new").fields) | typed


def by_itself(browser: Browser, form: dict[str, str]) -> int:
    """What the page's script does every few seconds; returns the status."""
    browser.post("/email/draft", form)
    return browser.status


def test_a_letter_kept_for_later_is_found_and_gone_on_with(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    typed = {"to": "ruth@, nobody", "cc": "a@b.org", "bcc": "c@d.org", "subject": "The roof", "body": "\nDear Ruth"}
    browser.press("Keep for later", files=[("plan.pdf", b"plan", "application/pdf")], **typed)
    assert browser.address == "/email/drafts"
    assert "The letter is kept for later." in browser.text
    assert "The roof Dear Ruth 1 file" in browser.text
    browser.follow("Go on")
    for name, value in typed.items():
        assert form_of(browser)[name].replace("\r", "") == value
    assert "plan.pdf" in browser.text
    browser.press("send", to="ruth@example.com", cc="", bcc="")
    assert browser.address == "/email/outbox"
    assert kept(box) == []
    with box.ports.database.read() as tx:
        assert [one.filename for one in letters.read_email(tx, box.tenant, 1).attachments] == ["plan.pdf"]
    assert "Nothing is kept" in browser.open("/email/drafts").text


def test_an_answer_kept_for_later_is_still_an_answer(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Photos", message_id="<1@example.com>")
    browser.open(f"/email/{no}").follow("Answer").press("Keep for later", body="Thank you", quote=[])
    browser.follow("Go on")
    assert "quote" not in form_of(browser)
    browser.press("send")
    with box.ports.database.read() as tx:
        sent = letters.read_email(tx, box.tenant, no + 1).email
    assert sent.in_reply_to == "<1@example.com>"
    assert "wrote:" not in sent.body


def test_what_is_typed_is_kept_by_the_script_again_and_again_as_one_draft(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    form = form_of(browser)
    for words in ("Dear", "Dear Ruth", "Dear Ruth, the roof"):
        assert by_itself(browser, form | {"body": words}) == 200
        form["version"] = str(browser.response.get_json()["version"])
        assert browser.response.get_json()["say"] == "Kept at 10:00."
    assert [(one.version, one.typed.body) for one in kept(box)] == [(3, "Dear Ruth, the roof")]
    browser.open("/email/new")
    assert "1 letter is kept for later" in browser.text


def test_a_round_on_its_way_while_the_script_keeps_loses_nothing(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    form = form_of(browser, body="one")
    assert by_itself(browser, form) == 200
    # the button was pressed before the answer came: the form still says version 0, in the same window
    browser.post("/email/new", form | {"body": "two", "do": "keep"})
    assert [one.typed.body for one in kept(box)] == ["two"]


def test_two_windows_do_not_overwrite_each_other(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("Keep for later", subject="Roof", body="begun")
    first = form_of(browser.follow("Go on"))
    second = form_of(browser.open("/email/drafts").follow("Go on"))
    assert by_itself(browser, first | {"body": "from the first"}) == 200
    assert by_itself(browser, second | {"body": "from the second"}) == 409
    assert "changed in another window" in browser.response.get_json()["say"]
    assert [one.typed.body for one in kept(box)] == ["from the first"]
    browser.post("/email/new", second | {"body": "from the second", "do": "keep"})
    assert "Both are kept" in browser.text
    assert sorted(one.typed.body for one in kept(box)) == ["from the first", "from the second"]


def test_a_letter_that_was_sent_does_not_come_back_as_a_draft(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    form = form_of(browser, to="ruth@example.com", body="Hello")
    assert by_itself(browser, form) == 200
    browser.post("/email/new", form | {"do": "send"})
    assert browser.address == "/email/outbox"
    assert by_itself(browser, form | {"version": "1"}) == 409
    for button in ("send", "keep"):
        browser.post("/email/new", form | {"do": button})
        assert browser.address == "/email/outbox"
    assert kept(box) == []
    assert numbers(box) == 1


def test_a_draft_is_deleted_after_a_question(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write").press("Keep for later", to="ruth", subject="Roof")
    before = box.fingerprint()
    browser.follow("Delete")
    assert "“Roof”, to ruth." in browser.text
    assert box.fingerprint() == before
    browser.press("Delete")
    assert "The letter that you had begun is deleted." in browser.text
    assert kept(box) == []


def test_nobody_sees_or_touches_the_draft_of_another(box: Box) -> None:
    browser, other = box.signed_in("mireille"), box.signed_in("joseph")
    browser.follow("Write").press("Keep for later", subject="Secret")
    mine = form_of(browser.follow("Go on"))
    before = box.fingerprint()
    no = kept(box)[0].no
    assert other.open(f"/email/new?draft={no}").status == 404
    assert other.open(f"/email/drafts/{no}/delete").status == 404
    other.open("/email/new")
    other.post(f"/email/drafts/{no}/delete", {"csrf_token": other.token()})
    assert other.status == 404
    assert box.fingerprint() == before
    other.open("/email/new")
    # the number of somebody else's form makes a draft of one's own
    assert by_itself(other, mine | {"owner": "", "csrf_token": other.token(), "body": "mine now"}) == 200
    assert [one.typed.body for one in kept(box)] == [""]


def test_files_of_drafts_are_not_swept_away(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("attach", [("plan.pdf", b"plan", "application/pdf")], body="begun")
    for day in range(0, 100, 5):
        sweep_unnamed(box.ports.database, box.ports.blobs, box.tenant, DOMAIN, box.clock[0] + timedelta(days=day))
    browser.open("/email/drafts").follow("Go on").press("send", to="ruth@example.com")
    with box.ports.database.read() as tx:
        stored = load_email(tx, box.ports.blobs, box.tenant, DOMAIN, 1)
    assert [one.content for one in stored.attachments] == [b"plan"]


@pytest.mark.parametrize("button", ["send", "keep"])
def test_what_was_typed_when_the_session_had_ended_is_there_after_signing_in(box: Box, button: str) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    form = form_of(browser, to="ruth@example.com", subject="Roof", body="My long text", do=button)
    box.later(days=20)
    browser.post("/email/new", form)
    assert browser.status == 401
    assert "What you have written is kept" in browser.text
    assert "My long text" not in browser.html
    assert numbers(box) == 0
    browser.follow("Enter").press("Enter", name="mireille", password=PASSWORD)
    assert browser.address == "/email/drafts"
    browser.follow("Go on")
    assert form_of(browser)["body"] == "My long text"
    browser.press("send")
    assert browser.address == "/email/outbox"
    assert kept(box) == []


def test_a_form_without_a_cookie_is_kept_for_its_owner_only(box: Box) -> None:
    browser, other = box.signed_in("mireille").open("/email/new"), box.signed_in("joseph").open("/email/new")
    form = form_of(browser, body="My long text")
    stranger = box.browser().open("/user/login")
    stranger.post("/email/draft", form)
    assert stranger.status == 401
    assert "What you have written is kept" in stranger.response.get_json()["say"]
    assert [one.typed.body for one in kept(box)] == ["My long text"]
    assert kept(box, "joseph") == []
    before = box.fingerprint()
    # a name that is not signed, or signed for another form, is nobody's
    for owner in ("", form["owner"][:-2] + "xx", form_of(other)["owner"]):
        stranger.post("/email/draft", form | {"owner": owner, "body": "evil"})
        assert stranger.status in (400, 401)
    box.later(days=32)
    stranger.post("/email/draft", form | {"body": "evil"})
    assert stranger.status in (400, 401)
    assert box.fingerprint() == before


class Full(Database):
    """A disk that is full when somebody says so."""

    full = False

    @contextmanager
    def write(self, *, brief: bool = False) -> Iterator[Connection]:
        if self.full:
            raise Temporary("the database did not take it: disk full")
        with super().write(brief=brief) as tx:
            yield tx


def test_with_a_full_disk_a_sentence_and_the_text_is_still_in_the_form(make_box: Callable[..., Box]) -> None:
    plain = make_box()
    database = Full(plain.ports.database.url)
    box = make_box(database=database)
    plain.person("mireille")
    browser = box.enter("mireille").open("/email/new")
    database.full = True
    browser.press("Keep for later", to="ruth@example.com", subject="Roof", body="My text")
    assert browser.status == 503
    assert "its memory is full. Your text is still in the form." in browser.text
    assert form_of(browser)["body"] == "My text"
    page = browser.html
    assert by_itself(browser, form_of(browser)) == 503
    assert "its memory is full. Your text is still in the form." in browser.response.get_json()["say"]
    browser.html, browser.address = page, "/email/new"
    browser.press("send")
    assert browser.status == 503
    assert form_of(browser)["body"] == "My text"
    assert "If it stays so, tell who looks after the box." in browser.text
    database.full = False
    browser.press("send")
    assert browser.address == "/email/outbox"
    database.close()


def test_with_a_full_disk_letters_are_read_and_everybody_can_leave(make_box: Callable[..., Box]) -> None:
    plain = make_box()
    database = Full(plain.ports.database.url)
    box = make_box(database=database)
    plain.person("mireille")
    no = plain.letter("mireille", "Roof")
    browser = box.enter("mireille")
    database.full = True
    browser.post("/email/mark", {"csrf_token": browser.token(), "open": str(no)})
    assert (browser.status, browser.address) == (200, f"/email/{no}")
    browser.open("/more").press("Leave")
    assert browser.address == "/user/login"
    assert browser.open("/email/inbox").address.startswith("/user/login")
    database.close()


def test_too_many_drafts_are_said_and_the_text_stays(box: Box) -> None:
    browser = box.signed_in("mireille")
    for _ in range(drafts.MAX_DRAFTS):
        assert by_itself(browser, form_of(browser.open("/email/new"), body="x")) == 200
    browser.open("/email/new").press("Keep for later", body="one more")
    assert browser.status == 409
    assert "Send or delete some" in browser.text
    assert form_of(browser)["body"] == "one more"
    assert len(kept(box)) == drafts.MAX_DRAFTS


def test_on_a_shared_telephone_that_signed_out_by_itself_the_letter_is_kept(box: Box) -> None:
    box.person("mireille")
    browser = box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD, shared="y")
    form = form_of(browser.open("/email/new"), to="ruth@example.com", body="My long text", do="send")
    box.later(minutes=15)
    browser.post("/email/new", form)
    assert browser.status == 401
    assert "My long text" not in browser.html
    assert [one.typed.body for one in kept(box)] == ["My long text"]
    # somebody else takes the telephone
    box.person("joseph")
    browser.follow("Enter").press("Enter", name="joseph", password=PASSWORD)
    assert "Nothing is kept" in browser.open("/email/drafts").text


def test_what_the_script_brings_after_signing_in_anew_is_kept(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    old = form_of(browser, body="My long text")
    browser.client.delete_cookie("lokole")
    browser.open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    assert by_itself(browser, old) == 401
    assert [one.typed.body for one in kept(box)] == ["My long text"]


def test_a_file_chosen_when_the_session_had_ended_has_to_be_chosen_again(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    browser.press("attach", [("first.txt", b"1", "text/plain")], body="My text")
    box.later(days=20)
    browser.press("send", [("second.txt", b"2", "text/plain")], to="ruth@example.com")
    assert browser.status == 401
    assert "choose them again" in browser.text
    (draft,) = kept(box)
    assert draft.file_count == 1


@pytest.mark.parametrize("fresh_token", [False, True])
def test_a_form_of_somebody_else_is_kept_for_its_writer_and_never_sent_in_another_name(
    box: Box, fresh_token: bool
) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    old = form_of(browser, to="ruth@example.com", body="For her alone", do="send")
    browser.open("/more").press("Leave")
    box.person("joseph")
    browser.open("/user/login").press("Enter", name="joseph", password=PASSWORD)
    if fresh_token:  # the token alone does not say whose the form is
        old |= {"csrf_token": browser.open("/email/new").token()}
    browser.post("/email/new", old)
    assert browser.status == 403
    assert "This letter is somebody else’s" in browser.text
    assert "For her alone" not in browser.html
    assert by_itself(browser, old) in (401, 403)
    assert [one.typed.body for one in kept(box)] == ["For her alone"]
    assert "Nothing is kept" in browser.open("/email/drafts").text
    assert "For her alone" not in browser.open("/email/sent").text
    assert numbers(box) == 0


def test_going_back_after_sending_and_changing_the_letter_makes_a_second_one(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    first = form_of(browser, to="ruth@example.com", body="Hello", do="send")
    for _ in range(2):
        browser.post("/email/new", first)
        assert browser.address == "/email/outbox"
    assert "This letter was sent already." in browser.text
    browser.post("/email/new", first | {"body": "Hello, and come on Friday"})
    assert browser.status == 409
    assert form_of(browser)["body"] == "Hello, and come on Friday"
    browser.press("send")
    assert browser.address == "/email/outbox"
    browser.post("/email/new", first | {"body": "Hello, and come on Sunday", "do": "keep"})
    assert browser.status == 409
    browser.press("Keep for later")
    assert [one.typed.body for one in kept(box)] == ["Hello, and come on Sunday"]
    assert numbers(box) == 2


def test_files_stay_with_a_form_that_is_not_recognised(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    old = form_of(browser, to="ruth@example.com", body="My text", do="send")
    browser.client.delete_cookie("lokole")
    browser.open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    browser.post("/email/new", old | {"files": (io.BytesIO(b"1"), "plan.txt", "text/plain")})
    assert browser.status == 400
    browser.press("send")
    assert browser.address == "/email/outbox"
    assert "plan.txt" in browser.open("/email/1").text
