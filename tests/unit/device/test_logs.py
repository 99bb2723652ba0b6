"""What the box says about itself: nothing of a letter, a person or a secret."""

from __future__ import annotations

import logging

import pytest

from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.device.box import Box
from lokole.device.build import web_app
from tests.unit.device.people import ZSTD, incoming, package_of, write
from tests.unit.webmail.browser import Browser

CANARIES = ("canarysubject", "canarytext", "canaryann", "canarybob", "canarypassword", "canaryfile")


def test_nothing_of_a_letter_a_person_or_a_secret_is_written(
    box: Box, peer: InProcessExchange, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = Browser(web_app(box), "en").open("/user/register")
    browser.post(
        "/user/register",
        {"csrf_token": browser.token(), "name": "canaryann", "password": "canarypassword", "again": "canarypassword"},
    )
    browser.open("/user/login")
    browser.post("/user/login", {"csrf_token": browser.token(), "name": "canaryann", "password": "canarypassword"})
    for to in ("canarybob@example.org", "canarybob@", "canarybob"):
        browser.open("/email/new").press("send", to=to, subject="canarysubject", body="canarytext")
    browser.open("/email/search?query=canarytext")
    browser.open("/canarytext?canarysubject=canarybob")
    browser.post("/email/new", {"csrf_token": "canarytext", "body": "canarytext", "nonce": "canaryfile"})
    write(box, "canaryann", to="canarybob@example.org", subject="canarysubject", body="canarytext")
    peer.offer(package_of(incoming(1, "canaryann@box.lokole.test", "canarysubject")), type=ZSTD)
    peer.offer(b"canarytext that is no package", type=ZSTD)
    box.sync()
    box.tidy()
    text = caplog.text + "".join(str(record.args) + str(record.exc_info) for record in caplog.records)
    assert caplog.records
    for canary in CANARIES:
        assert canary not in text, canary
