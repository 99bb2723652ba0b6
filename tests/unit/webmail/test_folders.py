"""Folders, many letters at once, deleted letters and conversations, as a person without scripts uses them."""

from __future__ import annotations

import re

from lokole.mail.model import Attachment
from lokole.mailbox import accounts, folders, letters
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import Box


def _ticks(browser: Browser) -> list[str]:
    return re.findall(r"type=checkbox name=n value=(\d+)", browser.html)


def test_letters_are_chosen_and_done_with_together(box: Box) -> None:
    browser = box.signed_in("mireille")
    numbers = [box.letter("mireille", f"Letter {n}") for n in range(4)]
    browser.open("/email/inbox").follow("Choose letters")
    assert _ticks(browser) == [str(no) for no in numbers[::-1]]
    assert " checked" not in browser.html
    browser.press("Read", n=[str(no) for no in numbers[:3]])
    assert browser.address == "/email/inbox"
    assert browser.text.count("Unread.") == 1
    browser.follow("Choose letters").press("unread", n=str(numbers[0]))
    assert browser.text.count("Unread.") == 2
    browser.follow("Choose letters").press("star", n=[str(numbers[0]), str(numbers[1])])
    assert browser.html.count('class="star on"') == 2
    browser.follow("Choose letters").press("unstar", n=str(numbers[0]))
    assert browser.html.count('class="star on"') == 1
    browser.follow("Choose letters").press("archive", n=str(numbers[3]))
    assert "It is in the archive." in browser.text
    assert "Letter 3" not in browser.text
    assert "Letter 3" in browser.open("/email/archive").text


def test_all_letters_of_a_page_are_chosen_with_one_link(box: Box) -> None:
    browser = box.signed_in("mireille")
    for n in range(25):
        box.letter("mireille", f"Letter {n}")
    browser.open("/email/inbox").follow("Older").follow("Choose letters").follow("Choose all")
    assert len(_ticks(browser)) == browser.html.count(" checked") == 5
    browser.press("delete", n=_ticks(browser))
    assert "The letters are deleted." in browser.text
    browser.press("Put back")
    assert "It is back in its place." in browser.text
    assert "1–20 of 25" in browser.open("/email/inbox").text


