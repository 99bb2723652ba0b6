"""Letters as an attacker writes them, shown by real Chromium through the pages as they are served.

Two guards stand before a letter's body: the sanitiser, and the frame with its policy.
Each alone has to keep every script from running; both together have to keep every request from going out.
The vectors lie in ``../shared/testdata/html``; without them a few of our own are taken.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error
from sqlalchemy import update
from werkzeug.serving import make_server

from lokole.mailbox.schema import email
from lokole.webmail.headers import PAGE_POLICY
from tests.corpus import shared_folder
from tests.servers_mail import chromium, follow, free_port
from tests.unit.webmail.conftest import PASSWORD, Box, empty_database, make_box

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

pytestmark = pytest.mark.e2e
__all__ = ["empty_database", "make_box"]

OWN = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<a href='javascript:alert(1)'>press</a>",
    '<style>body{background:url(http://198.51.100.7/spy)}</style><p style="background:url(http://198.51.100.7/spy)">x',
    "<img src=http://198.51.100.7/spy.gif><video poster=http://198.51.100.7/v><link rel=stylesheet href=http://198.51.100.7/c>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe><object data=javascript:alert(1)><meta http-equiv=refresh content='0;url=http://198.51.100.7/'>",
    "<form action=http://198.51.100.7/><input autofocus onfocus=alert(1)><button formaction=javascript:alert(1)>press</button>",
]
_PLACES = {
    "js_alert": "alert(1)",
    "js_uri_alert": "javascript:alert(1)",
    "js_inline_alert": "<script>alert(1)</script>",
    "dir": "http://198.51.100.7/",
}
#: dispatched at every element; a click on a link is left out where requests are counted: going there is what it is for
_EVENTS = """(links) => {
  for (const one of document.querySelectorAll('*')) {
    for (const name of ['mouseover', 'mouseenter', 'mousemove', 'mousedown', 'mouseup', 'focus', 'focusin', 'input',
                        'change', 'keydown', 'pointerdown', 'pointerover', 'touchstart', 'toggle', 'scroll']) {
      one.dispatchEvent(new Event(name, {bubbles: true}));
    }
    if (links || !one.closest('a, area')) { one.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true})); }
  }
}"""


def vectors() -> list[str]:
    shared = shared_folder()
    found = list(OWN)
    for path in sorted((shared / "testdata" / "html").glob("*.jsonl")) if shared is not None else ():
        for line in path.read_text(encoding="utf-8").splitlines():
            payload = str(json.loads(line)["payload"])
            for name, value in _PLACES.items():
                payload = payload.replace(f"%{name}%", value)
            found.append(payload)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


class Rig:
    """The pages over HTTP; each vector is the body of a letter, and a page of frames shows many of them at once, as a letter's page shows one."""

    def __init__(self, box: Box, page: Page, *, policy: bool) -> None:
        self.box, self.page, self.policy = box, page, policy
        self.scripts: list[str] = []
        self.requests: list[str] = []
        self.shown = range(0)
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.frame = ""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", port, self._serve, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        page.on("dialog", self._spoke)
        page.on("request", lambda request: self._asked(request.url))

    def _serve(self, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/rig":
            frames = "".join(self.frame.replace("/NO/", f"/{no}/") for no in self.shown)
            headers = [("Content-Type", "text/html"), ("Content-Security-Policy", PAGE_POLICY)]
            start_response("200 OK", headers if self.policy else headers[:1])
            return [f"<!doctype html><title>rig</title>{frames}".encode()]

        def start(status: str, headers: list[tuple[str, str]], exc: Any = None) -> Any:
            kept = headers if self.policy else [one for one in headers if one[0] != "Content-Security-Policy"]
            return start_response(status, kept)

        return self.box.app.wsgi_app(environ, start)

    def _spoke(self, dialog: Dialog) -> None:
        self.scripts.append(f"{dialog.message} among letters {self.shown}")
        dialog.dismiss()

    def _asked(self, url: str) -> None:
        own = (self.base + "/email/", self.base + "/s/", self.base + "/rig", "data:", "about:")
        if not url.startswith(own):
            self.requests.append(f"{url[:80]} among letters {self.shown}")

    def show(self, payloads: list[str], *, links: bool = False, at_once: int = 40) -> None:
        """Put every payload into a letter, show them all, and do to them what a person might."""
        self.box.person("mireille")
        plain = self.box.letter("mireille", read=True)  # a letter that shows nothing has no frame
        first = self.box.letter("mireille", read=True)
        for _ in payloads[1:]:
            self.box.letter("mireille", read=True)
        with self.box.ports.database.write() as tx:
            for n, payload in enumerate(payloads):
                tx.execute(update(email).where(email.c.order_no == first + n).values(body=payload))
        self.page.goto(self.base + "/user/login")
        self.page.fill("[name=name]", "mireille")
        self.page.fill("[name=password]", PASSWORD)
        follow(self.page.locator("form[action='/user/login'] .main"))
        letter = self.page.goto(f"{self.base}/email/{plain}")
        assert letter is not None
        found = re.search(r"<iframe.*?</iframe>", letter.text())
        assert found is not None
        self.frame = found[0].replace(f"/{plain}/", "/NO/")
        if not self.policy:
            self.frame = re.sub(r'sandbox="[^"]*"', "", self.frame)
        self.page.wait_for_timeout(200)
        self.requests.clear()
        for start in range(0, len(payloads), at_once):
            self.shown = range(first + start, first + min(start + at_once, len(payloads)))
            self.page.goto(self.base + "/rig", wait_until="commit")
            with suppress(Error):  # a vector that goes on loading for ever is one more thing that must do no harm
                self.page.wait_for_load_state("load", timeout=100 * at_once)
            for frame in self.page.frames[1:]:
                if not frame.url.endswith("/body"):
                    continue  # something within a letter that goes elsewhere may never answer
                with suppress(Error):  # a vector may have sent its frame away
                    frame.evaluate(_EVENTS, links)
            self.page.wait_for_timeout(5 * at_once)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


@pytest.fixture
def rig(make_box: Callable[..., Box], browser: Browser) -> Iterator[Callable[..., Rig]]:
    made: list[tuple[Rig, Any]] = []

    def start(*, policy: bool) -> Rig:
        context = browser.new_context()
        context.set_default_timeout(10_000)
        one = Rig(make_box(), context.new_page(), policy=policy)
        made.append((one, context))
        return one

    yield start
    for one, context in made:
        context.close()
        one.stop()


@pytest.fixture
def sanitiser_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing that is taken out of the pages here: what guard is left is the test's question."""
    monkeypatch.setattr("lokole.webmail.views.letter.make_safe", str)
    monkeypatch.setattr("lokole.webmail.views.letter.rewrite_cids", lambda html, _resolve: html)


@pytest.mark.usefixtures("sanitiser_off")
def test_the_rig_sees_scripts_and_requests(rig: Callable[..., Rig]) -> None:
    open_to_all = rig(policy=False)
    open_to_all.show(OWN, links=True)
    assert len(open_to_all.scripts) >= 4
    assert any("198.51.100.7" in url for url in open_to_all.requests)


def test_with_both_guards_no_script_runs_and_nothing_is_asked_for(rig: Callable[..., Rig]) -> None:
    whole = rig(policy=True)
    whole.show(vectors())
    assert whole.scripts == []
    assert whole.requests == []


def test_the_sanitiser_alone_keeps_every_script_from_running(rig: Callable[..., Rig]) -> None:
    bare = rig(policy=False)
    bare.show(vectors())
    assert bare.scripts == []


@pytest.mark.usefixtures("sanitiser_off")
def test_the_frame_and_its_policy_alone_keep_every_script_from_running(rig: Callable[..., Rig]) -> None:
    raw = rig(policy=True)
    # one at a time, since such markup breaks its neighbours; tests/slow takes them all
    raw.show(OWN + vectors()[len(OWN) :: 6], at_once=1)
    assert raw.scripts == []
