"""A real Postfix as the mail server of somebody outside, in front of our own SMTP edge: what is put off comes again, and is there once."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from tests.servers_mail import Postfix, free_port, postfix
from tests.unit.server.place import BoxAtPlace, Place, message, place_in

pytestmark = pytest.mark.e2e

DOMAIN, ANN = "a.lokole.test", "ann@a.lokole.test"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def begin(stack: ExitStack, folder: Path, **settings: object) -> tuple[Postfix, Place, BoxAtPlace]:
    port = free_port()
    sender = stack.enter_context(postfix(mailboxes={}, relays={DOMAIN: port}))
    place = stack.enter_context(
        place_in(folder, smtp_listen=f"127.0.0.1:{port}", smtp_exempt=(), **settings)  # type: ignore[arg-type]
    )
    return sender, place, place.box(DOMAIN, [f"ann{n}" for n in range(12)] + ["ann"])


def wait_until(true: Callable[[], object], sender: Postfix) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, sender.log()[-3000:]
        time.sleep(0.1)


def hand_over(sender: Postfix, *recipients: str) -> None:
    with smtplib.SMTP("127.0.0.1", sender.smtp_port, timeout=30) as line:
        line.sendmail("bob@example.org", recipients, message(subject="hello"))


def test_a_letter_that_is_greylisted_waits_at_its_sender_and_comes_again(stack: ExitStack, tmp_path: Path) -> None:
    sender, place, box = begin(stack, tmp_path, greylist=timedelta(minutes=5))
    hand_over(sender, ANN)
    wait_until(lambda: "451 4.7.1 come again in a few minutes" in sender.log(), sender)
    assert [one["queue_name"] for one in sender.queue()] == ["deferred"]
    assert box.fetch() == []
    place.clock.pass_by(minutes=5)
    time.sleep(1.1)  # Postfix leaves a letter alone for its shortest pause
    sender.flush()
    wait_until(lambda: not sender.queue(), sender)
    assert [one.email.subject for one in box.fetch()] == ["hello"]
    assert box.fetch() == []


def test_recipients_over_the_limit_wait_at_their_sender_and_each_gets_the_letter_once(
    stack: ExitStack, tmp_path: Path
) -> None:
    sender, place, box = begin(stack, tmp_path, smtp_recipients_a_minute=5, smtp_max_recipients=3)
    everybody = [f"ann{n}@{DOMAIN}" for n in range(12)]
    hand_over(sender, *everybody)
    wait_until(lambda: "452 4.5.3 too many recipients" in sender.log() and len(sender.queue()) == 1, sender)
    time.sleep(1.1)
    sender.flush()
    wait_until(lambda: "451 4.7.1 too many recipients from your address" in sender.log(), sender)
    for _ in range(10):
        if not sender.queue():
            break
        place.clock.pass_by(minutes=1)
        time.sleep(1.1)
        sender.flush()
        time.sleep(1)
    wait_until(lambda: not sender.queue(), sender)
    got = [str(to) for one in box.fetch() for to in one.email.recipients]
    assert sorted(got) == sorted(everybody)
