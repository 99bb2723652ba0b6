"""P20: neither end asks for anything that a letter names, while it comes in, is shown, is answered and goes out.

Every way by which a letter can name an address stands in one letter, with an address at which somebody counts.
Besides, every connection and every look-up of a name that this process makes is seen by an audit hook: only those of box and server are allowed.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lokole.device.build import web_app
from lokole.mailbox import accounts, passwords
from lokole.server.build import _pages
from lokole.testing import Village, village
from tests.unit.webmail.browser import Browser

pytestmark = pytest.mark.e2e

PASSWORD = "three small words"
_WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")
_seen: list[tuple[str, Any]] = []
_watching = threading.Event()
_hooked = threading.Lock()


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in _WATCHED and _watching.is_set():
        _seen.append((event, args[0] if event.startswith("socket.get") else args[1]))


@contextmanager
def watched() -> Iterator[list[tuple[str, Any]]]:
    """What this process asks of the net meanwhile. A hook cannot be taken away, so that it is put in once."""
    if _hooked.acquire(blocking=False):
        sys.addaudithook(_hook)
    _seen.clear()
    _watching.set()
    try:
        yield _seen
    finally:
        _watching.clear()


class Counting:
    """Somebody on this machine who counts connections."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.came = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                self.listener.accept()[0].close()
            except OSError:
                return
            self.came += 1


def naming(url: str) -> bytes:
    """A letter that names ``url`` in every way that comes to mind."""
    host = urlsplit(url).netloc
    markup = f"""<html><head><base href="{url}/base/"><link rel="stylesheet" href="{url}/style.css">
    <link rel="dns-prefetch" href="//{host}"><meta http-equiv="refresh" content="0;url={url}/refresh">
    <style>@import url({url}/import.css); @font-face {{ font-family: x; src: url({url}/font) }} p {{ background: url({url}/bg) }}</style></head>
    <body background="{url}/body.png"><img src="{url}/a.png" srcset="{url}/b.png 2x" longdesc="{url}/long" lowsrc="{url}/low">
    <img src="//{host}/c.png"><img src="cid:one"><table background="{url}/t.png"><tr><td background="{url}/td.png">x</table>
    <svg><image href="{url}/svg.png"/><use href="{url}/use.svg#a"/></svg><video poster="{url}/p.png" src="{url}/v"></video>
    <iframe src="{url}/frame"></iframe><object data="{url}/object"></object><embed src="{url}/embed">
    <a href="{url}/link" ping="{url}/ping">press</a><form action="{url}/form"><input type="image" src="{url}/input.png"></form>
    <div style="background-image:url({url}/div.png)">x</div><script src="{url}/x.js"></script>
    <!--[if mso]><v:fill src="{url}/mso.png"/><![endif]--></body></html>"""
    return f"""From: Bob <bob@example.org>\r
To: ann@village.lokole.test\r
Subject: Look at {url}/subject\r
Message-ID: <fetch@example.org>\r
Date: Mon, 23 Nov 2026 10:00:00 +0000\r
Disposition-Notification-To: spy@spy.invalid\r
Return-Receipt-To: spy@spy.invalid\r
X-Confirm-Reading-To: spy@spy.invalid\r
List-Unsubscribe: <{url}/unsubscribe>, <mailto:spy@spy.invalid>\r
List-Unsubscribe-Post: List-Unsubscribe=One-Click\r
Content-Base: {url}/\r
Content-Location: {url}/letter\r
X-Image-Url: {url}/x-image.png\r
OpenPGP: url={url}/key.asc\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/html; charset=utf-8\r
Content-Location: {url}/part.html\r
\r
{markup}\r
--b\r
Content-Type: image/png; name=a.png\r
Content-ID: <one>\r
Content-Location: {url}/one.png\r
\r
\x89PNG\r
--b\r
Content-Type: message/external-body; access-type=URL; URL="{url}/external"\r
\r
Content-Type: image/png\r
\r
\r
--b\r
Content-Type: image/svg+xml; name=a.svg\r
\r
<!DOCTYPE svg [<!ENTITY x SYSTEM "{url}/entity">]><svg xmlns="http://www.w3.org/2000/svg"><image href="{url}/svg-file.png"/>&x;</svg>\r
--b\r
Content-Type: text/calendar; charset=utf-8; method=REQUEST\r
\r
BEGIN:VCALENDAR\r
BEGIN:VEVENT\r
ATTACH:{url}/attach\r
URL:{url}/event\r
ORGANIZER:mailto:spy@spy.invalid\r
END:VEVENT\r
END:VCALENDAR\r
--b--\r
""".encode("latin-1")


def walk(browser: Browser, prefix: str) -> None:
    """Look at everything that shows the letter."""
    browser.open(f"{prefix}/user/login").press("Enter", name="ann@village.lokole.test", password=PASSWORD)
    browser.open(f"{prefix}/email/inbox")
    (show,) = {href for _, href in browser.links if href.removeprefix(f"{prefix}/email/").isdigit()} or {
        f"{prefix}/email/1"
    }
    no = show.rpartition("/")[2]
    for address in (
        f"email/{no}",
        f"email/{no}/body",
        f"email/{no}/print",
        *(f"attachment/{no}/{n}" for n in range(5)),
    ):
        browser.open(f"{prefix}/{address}")
        assert browser.status in (200, 404), address
    assert "Look at" in browser.open(show).text
    browser.post(f"{prefix}/email/read/{no}", {"csrf_token": browser.open(f"{prefix}/email/inbox").token()})


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Village]:
    with village(tmp_path) as found:
        hashed = passwords.hash_password(PASSWORD, 10)
        with found.box.ports.database.write() as tx:
            ann = accounts.create_account(
                tx, found.box.tenant, "ann", password_hash=hashed, now=found.clock(), is_admin=True
            )
            accounts.set_roaming(tx, ann, True)
        assert found.box.sync().result == "ok"
        yield found


def test_no_end_asks_for_anything_that_a_letter_names(place: Village) -> None:
    counting = Counting()
    raw = naming(counting.url)
    with watched() as seen:
        place.write_from_outside(raw, sender="bob@example.org", recipients=["ann@village.lokole.test"])
        assert place.box.sync().result == "ok"
        assert place.box.sync().result == "ok"
        box = Browser(web_app(place.box))
        walk(box, "")
        for action in ("reply", "reply_all", "forward", "again"):
            box.open(f"/email/new?action={action}&uid=1")
            assert box.status == 200
            box.press("send", to="carl@example.org")
        assert place.box.sync().result == "ok"
        walk(Browser(_pages(place.server.ports)), "/web")
    allowed = urlsplit(place.url).port
    assert {whom for _, whom in seen} <= {("127.0.0.1", allowed), "127.0.0.1"}
    assert counting.came == 0
    counting.listener.close()
    assert {one.recipient for one in place.outside.sent} <= {"carl@example.org"}, "nobody is told that it was read"
    assert len(place.outside.sent) >= 1


def test_the_hook_and_the_counter_see() -> None:
    counting = Counting()
    with watched() as seen:
        with socket.create_connection(("127.0.0.1", int(urlsplit(counting.url).port or 0))) as line:
            line.recv(1)
        with pytest.raises(OSError):
            socket.getaddrinfo("nowhere.invalid", 80)
    assert counting.came == 1
    assert ("socket.getaddrinfo", "nowhere.invalid") in seen
    assert any(event == "socket.connect" for event, _ in seen)
    counting.listener.close()
