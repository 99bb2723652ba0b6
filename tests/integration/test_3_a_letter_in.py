"""Somebody far away writes to the village, by SMTP and by the provider's webhook; the letters wait, travel and are read."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Village, eventually
from tests.person_at import File, PersonAt

pytestmark = pytest.mark.integration


def test_an_answer_comes_home_and_is_read(village: Village) -> None:
    fatou = village.sign_up("fatou")
    village.sync()  # now the server knows that she lives here
    subject = village.name("The road is open")

    # Written in the outside world, it waits at the server.
    world = PersonAt(village.world)
    form = world.open("/write").fill(**{"from": "claire@example.org", "to": village.address("fatou")})
    form.fill(subject=subject, text="The bus runs on Tuesdays.").attach(
        File("times.txt", b"Tuesday 07:00", "text/plain")
    )
    eventually(lambda: "Sent to" in form.press().text)
    eventually(lambda: village.status_of_box()["waiting"] >= 1)
    assert subject not in fatou.open("/email/inbox").text

    # The next exchange brings it.
    assert village.sync()["letters_down"] >= 1
    page = fatou.open("/email/inbox").choose(subject)
    assert "claire@example.org" in page.text
    assert "The bus runs on Tuesdays." in fatou.open(f"{page.path}/body").text
    assert fatou.open(page.link_to(r"/attachment/\d+/\d+")).content == b"Tuesday 07:00"
    assert village.sync()["letters_down"] == 0, "what was acknowledged does not come again"


def test_the_providers_webhook_brings_letters_too(village: Village) -> None:
    grace = village.sign_up("grace")
    village.sync()
    subject = village.name("From the city")
    message = (
        f"From: Hugo <hugo@example.org>\r\nTo: {village.address('grace')}\r\nSubject: {subject}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\nAll is well in the city.\r\n"
    )

    # The provider posts under the secret path of the domain, which its owner may see.
    _, details = village.api("GET", f"/api/email/register/{village.domain}")
    path = f"/api/email/sendgrid/{details['webhook']}"
    form = f'--limit\r\nContent-Disposition: form-data; name="email"\r\n\r\n{message}\r\n--limit--\r\n'.encode()
    posted = village.api("POST", path, content=form, type="multipart/form-data; boundary=limit", signed_in=False)
    assert posted == (200, "received")

    def arrived() -> bool:
        village.sync()
        return subject in grace.open("/email/inbox").text

    eventually(arrived)


def test_a_name_that_nobody_has_is_not_taken_in(village: Village) -> None:
    page = PersonAt(village.world).open("/write")
    page = page.fill(**{"from": "claire@example.org", "to": f"x@unknown.{village.domain}", "text": "Hello?"}).press()
    assert page.status == 422
    assert "It was not sent" in page.text
