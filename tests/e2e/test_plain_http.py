"""A box as people type it: ``http://lokole.lan``, which browsers give less than ``https`` or this very machine, and the way to ``https``.

Elsewhere browsers are sent to 127.0.0.1, where everything works; here they are told that the name leads there.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from werkzeug.serving import make_server

from lokole.mailbox.options import set_option
from tests.corpus import REPOSITORY
from tests.e2e.processes import device
from tests.mailbox_world import load_email
from tests.servers_mail import cannot_start, chromium, expect, free_port, photograph, stop, wait_for_port
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box, empty_database, make_box

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FilePayload, Page

__all__ = ["empty_database", "make_box"]

pytestmark = pytest.mark.e2e

NAME, SECURE_NAME = "lokole.lan", "box.example.org"
#: no page may speak of what this telephone cannot do here
PROMISES = re.compile("home screen|out of reach|offline|without the Wi-Fi", re.IGNORECASE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ",".join(f"MAP {name} 127.0.0.1" for name in (NAME, SECURE_NAME))
    # the certificate of the test is nobody's that a browser knows
    with chromium(
        f"--host-resolver-rules={names}",
        "--ignore-certificate-errors",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
    ) as started:
        yield started


@pytest.fixture
def served(make_box: Callable[..., Box]) -> Iterator[tuple[Box, str]]:
    port = free_port()
    url = f"http://{NAME}:{port}"
    box = make_box(address=f"{url}/")
    for name in ("mireille", "jeanne"):
        box.person(name)
    server = make_server("127.0.0.1", port, box.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield box, url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def telephone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740}, locale="en-GB")
    context.set_default_timeout(30_000)
    try:
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
        assert wrong == []
    finally:
        context.close()


def enter(page: Page, url: str) -> None:
    """Signed in on an own telephone, which is the one that would keep pages."""
    page.goto(f"{url}/user/login")
    page.get_by_label("Name in Lokole").fill("mireille")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("This is my own telephone").check()
    page.get_by_role("button", name="Enter").click()
    page.wait_for_url("**/email/inbox")


def recording(seconds: int) -> FilePayload:
    """What a telephone's own recorder makes."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(b"\x80\x90" * 4000 * seconds)
    return {"name": "recorder.wav", "mimeType": "audio/x-wav", "buffer": out.getvalue()}


def test_nothing_is_promised_that_plain_http_cannot_keep(browser: Browser, served: tuple[Box, str]) -> None:
    _box, url = served
    with telephone(browser) as page:
        enter(page, url)
        # what this test is about: without these two it would show nothing
        assert page.evaluate("window.isSecureContext") is False
        assert page.evaluate("'mediaDevices' in navigator || 'serviceWorker' in navigator") is False
        for path in ("/", "/about", "/who", "/email/inbox", "/more", "/user/profile", "/user/sessions"):
            page.goto(url + path)
            assert not PROMISES.search(page.locator("body").inner_text()), path
        page.goto(f"{url}/email/new")
        page.get_by_text("A spoken message").click()
        field = page.get_by_label("Record or choose a recording")
        expect(field).to_be_visible()
        assert (field.get_attribute("accept"), field.get_attribute("capture")) == ("audio/*", "microphone")
        expect(page.get_by_role("button", name="Record", exact=True)).to_have_count(0)
        # what a recording on the page would weigh says nothing about the telephone's own
        expect(page.get_by_text("Ten seconds are about")).to_be_hidden()
        expect(page.get_by_text("Keep it short")).to_be_visible()


def test_a_chosen_recording_says_its_seconds_and_cost_is_heard_and_taken_away(
    browser: Browser, served: tuple[Box, str]
) -> None:
    box, url = served
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, "cost_per_mb", 90)
    with telephone(browser) as page:
        enter(page, url)
        page.goto(f"{url}/email/new")
        page.get_by_text("A spoken message").click()
        field = page.get_by_label("Record or choose a recording")
        field.set_input_files(recording(3))
        said = page.locator("[data-voice] li")
        expect(said).to_contain_text("recorder.wav 3 seconds, 24 kB, about 2 FC")
        photograph(page, "plain-http-recording")
        page.locator("audio").evaluate(
            "sound => { sound.muted = true; return sound.play().then(() => new Promise(ok => { sound.ontimeupdate = ok; })); }"
        )
        # what no browser plays goes along all the same, without a player
        field.set_input_files({"name": "other.amr", "mimeType": "audio/amr", "buffer": b"#!AMR\n nothing to hear"})
        expect(said).to_have_count(2)
        expect(page.locator("audio")).to_have_count(1)
        page.get_by_role("button", name="Take away recorder.wav").click()
        expect(page.locator("audio")).to_have_count(0)
        # one that is chosen as any file is in view while the fold is shut
        page.get_by_text("A spoken message").click()
        page.get_by_label("Choose files").set_input_files(recording(2))
        expect(page.locator("[data-chosen] audio")).to_be_visible()
        page.get_by_label("To", exact=True).fill("jeanne")
        page.get_by_role("button", name="Put it into the bag").click()
        page.wait_for_url("**/email/1")
        expect(page.locator("audio")).to_have_count(2)
    with box.ports.database.read() as tx:
        whole = load_email(tx, box.ports.blobs, box.tenant, DOMAIN, 1)
    assert [one.filename for one in whole.attachments] == ["recorder.wav", "other.amr"]


