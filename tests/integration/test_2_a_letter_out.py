"""A villager signs up, writes to somebody far away with a photo, and the letter leaves with the next exchange."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.integration.conftest import Village, eventually
from tests.person_at import File

pytestmark = pytest.mark.integration


def photo() -> bytes:
    """Two megapixels, as a telephone makes them."""
    out = io.BytesIO()
    Image.effect_noise((1600, 1200), 50).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def test_a_letter_with_a_photo_leaves_the_village(village: Village) -> None:
    ann = village.sign_up("ann")
    subject = village.name("Greetings")

    # She writes, and the letter is in the bag.
    form = ann.open("/email/new").fill(to="bob@example.org", subject=subject, body="Hello Bob,\n\nlook at our goat!")
    page = form.attach(File("goat.jpg", photo(), "image/jpeg")).press("send")
    assert page.path == "/email/outbox"
    assert village.outside(subject) == [], "nothing leaves before the exchange"

    # The box meets the server.
    assert village.sync()["letters_up"] >= 1

    # The letter is in the outside world, its photo made smaller.
    (letter,) = eventually(lambda: village.outside(subject))
    assert (letter["from"], letter["envelope_to"]) == (village.address("ann"), ["bob@example.org"])
    assert "look at our goat!" in letter["text"]
    (attached,) = letter["attachments"]
    assert attached["size"] < 200_000


def test_a_letter_to_a_neighbour_needs_no_internet(village: Village) -> None:
    carol, dan = village.sign_up("carol"), village.sign_up("dan")
    subject = village.name("Market on Thursday")
    carol.open("/email/new").fill(to=village.name("dan"), subject=subject, body="Will you come?").press("send")
    assert subject in dan.open("/email/inbox").text
    village.sync()
    assert village.outside(subject) == []


def test_a_letter_to_nobody_is_kept_for_its_writer_to_change(village: Village) -> None:
    eve = village.sign_up("eve")
    subject = village.name("Are you there?")
    eve.open("/email/new").fill(to="permanent-failure@example.org", subject=subject, body="Hello?").press("send")
    village.sync()

    def told() -> bool:
        village.sync()
        page = eve.open("/email/outbox").text
        return subject in page and "The letter did not arrive." in page

    eventually(told)
    assert village.outside(subject) == []
