"""What other mail servers say, as sentences for a village."""

from __future__ import annotations

import pytest

from lokole.webmail import reasons
from tests.unit.webmail.conftest import Box

SENTENCES = {
    "expired": "It could not be reached for five days.",
    "nobody": "Nobody there has this name.",
    "5.1.1": "This address does not exist. Look at each letter of it.",
    "550 5.1.1 <jeanne@gmial.com>: user unknown": "This address does not exist. Look at each letter of it.",
    "550 5.1.2 host not found": "There is no such place: look at what stands behind the @.",
    "556 5.1.10 null MX": "There is no such place: look at what stands behind the @.",
    "5.4.4 unable to route": "There is no such place: look at what stands behind the @.",
    "5.1.3": "This is not a valid address.",
    "551 5.1.6 moved": "This person has another address now.",
    "550 5.2.1 disabled": "This mailbox is closed.",
    "552 5.2.2 over quota": "The mailbox there is full. Try again later.",
    "452 4.2.2 mailbox full": "The mailbox there is full. Try again later.",
    "552 5.3.4 too big": "The letter is too large for them. Take fewer or smaller files.",
    "552 5.2.3 message length": "The letter is too large for them. Take fewer or smaller files.",
    "5.4.1 no answer": "Their server is out of reach.",
    "554 5.6.0 attachment": "They do not take letters with such content or files.",
    "550 5.7.1 blocked": "They refused it, perhaps because they took it for advertising.",
    # without a status, by the words
    "550 No such user here": "This address does not exist. Look at each letter of it.",
    "554 message size exceeds limit": "The letter is too large for them. Take fewer or smaller files.",
    "550 Mailbox is full": "The mailbox there is full. Try again later.",
    "552 storage": "The mailbox there is full. Try again later.",
    "554 looks like spam": "They refused it, perhaps because they took it for advertising.",
    # which says nothing
    "550 5.0.0 no": "They refused it.",
    "550 5.5.0 protocol": "They refused it.",
    "рекомендуем": "They refused it.",
    "": "They refused it.",
}


@pytest.mark.parametrize(("said", "sentence"), SENTENCES.items())
def test_each_answer_has_its_sentence(box: Box, said: str, sentence: str) -> None:
    with box.app.test_request_context():
        assert reasons.why(said) == sentence


def test_what_they_said_is_shown_where_it_says_more_than_the_sentence() -> None:
    assert reasons.their_words("550 5.1.1 user unknown") == "550 5.1.1 user unknown"
    for said in ("expired", "the letter is too long", "5.1.1", ""):
        assert reasons.their_words(said) == ""
