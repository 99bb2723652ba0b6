"""Every message of the shared data is read without raising, written again, and means what another parser says it means."""

from __future__ import annotations

import os
import random
from collections import Counter
from datetime import UTC, datetime
from functools import cache

from lokole.mail.errors import Refused
from lokole.mail.html import html_to_text, make_safe
from lokole.mail.mime import build_mime, parse_email
from tests.corpus import SHARED_MAIL_MESSAGES, Message, own_messages, shared_folder, shared_mail, shared_mime
from tests.property.test_mime_roundtrip import damaged
from tests.second_reading import agreement, one_line, second_reading, words, words_of_markup


@cache
def corpus() -> tuple[Message, ...]:
    """All messages there are; without the shared data only our own samples, and then the tests say so."""
    folder = shared_folder()
    if folder is None:
        print("the shared data is not here: only tests/mail-data is read")
        return tuple(own_messages())
    mail = shared_mail(folder)
    assert len(mail) == SHARED_MAIL_MESSAGES
    return (*own_messages(), *shared_mime(folder), *mail)


def test_every_message_is_a_letter_that_shows_something() -> None:
    empty = []
    for message in corpus():
        parsed = parse_email(message.raw)
        assert "unreadable" not in parsed.problems, message.name
        again = make_safe(parsed.email.body)
        assert html_to_text(again).split() == html_to_text(parsed.email.body).split(), message.name
        if not parsed.email.body and not parsed.email.attachments:
            empty.append(message.name)
    # Header-only messages, and one whose markup is pictures from elsewhere.
    assert len(empty) <= max(1, len(corpus()) // 100), empty


def test_letters_mean_what_another_parser_says() -> None:
    compared: Counter[str] = Counter()
    different: list[str] = []
    for message in corpus():
        other = second_reading(message.raw)
        if other is None:
            continue
        email = parse_email(message.raw).email
        compared["all"] += 1
        checks = {
            "sender": other.sender == email.sender.address.casefold(),
            "to": other.to == {contact.address.casefold() for contact in email.to},
            "cc": other.cc == {contact.address.casefold() for contact in email.cc},
            "subject": other.subject == one_line(email.subject),
            "text": agreement(other.text, words(words_of_markup(email.body))) >= 0.95,
            "files": len(email.attachments) >= len(other.files) + other.pictures,
        }
        different += [f"{name} {message.name}" for name, same in checks.items() if not same]
    counts = Counter(line.split()[0] for line in different)
    print(compared, counts)
    # What is left are messages that the two repair differently; each kind was looked at.
    assert all(count <= max(1, compared["all"] // 50) for count in counts.values()), different


def test_what_was_read_can_be_written_and_read_again() -> None:
    date = datetime(2026, 3, 1, tzinfo=UTC)
    written = 0
    for message in corpus()[::3]:
        email = parse_email(message.raw).email
        try:
            raw = build_mime(email, message_id="<1@box.lokole.ca>", date=date)
        except Refused:
            continue  # no valid sender
        raw.decode("ascii")
        assert max(map(len, raw.split(b"\r\n"))) <= 998, message.name
        again = parse_email(raw).email
        written += 1
        assert again.subject == email.subject, message.name
        assert html_to_text(again.body).split() == html_to_text(email.body).split(), message.name
        assert sorted(file.content for file in again.attachments) == sorted(file.content for file in email.attachments)
    assert written > len(corpus()) // 3 * 0.8


def test_damaged_message_is_a_letter() -> None:
    seed = int(os.environ.get("LOKOLE_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"LOKOLE_TEST_SEED={seed}")
    chance = random.Random(seed)
    small = [message.raw for message in corpus() if len(message.raw) < 20_000]
    for _ in range(4000):
        parsed = parse_email(damaged(chance.choice(small), chance))
        assert "unreadable" not in parsed.problems
