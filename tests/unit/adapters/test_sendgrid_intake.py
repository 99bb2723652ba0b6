"""Settings of Inbound Parse, against a SendGrid with state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lokole.adapters.intake.sendgrid import SendGridIntake
from lokole.adapters.web_api import WebApi
from lokole.mail.errors import Permanent, Temporary
from tests.fakes.sendgrid_parse import KEY, FakeSendGridParse
from tests.fakes.web_server import DRIP, HANG_UP, LOST_ANSWER, NONSENSE, Said

DOMAIN, SECRET = "village.lokole.ca", "the-secret-of-the-village"
URL = f"https://mail.lokole.ca/api/email/sendgrid/{SECRET}"


@pytest.fixture
def sendgrid() -> Iterator[FakeSendGridParse]:
    with FakeSendGridParse("lokole.ca") as fake:
        yield fake


def intake(fake: FakeSendGridParse, key: str = KEY, address: str = "https://mail.lokole.ca/") -> SendGridIntake:
    return SendGridIntake(url=fake.url, key=key, address=address)


def test_raw_mail_is_posted_to_the_domains_address_until_it_is_stopped(sendgrid: FakeSendGridParse) -> None:
    for _ in range(2):
        intake(sendgrid).start(DOMAIN, SECRET)
        assert sendgrid.settings == {DOMAIN: {"hostname": DOMAIN, "url": URL, "spam_check": True, "send_raw": True}}
    assert [one.method for one in sendgrid.asked] == ["GET", "POST", "GET"]
    for _ in range(2):
        intake(sendgrid).stop(DOMAIN)
        assert sendgrid.settings == {}


def test_a_setting_that_led_elsewhere_or_was_not_raw_is_led_here(sendgrid: FakeSendGridParse) -> None:
    for old in (
        {"url": "https://mailserver.lokole.ca/api/email/sendgrid/x", "send_raw": True, "spam_check": True},
        {"url": URL, "send_raw": False, "spam_check": True},
    ):
        sendgrid.settings = {DOMAIN: {"hostname": DOMAIN, **old}}
        intake(sendgrid).start(DOMAIN, SECRET)
        assert sendgrid.settings[DOMAIN] == {"hostname": DOMAIN, "url": URL, "spam_check": True, "send_raw": True}


def test_a_domain_that_another_server_has_taken_over_is_left_to_it(sendgrid: FakeSendGridParse) -> None:
    intake(sendgrid, address="https://new.lokole.ca").start(DOMAIN, "another")
    intake(sendgrid).stop(DOMAIN)
    assert DOMAIN in sendgrid.settings


def test_a_race_with_another_worker_is_harmless(sendgrid: FakeSendGridParse) -> None:
    answer = sendgrid.answer

    def raced(asked: Any) -> Said:
        if asked.method == "POST":
            answer(asked)  # the other one's
        return answer(asked)

    sendgrid.answer = raced  # type: ignore[method-assign]
    intake(sendgrid).start(DOMAIN, SECRET)
    assert sendgrid.settings[DOMAIN]["url"] == URL


@pytest.mark.parametrize("status", [400, 409])
def test_what_sendgrid_refuses_for_good_is_given_up(sendgrid: FakeSendGridParse, status: int) -> None:
    with pytest.raises(Permanent, match="authenticated"):
        intake(sendgrid).start("village.elsewhere.org", SECRET)
    answer = sendgrid.answer
    sendgrid.answer = lambda asked: Said(status) if asked.method == "POST" else answer(asked)  # type: ignore[method-assign]
    with pytest.raises(Permanent):
        intake(sendgrid).start(DOMAIN, SECRET)


def test_a_key_that_may_not_is_for_later_and_stands_in_no_message(sendgrid: FakeSendGridParse) -> None:
    with pytest.raises(Temporary) as caught:
        intake(sendgrid, key="SG.wrong").start(DOMAIN, SECRET)
    assert "SG.wrong" not in str(caught.value)
    sendgrid.scopes.clear()
    with pytest.raises(Temporary, match="Inbound Parse"):
        intake(sendgrid).stop(DOMAIN)


def test_what_the_key_lacks_is_said(sendgrid: FakeSendGridParse) -> None:
    assert "Inbound Parse" in intake(sendgrid).check()
    sendgrid.scopes.discard("user.webhooks.parse.settings.delete")
    with pytest.raises(Permanent, match="missing: delete"):
        intake(sendgrid).check()
    with pytest.raises(Temporary):
        intake(sendgrid, key="SG.wrong").check()


LATER = [Said(429, headers={"Retry-After": "9"}), Said(500), Said(503), Said(403), HANG_UP, NONSENSE, DRIP, LOST_ANSWER]


@pytest.mark.parametrize("trouble", LATER, ids=range(len(LATER)))
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_trouble_is_for_later_and_a_repeat_makes_it_good(
    sendgrid: FakeSendGridParse, trouble: Said, method: str
) -> None:
    driver = intake(sendgrid)
    driver._api = WebApi("SendGrid", sendgrid.url, {"Authorization": f"Bearer {KEY}"}, deadline=1.0)
    if method in ("PATCH", "DELETE"):
        sendgrid.settings[DOMAIN] = {"hostname": DOMAIN, "url": URL, "spam_check": False, "send_raw": True}
    answer, struck = sendgrid.answer, iter([True])

    def answers(asked: Any) -> Said:
        if asked.method != method or not next(struck, False):
            return answer(asked)
        if trouble.after:
            answer(asked)
        return trouble

    sendgrid.answer = answers  # type: ignore[method-assign]
    act = driver.stop if method == "DELETE" else lambda domain: driver.start(domain, SECRET)
    with pytest.raises(Temporary):
        act(DOMAIN)
    act(DOMAIN)
    assert (DOMAIN in sendgrid.settings) == (method != "DELETE")
    assert all(one["spam_check"] for one in sendgrid.settings.values())
