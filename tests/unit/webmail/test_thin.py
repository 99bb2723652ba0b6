from tests.unit.webmail.conftest import Box


def test_thin(box: Box) -> None:
    browser = box.browser().open("/")
    assert browser.status == 200, browser.text
    browser.follow("Get an address").press("Get this address", name="Mireille", password="three small words")
    assert browser.address == "/email/inbox", browser.text
    print(browser.html)
    browser.press("Welcome to Lokole")
    print(browser.html)
    assert browser.address == "/email/1"
    browser.follow("Write").press("send", to="mireille, ruth@example.com", subject="Hello", body="Good <morning>")
    print(browser.text)
    assert browser.address == "/email/outbox"
