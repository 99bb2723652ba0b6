"""What bytes cost: the same words everywhere, and never nothing for what costs something."""

from __future__ import annotations

import pytest

from lokole.mail.model import Attachment, DeliveryState
from lokole.mailbox import recipients
from lokole.mailbox.options import set_option
from lokole.webmail.cost import Price
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import Box
from tests.unit.webmail.test_reading import PNG


@pytest.mark.parametrize(
    ("per_mb", "count", "said", "about"),
    [
        (90, 0, "0 FC", "about 0 FC"),
        (90, 1, "less than 1 FC", "less than 1 FC"),
        (90, 11_000, "less than 1 FC", "less than 1 FC"),
        (90, 11_200, "1 FC", "about 1 FC"),
        (90, 100_000, "9 FC", "about 9 FC"),
        (120, 2_750_000, "330 FC", "about 330 FC"),
        (0.5, 100_000, "less than 0.1 FC", "less than 0.1 FC"),
        (0.5, 250_000, "0.1 FC", "about 0.1 FC"),
        (0.5, 2_000_000, "1 FC", "about 1 FC"),
        (None, 5, "", ""),
    ],
)
def test_a_cost_is_said_as_exactly_as_there_is_money_for(
    box: Box, per_mb: float | None, count: int, said: str, about: str
) -> None:
    with box.app.test_request_context(headers={"Accept-Language": "en"}):
        assert (Price(per_mb).said(count), Price(per_mb).about(count)) == (said, about)


def test_the_number_is_written_as_in_the_language(box: Box) -> None:
    with box.app.test_request_context(headers={"Accept-Language": "fr"}):
        assert Price(0.5, "USD").said(1) == "moins de 0,1 USD"


def test_the_search_button_stands_below_what_it_goes_by(box: Box) -> None:
    html = box.signed_in("mireille").open("/email/search").html
    form = html[html.index("<form role=search") :]
    form = form[: form.index("</form>")]
    assert form.index("name=query") < form.index("<details") < form.index("name=star") < form.index("<button")
    assert form.count("<button") == 1


FILES = [
    ("well.png", PNG + b"x" * 90_000, "image/png"),
    ("ten.ogg", b"OggS" + b"x" * 50_000, "audio/ogg"),
    ("list.pdf", b"%PDF" + b"x" * 200_000, "application/pdf"),
]
EACH = ("well.png 90 kB, about 9 FC", "ten.ogg 50 kB, about 5 FC", "list.pdf 200 kB, about 20 FC")


def _sent(box: Box, to: str) -> Browser:
    """Mireille has sent a letter with files, the first one of the box."""
    browser = box.signed_in("mireille").open("/email/new")
    return browser.press("send", to=to, subject="The well", body="It is ready", files=FILES)


def _set_price(box: Box) -> None:
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, "cost_per_mb", 100)


def test_what_waits_says_what_it_costs_file_by_file_and_in_all(box: Box) -> None:
    browser = _sent(box, "ruth@example.com")
    for page in ("/email/1", "/email/outbox"):
        assert "about" not in browser.open(page).text, "no price is set"
    _set_price(box)
    browser.open("/email/1")
    for words in (*EACH, "In all: about 34 FC"):
        assert words in browser.text
    assert "Leaves tonight at 02:00. about 34 FC" in browser.open("/email/outbox").text
    with box.ports.database.write() as tx:
        recipients.set_recipient_state(tx, box.tenant, 1, "ruth@example.com", DeliveryState.AT_SERVER, "", 1)
    for page in ("/email/1", "/email/outbox"):
        assert "about" not in browser.open(page).text, "it has left, and was paid for"


def test_what_stays_here_or_has_come_says_no_cost(box: Box) -> None:
    box.person("jeanne")
    browser = _sent(box, "jeanne")
    _set_price(box)
    no = box.letter("mireille", attachments=(Attachment("plan.png", PNG, "image/png"),))
    for page in ("/email/1", f"/email/{no}", "/email/outbox"):
        assert " FC" not in browser.open(page).text
    assert " FC" not in box.enter("jeanne").open("/email/1").text


def test_whoever_has_a_letter_that_waits_for_others_pays_nothing_for_it(box: Box) -> None:
    box.person("jeanne")
    browser = _sent(box, "jeanne, ruth@example.com")
    _set_price(box)
    assert EACH[0] in browser.open("/email/1").text
    assert " FC" not in box.enter("jeanne").open("/email/1").text