@contextmanager
def nginx(folder: Path, box_port: int) -> Iterator[tuple[int, int]]:
    """nginx as docs/operate-device.md sets it up, on ports of its own for ``http`` and ``https``; only they and its folders differ."""
    # where Debian keeps it is on the path of root only
    program, openssl = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), shutil.which("openssl")
    if program is None or openssl is None:
        cannot_start("nginx or openssl is not installed here (`make setup-test` installs nginx).")
    plain, secure = free_port(), free_port()
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", f"/CN={SECURE_NAME}", "-keyout", folder / "box.key", "-out", folder / "box.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    written = (REPOSITORY / "docs" / "operate-device.md").read_text(encoding="utf-8")
    (sites,) = re.findall(r"^```nginx\n(.*?)^```$", written, re.DOTALL | re.MULTILINE)
    for there, here in (
        ("listen 80 ", f"listen 127.0.0.1:{plain} "),
        ("listen 443 ", f"listen 127.0.0.1:{secure} "),
        ("/etc/lokole/", f"{folder}/"),
        ("127.0.0.1:5000", f"127.0.0.1:{box_port}"),
        ("https://box.example.org/", f"https://box.example.org:{secure}/"),
    ):
        assert there in sites
        sites = sites.replace(there, here)
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"daemon off;\npid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{sites}}}\n"
    (folder / "nginx.conf").write_text(whole, encoding="utf-8")
    with (folder / "nginx.log").open("wb") as log:
        started = subprocess.Popen(
            [program, "-e", folder / "error.log", "-c", folder / "nginx.conf"], stdout=log, stderr=log
        )
    try:
        wait_for_port(secure, started)
        yield plain, secure
    finally:
        stop(started)


def test_a_box_behind_nginx_as_documented_records_keeps_and_sends_its_cookies_by_https_only(
    browser: Browser, tmp_path: Path
) -> None:
    box = device(
        tmp_path / "box",
        settings={
            "LOKOLE_TRUSTED_PROXY": "127.0.0.1",
            "LOKOLE_HTTPS": "yes",
            "LOKOLE_ADDRESS": f"https://{SECURE_NAME}/",
            "LOKOLE_UPLINK": "none:",
        },
    )
    with box.pages(), nginx(tmp_path, box.port) as (plain, secure), telephone(browser) as page:
        asked = page.request.get(f"http://127.0.0.1:{plain}/generate_204", headers={"Host": "captive.apple.com"})
        assert asked.status == 200
        assert f"https://{SECURE_NAME}/" in asked.text()
        page.goto(f"http://{SECURE_NAME}:{plain}/user/register")
        # led to where cookies travel
        assert page.url == f"https://{SECURE_NAME}:{secure}/"
        page.goto(f"https://{SECURE_NAME}:{secure}/user/register")
        page.locator("[name=called]").fill("Ruth Mbo")
        page.locator("[name=name]").fill("ruth")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("[name=own]").check()
        page.locator("main button.main").click()
        page.wait_for_url("**/email/inbox")
        cookies = page.context.cookies()
        assert "lokole_box" in {one.get("name") for one in cookies}
        assert all(one.get("secure") for one in cookies)
        assert page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.goto(f"https://{SECURE_NAME}:{secure}/email/new")
        page.get_by_label("To", exact=True).fill("ruth")
        page.get_by_text("A spoken message").click()
        expect(page.get_by_text("Ten seconds are about")).to_be_visible()
        page.get_by_role("button", name="Record", exact=True).click()
        page.get_by_text(re.compile("1 seconds, ")).wait_for()
        page.get_by_role("button", name="Put it into the bag").click()
        page.wait_for_url(re.compile(r"/email/\d+$"))
        expect(page.locator("audio")).to_have_count(1)