def test_choosing_none_and_pressing_says_so(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.letter("mireille")
    before = box.fingerprint()
    browser.open("/email/inbox").follow("Choose letters").press("archive")
    assert "No letter was ticked. Tick one first." in browser.text
    browser.open("/email/inbox").follow("Choose letters").follow("Choose none")
    assert "type=checkbox" not in browser.html
    assert box.fingerprint() == before


def test_what_another_window_deleted_is_passed_over_and_alone_is_a_sentence(box: Box) -> None:
    browser = box.signed_in("mireille")
    one, two = box.letter("mireille", "First"), box.letter("mireille", "Second")
    browser.open("/email/inbox").follow("Choose letters")
    other = box.enter("mireille").open(f"/email/delete/{one}")
    other.press("Delete")
    page = browser.html
    browser.press("archive", n=[str(one), str(two)])
    assert "Second" in browser.open("/email/archive").text
    assert "First" not in browser.text
    browser.html = page
    browser.press("read", n=str(one))
    assert browser.status == 404
    assert "Perhaps it was deleted" in browser.text
    assert browser.open(f"/email/{one}").status == 404


def test_a_deleted_letter_is_put_back_at_once_or_within_thirty_days(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Results")
    browser.open(f"/email/{no}").follow("Delete").press("Delete")
    assert "Results" not in browser.text
    browser.press("Put back")
    assert browser.address == "/email/inbox"
    assert "Results" in browser.text
    browser.open(f"/email/delete/{no}").press("Delete")
    browser.open("/email/inbox")
    assert not any("Put back" in button.label for form in [browser.fields("/user/logout")] for button in form.buttons)
    browser.open("/more").follow("Deleted letters")
    assert "Results" in browser.text
    assert "thirty days" in browser.text
    browser.press("Put back what is ticked")
    assert "No letter was ticked." in browser.text
    browser.press("Put back what is ticked", n=str(no))
    assert "Nothing is deleted" in browser.text
    assert "Results" in browser.open("/email/inbox").text


def test_a_deleted_letter_is_opened_and_put_back(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Results", attachments=(Attachment("list.pdf", b"%PDF", "application/pdf"),))
    browser.open(f"/email/{no}").follow("Delete").press("Delete")
    assert browser.open(f"/email/{no}").status == 404
    browser.open("/email/deleted").follow("Results")
    assert browser.address == f"/email/deleted/{no}"
    assert "ruth@example.com" in browser.text
    frame, page = browser.sources[-1], browser.address
    assert "Good morning" in browser.open(frame).text
    assert browser.open(page).follow("list.pdf").response.get_data() == b"%PDF"
    browser.open(page).press("Put back")
    assert browser.address == "/email/inbox"
    assert "Results" in browser.text
    assert browser.open(page).status == 404


def test_a_deleted_letter_goes_for_good_after_a_question_and_others_keep_theirs(box: Box) -> None:
    joseph, browser = box.signed_in("joseph"), box.signed_in("mireille")
    browser.open("/email/new").press("send", to="joseph", subject="Results", body="All well")
    for one in (browser, joseph):
        one.open("/email/delete/1").press("Delete")
    browser.open("/email/deleted/1").follow("Delete for good")
    assert "Nobody can bring it back to you. Others who have it keep it." in browser.text
    before = box.fingerprint()
    browser.follow("No, keep").follow("Delete for good")
    assert box.fingerprint() == before, "a question changes nothing"
    browser.press("Delete for good")
    assert "The letter is gone for good. Deleted letters" in browser.text
    assert "Nothing is deleted" in browser.text
    for address in ("/email/deleted/1", "/email/1", "/email/1/body", "/email/deleted/1/erase"):
        assert browser.open(address).status == 404, address
    joseph.open("/email/deleted/1").press("Put back")
    assert "All well" in joseph.open("/email/1/body").text
    joseph.open("/email/delete/1").press("Delete")
    joseph.open("/email/deleted/1/erase").press("Delete for good")
    with box.ports.database.read() as tx:
        assert letters.read_email(tx, box.tenant, 1).email.body == "", "nobody has it any more"


def test_the_folder_of_deleted_letters_is_emptied_after_a_question(box: Box) -> None:
    joseph, browser = box.signed_in("joseph"), box.signed_in("mireille")
    for n in range(30):
        box.letter("mireille", f"Old {n}")
    kept = box.letter("mireille", "Good one")
    theirs = box.letter("joseph", "Of Joseph")
    joseph.open(f"/email/delete/{theirs}").press("Delete")
    browser.open("/email/inbox").post(
        "/email/mark", {"csrf_token": browser.token(), "act": "delete", "n": [str(n) for n in range(1, 31)]}
    )
    browser.open("/email/new").press("send", to="ruth@example.com", subject="In the bag", body="x")
    browser.open(f"/email/delete/{theirs + 1}").press("Delete")
    browser.open("/email/deleted").follow("Empty the folder")
    assert "31 deleted letters go for good." in browser.text
    browser.press("Delete all for good")
    assert "The deleted letters are gone for good, but those that are still on their way." in browser.text
    assert "In the bag" in browser.text
    assert "Old" not in browser.text
    assert "Good one" in browser.open("/email/inbox").text
    assert browser.open(f"/email/{kept}").status == 200
    assert "Of Joseph" in joseph.open("/email/deleted").text
    browser.open("/email/deleted").follow("In the bag").follow("Delete for good")
    assert "This letter is still on its way." in browser.text
    browser.post(f"/email/deleted/{theirs + 1}/erase", {"csrf_token": browser.token()})
    assert browser.address == f"/email/deleted/{theirs + 1}/erase"
    browser.press("Take it back")
    assert "It does not leave." in browser.text
    assert "Nothing is deleted" in browser.open("/email/deleted").text


def test_what_is_not_deleted_is_not_deleted_for_good(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Results")
    token = browser.open("/email/inbox").token()
    for path in (f"/email/deleted/{no}", f"/email/deleted/{no}/erase"):
        assert browser.open(path).status == 404
    before = box.fingerprint()
    browser.post(f"/email/deleted/{no}/erase", {"csrf_token": token})
    assert browser.status == 404
    assert box.fingerprint() == before


def test_nobody_puts_back_what_is_not_theirs(box: Box) -> None:
    other, browser = box.signed_in("joseph"), box.signed_in("mireille")
    no = box.letter("joseph")
    other.open(f"/email/delete/{no}").press("Delete")
    before = box.fingerprint()
    token = browser.open("/more").token()
    browser.post("/email/mark", {"csrf_token": token, "act": "restore", "n": no})
    assert browser.status == 404
    for act in ("read", "delete", "archive", "star"):
        browser.post("/email/mark", {"csrf_token": token, "act": act, "n": no})
        assert browser.status == 404, act
    browser.post("/email/mark", {"csrf_token": token, "act": "nonsense", "n": no})
    assert browser.status == 400
    assert box.fingerprint() == before


def test_a_folder_is_made_used_renamed_and_taken_away(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Results")
    browser.open("/more").follow("Folders").press("Make this folder", name="  Health ")
    assert "This folder is empty" in browser.text
    code = browser.address.rpartition("/")[2]
    browser.open("/email/inbox").follow("Choose letters")
    assert f'<option value="{code}">Health' in browser.html
    browser.press("move", n=str(no), to=code)
    assert "It is in its new place." in browser.text
    assert "No letter yet" in browser.text
    browser.open("/email/folders").follow("Health")
    assert "Results" in browser.text
    browser.open(f"/email/{no}")
    assert ("Health", f"/email/folder/{code}") in [(label.strip(), href) for label, href in browser.links]
    browser.open("/email/folders").follow("Change").press("Keep this name", name="Hospital")
    assert "Hospital" in browser.text
    browser.open("/email/folders").follow("Change")
    assert "1 letter is in it. It goes to the archive." in browser.text
    browser.press("Take it away")
    assert browser.address == "/email/archive"
    assert "The folder is gone." in browser.text
    assert "Results" in browser.text
    assert "Hospital" not in browser.open("/email/folders").text
    assert browser.open(f"/email/folder/{code}").status == 404


def test_a_folders_name_that_will_not_do_stays_in_its_field(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/folders").press("Make this folder", name="École")
    browser.open("/email/folders")
    for name, said in (
        ("ecole", "You have a folder of this name already."),
        ("", "Please give the folder a name."),
        ("x" * 61, "This name is too long."),
    ):
        browser.press("Make this folder", name=name)
        assert said in browser.text
        assert dict(browser.fields("/email/folders").fields)["name"] == name
    browser.open("/email/folders").follow("Change").press("Keep this name", name="")
    assert "Please give the folder a name." in browser.text


def test_a_button_pressed_twice_makes_one_folder_and_leads_to_it(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/folders")
    form = browser.fields("/email/folders")
    for _ in range(2):
        browser.post(form.action, dict(form.fields) | {"name": "School"})
        assert "/email/folder/own-" in browser.address
    with box.ports.database.read() as tx:
        account = accounts.find_account(tx, box.tenant, "mireille")
        assert account is not None
        assert [one.name for one in folders.list_folders(tx, account)] == ["School"]


def test_deleting_by_a_button_pressed_twice_deletes_once_and_can_be_undone(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Hello", read=True)
    browser.open(f"/email/delete/{no}")
    form = browser.fields(f"/email/delete/{no}")
    for _ in range(2):
        browser.post(form.action, dict(form.fields))
        assert browser.address == "/email/inbox"
        assert "Put back" in browser.text
    browser.press("Put back")
    assert "Hello" in browser.open("/email/inbox").text


def test_names_in_every_script_and_with_control_characters_are_shown(box: Box) -> None:
    browser = box.signed_in("mireille")
    for name in ("مدرسة", "学校", "Œuvres & <b>", "tab\there", "🌧️"):
        browser.open("/email/folders").press("Make this folder", name=name)
        assert browser.status == 200, name
    browser.open("/email/folders")
    for shown in ("مدرسة", "学校", "Œuvres & <b>", "tab here", "🌧️"):
        assert shown in browser.text


def test_nobody_opens_or_changes_the_folder_of_another(box: Box) -> None:
    other, browser = box.signed_in("joseph"), box.signed_in("mireille")
    other.open("/email/folders").press("Make this folder", name="Secret")
    code = other.address.rpartition("/")[2]
    no = box.letter("mireille")
    before = box.fingerprint()
    for address in (f"/email/folder/{code}", f"/email/folders/{code}"):
        assert browser.open(address).status == 404
    token = browser.open("/more").token()
    for address, form in (
        (f"/email/folders/{code}", {"name": "Mine"}),
        (f"/email/folders/{code}/delete", {}),
        ("/email/mark", {"act": "move", "to": code, "n": no}),
        ("/email/mark", {"act": "move", "to": "outbox", "n": no}),
    ):
        assert browser.post(address, {"csrf_token": token} | form).status == 404, address
    assert box.fingerprint() == before


def test_what_one_wrote_goes_back_among_the_sent_letters(box: Box) -> None:
    browser = box.signed_in("mireille")
    browser.open("/email/new").press("send", to="ruth@example.com", subject="News", body="Hello")
    browser.open("/email/sent").follow("Choose letters").press("archive", n="1")
    assert "No letter sent yet" in browser.text
    browser.open("/email/archive").follow("Choose letters").press("move", n="1", to="inbox")
    assert "News" in browser.open("/email/sent").text
    assert "News" not in browser.open("/email/inbox").text


def _talk(box: Box, count: int, holder: str = "mireille") -> list[int]:
    found = []
    for n in range(count):
        box.later(minutes=1)
        root = "<rain-0@example.com>"
        found.append(
            box.letter(
                holder,
                "Rain" if n == 0 else "Re: Rain",
                f"<p>Words of letter {n}.</p>",
                message_id=f"<rain-{n}@example.com>",
                references=(root,) if n else (),
            )
        )
    return found


def test_a_person_may_have_conversations_on_one_line(box: Box) -> None:
    browser, other = box.signed_in("mireille"), box.signed_in("joseph")
    numbers = _talk(box, 3)
    _talk(box, 2, "joseph")
    assert browser.open("/email/inbox").html.count('<li class="row') == 3
    browser.open("/email/folders").press("Show conversations on one line")
    assert "stand together on one line" in browser.text
    browser.open("/email/inbox")
    assert browser.html.count('<li class="row') == 1
    assert "<span class=n>3</span>" in browser.html
    assert other.open("/email/inbox").html.count('<li class="row') == 2
    browser.press("Re: Rain")
    assert browser.address == f"/email/{numbers[2]}"
    assert browser.open("/email/unread").response.get_json() == {"count": 0, "unread": False}
    browser.open("/email/inbox").follow("Choose letters").press("delete", n=str(numbers[2]))
    assert "The letters are deleted." in browser.text
    assert "No letter yet" in browser.text
    browser.press("Put back")
    assert "<span class=n>3</span>" in browser.open("/email/inbox").html
    browser.open("/email/folders").press("Show every letter by itself")
    assert browser.open("/email/inbox").html.count('<li class="row') == 3


def test_a_letter_shows_its_conversation_with_a_frame_for_each(box: Box) -> None:
    browser = box.signed_in("mireille")
    numbers = _talk(box, 3)
    browser.open(f"/email/{numbers[2]}")
    assert browser.html.count("<details class=fold>") == 2
    frames = [source for source in browser.sources if source.endswith("/body")]
    assert frames == [f"/email/{no}/body" for no in numbers]
    assert browser.html.count('sandbox="allow-popups allow-popups-to-escape-sandbox"') == 3
    browser.open(f"/email/{numbers[0]}")
    assert "Written after this letter" in browser.text
    browser.follow("Open this letter")
    assert browser.address == f"/email/{numbers[1]}"


def test_a_long_conversation_shows_some_letters_and_counts_the_others(box: Box) -> None:
    browser = box.signed_in("mireille")
    numbers = _talk(box, 40)
    browser.open(f"/email/{numbers[20]}")
    assert browser.html.count("<details class=fold>") == 20
    assert "10 letters before these" in browser.text
    assert "9 letters after these" in browser.text
    browser.follow("letters before these")
    assert browser.address == f"/email/{numbers[10]}"


def test_the_next_letter_is_one_press_away_and_looking_marks_nothing(box: Box) -> None:
    browser = box.signed_in("mireille")
    one, two, three = (box.letter("mireille", f"Letter {n}", read=n == 0) for n in range(3))
    browser.open(f"/email/{two}")
    before = box.fingerprint()
    browser.follow("Older letter")
    assert browser.address == f"/email/{one}"
    assert box.fingerprint() == before
    browser.open(f"/email/{two}").press("Newer letter")
    assert browser.address == f"/email/{three}"
    assert "I have read it" not in browser.text
    assert "Newer letter" not in browser.text


def test_a_letter_is_marked_unread_archived_and_moved_from_its_page(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", "Results", read=True)
    browser.open(f"/email/{no}").press("Mark as unread")
    assert browser.address == "/email/inbox"
    assert "Unread. Ruth" in browser.text
    browser.open(f"/email/{no}").press("archive", to="inbox")
    assert "It is in the archive." in browser.text
    browser.open(f"/email/{no}").press("move", to="inbox")
    assert "Results" in browser.open("/email/inbox").text
